use super::super::reader::Marks;
use super::*;
use crate::model::id::Uid;

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("droppod-log-{}-{name}", std::process::id()));
    drop(std::fs::remove_dir_all(&path));
    path
}

#[test]
fn lines_are_framed_and_the_last_needs_no_newline() {
    let dir = scratch("frame");
    let path = dir.join("web").join("0.log");
    let now: Timestamp = "2026-11-22T05:00:00.5Z".parse().unwrap();
    let mut log = LogWriter::open(&path, None);
    log.take(Stream::Stdout, b"one\ntw", now);
    log.take(Stream::Stderr, b"oops\n", now);
    log.take(Stream::Stdout, b"o", now);
    log.finish(now);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "2026-11-22T05:00:00.500000000Z stdout F one\n\
         2026-11-22T05:00:00.500000000Z stderr F oops\n\
         2026-11-22T05:00:00.500000000Z stdout F two\n"
    );
    assert_eq!(log.tail(), "one\ntwoops\no");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_flood_stays_within_five_files() {
    let dir = scratch("flood");
    let path = dir.join("web").join("0.log");
    let now = Timestamp::UNIX_EPOCH;
    let mut log = LogWriter::open(&path, None);
    let block = vec![b'x'; 1024 * 1024];
    for _ in 0..70 {
        log.take(Stream::Stdout, &block, now);
    }
    let mut sizes: Vec<u64> =
        std::fs::read_dir(dir.join("web")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes.len(), 5);
    assert!(sizes.iter().all(|size| *size <= FILE_LIMIT), "{sizes:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn lines_that_a_full_disc_does_not_take_are_counted() {
    let dir = scratch("full");
    let path = dir.join("0.log");
    let now = Timestamp::UNIX_EPOCH;
    let mut log = LogWriter::open(&path, None);
    log.take(Stream::Stdout, b"before\n", now);
    let disc = log.file.replace(OpenOptions::new().append(true).open("/dev/full").unwrap());
    log.take(Stream::Stdout, b"lost\nlost\n", now);
    log.take(Stream::Stderr, b"lost\n", now);
    log.file = disc;
    log.take(Stream::Stdout, b"after\n", now);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "1970-01-01T00:00:00.000000000Z stdout F before\n\
         1970-01-01T00:00:00.000000000Z stderr F droppod: the log could not be written, 3 lines lost\n\
         1970-01-01T00:00:00.000000000Z stdout F after\n"
    );
    assert!(log.tail().ends_with("lost\nafter\n"), "a termination message needs no disc");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn nothing_is_removed_that_a_reader_has_not_read() {
    let dir = scratch("unread");
    let path = dir.join("web").join("2.log");
    let (pod, now) = (Uid::from_random([1; 16]), Timestamp::UNIX_EPOCH);
    let marks = Marks::begin(dir.join("read")).unwrap();
    let mut log = LogWriter::open(&path, Some(Reader::of(&dir.join("read"), &pod, "web")));
    let block = vec![b'x'; 1024 * 1024];
    let mut blocks = 0;
    while !log.is_full() {
        log.take(Stream::Stdout, &block, now);
        blocks += 1;
    }
    assert_eq!(blocks, 46, "nine for each of five files, and what was taken when there was no room");
    log.take(Stream::Stdout, &block, now);
    log.look_again();
    assert!(log.is_full(), "nobody has read anything");
    let inode = |name: &str| std::fs::metadata(dir.join("web").join(name)).unwrap().ino();
    let (oldest, next) = (inode("2.log.4"), inode("2.log.3"));
    marks.put(&pod, "web", Place { run: 2, inode: oldest }).unwrap();
    log.look_again();
    assert!(log.is_full(), "the reader is at the file that would go");
    marks.put(&pod, "web", Place { run: 2, inode: next }).unwrap();
    log.look_again();
    assert!(!log.is_full());
    log.take(Stream::Stdout, &block, now);
    assert_eq!(inode("2.log.4"), next, "what was read has gone");
    while !log.is_full() {
        log.take(Stream::Stdout, &block, now);
    }
    marks.end().unwrap();
    log.look_again();
    assert!(!log.is_full(), "nobody reads any more");
    std::fs::remove_dir_all(dir).unwrap();
}
