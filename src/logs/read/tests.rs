use super::super::write::LogWriter;
use super::*;

struct Bench {
    directory: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let directory = std::env::temp_dir().join(format!("droppod-read-{}-{name}", std::process::id()));
        std::fs::remove_dir_all(&directory).ok();
        Bench { directory }
    }

    fn writer(&self, run: u32) -> LogWriter {
        LogWriter::open(&numbered(&self.directory, run, 0), None)
    }

    fn cursor(&self) -> Cursor {
        Cursor::at_run(self.directory.clone(), 0)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn drained(cursor: &mut Cursor) -> Vec<String> {
    let mut lines = Vec::new();
    cursor
        .drain(&mut |line| {
            lines.push(String::from_utf8(line.text).unwrap());
            Ok(())
        })
        .unwrap();
    lines
}

#[test]
fn what_is_written_later_is_read_later() {
    let bench = Bench::new("later");
    let mut cursor = bench.cursor();
    assert!(drained(&mut cursor).is_empty());
    let mut log = bench.writer(0);
    log.take(Stream::Stdout, b"one\n", Timestamp::UNIX_EPOCH);
    assert_eq!(drained(&mut cursor), ["one"]);
    assert!(drained(&mut cursor).is_empty());
    log.take(Stream::Stderr, b"two\nthree", Timestamp::UNIX_EPOCH);
    assert_eq!(drained(&mut cursor), ["two"]);
    log.finish(Timestamp::UNIX_EPOCH);
    assert_eq!(drained(&mut cursor), ["three"]);
}

#[test]
fn no_line_is_lost_by_rotation_and_restart() {
    let bench = Bench::new("rotation");
    let mut cursor = bench.cursor();
    let mut expected = Vec::new();
    let mut read = Vec::new();
    for run in 0..3 {
        let mut log = bench.writer(run);
        // Three rotations a run, of which the reader sees some only after the next.
        for block in 0..40 {
            let text = format!("{run}.{block} {}\n", "x".repeat(1 << 20));
            log.take(Stream::Stdout, text.as_bytes(), Timestamp::UNIX_EPOCH);
            expected.push(text.trim_end().to_owned());
            if block % 13 == 0 {
                read.extend(drained(&mut cursor));
            }
        }
        log.finish(Timestamp::UNIX_EPOCH);
    }
    read.extend(drained(&mut cursor));
    // A line of 1 MiB and more comes in pieces.
    assert_eq!(read.concat(), expected.concat());
}

#[test]
fn a_long_line_comes_whole_and_two_streams_do_not_mix() {
    let bench = Bench::new("pieces");
    let mut log = bench.writer(0);
    let long = "y".repeat(40_000);
    log.take(Stream::Stdout, &long.as_bytes()[..30_000], Timestamp::UNIX_EPOCH);
    log.take(Stream::Stderr, b"between\n", Timestamp::UNIX_EPOCH);
    log.take(Stream::Stdout, format!("{}\n", &long[30_000..]).as_bytes(), Timestamp::UNIX_EPOCH);
    assert_eq!(drained(&mut bench.cursor()), ["between".to_owned(), long]);
}

#[test]
fn a_torn_line_is_read_once_it_is_whole() {
    let bench = Bench::new("torn");
    std::fs::create_dir_all(&bench.directory).unwrap();
    let path = numbered(&bench.directory, 0, 0);
    std::fs::write(&path, "1970-01-01T00:00:00Z stdout F a\n1970-01-01T00:00:00Z std").unwrap();
    let mut cursor = bench.cursor();
    assert_eq!(drained(&mut cursor), ["a"]);
    std::fs::write(&path, "1970-01-01T00:00:00Z stdout F a\n1970-01-01T00:00:00Z stderr F b\n").unwrap();
    assert_eq!(drained(&mut cursor), ["b"]);
}

#[test]
fn a_flood_is_read_to_where_it_was_when_it_was_looked_at() {
    let bench = Bench::new("flood");
    let mut log = bench.writer(0);
    log.take(Stream::Stdout, b"first\n", Timestamp::UNIX_EPOCH);
    let mut lines = 0;
    bench
        .cursor()
        .drain(&mut |_| {
            lines += 1;
            log.take(Stream::Stdout, b"more\n", Timestamp::UNIX_EPOCH);
            Ok(())
        })
        .unwrap();
    assert_eq!(lines, 1);
}
