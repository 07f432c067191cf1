//! The programs themselves that people and scripts write files with.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::writing::{Desk, map};
use crate::bench::say;

/// Fewer of them would show little.
const FEWEST: usize = 12;

/// What Debian calls it, in full and in a small package.
const VIM: &str = "vim|vim.tiny";

/// How the file `$1` is given the content of the file `$2`, by the program that is named first, or another after `|`, which is
/// `$0`; `$3` is a place on another file system.
const WAYS: [(&str, &str); 22] = [
    ("sh", r#"cat "$2" > "$1""#),
    // Half of it, and the other half by a second opening.
    ("head", r#"head -n 4 "$2" > "$1"; tail -n +5 "$2" >> "$1""#),
    ("tee", r#"tee "$1" < "$2" > /dev/null"#),
    ("dd", r#"dd if="$2" of="$1" bs=16 status=none"#),
    ("cp", r#"cp "$2" "$1""#),
    ("cp", r#"cp --remove-destination --preserve "$2" "$1""#),
    ("cp", r#"cp --backup=simple "$2" "$1"; rm "$1~""#),
    ("install", r#"install -m 644 "$2" "$1""#),
    ("mv", r#"cp "$2" "$1.new"; mv "$1.new" "$1""#),
    ("mv", r#"cp "$2" "$3/new"; mv "$3/new" "$1""#),
    ("ln", r#"cp "$2" "$1.new"; ln -f "$1.new" "$1"; rm "$1.new""#),
    ("sed", r#"sed -i "s/text: .*/$(grep -o 'text: .*' "$2")/" "$1""#),
    ("sed", r#"sed -i.bak "s/text: .*/$(grep -o 'text: .*' "$2")/" "$1"; rm "$1.bak""#),
    ("perl", r#"perl -i -pe "s/text: .*/$(grep -o 'text: .*' "$2")/" "$1""#),
    ("ed", r#"printf '%s\n' '1,$d' "r $2" w q | ed -s "$1""#),
    (
        VIM,
        r#""$0" -N -u NONE -i NONE -es -c 'set backup backupcopy=no backupdir=. backupskip=' -c "%!cat '$2'" -c wq "$1"; rm "$1~""#,
    ),
    (VIM, r#""$0" -N -u NONE -i NONE -es -c 'set backupcopy=yes backupskip=' -c "%!cat '$2'" -c wq "$1""#),
    (
        "emacs",
        r#"emacs --batch "$1" --eval "(progn (erase-buffer) (insert-file-contents \"$2\") (save-buffer))"; rm -f "$1~""#,
    ),
    ("patch", r#"diff -u "$1" "$2" | patch -s "$1""#),
    ("rsync", r#"rsync --ignore-times "$2" "$1""#),
    ("rsync", r#"rsync --inplace --ignore-times "$2" "$1""#),
    (
        "python3",
        r#"python3 -c 'import sys; open(sys.argv[1], "w").write(open(sys.argv[2]).read())' "$1" "$2""#,
    ),
];

fn is_there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
    found.unwrap().success()
}

#[test]
fn every_tool_that_writes_a_file_makes_one_edit_of_it() {
    let Some(mut desk) = Desk::new() else { return };
    let elsewhere = Path::new("/dev/shm").join(desk.bench.path("").file_name().unwrap());
    fs::create_dir(&elsewhere).unwrap();
    let watch = desk.bench.watch();
    desk.begin();
    let (file, source) = (desk.file(), desk.bench.path("source"));
    let mut missing = Vec::new();
    let mut done = 0;
    for (number, (programs, script)) in WAYS.iter().enumerate() {
        let Some(program) = programs.split('|').find(|program| is_there(program)) else {
            missing.push(*programs);
            continue;
        };
        let text = format!("{program}-{number}");
        fs::write(&source, map("m", &text)).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", script, program])
            .args([&file, &source, &elsewhere])
            .current_dir(desk.bench.path(""));
        let ran = command.stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(fs::read_to_string(&file).unwrap(), map("m", &text), "{script}");
        done += 1;
        desk.reads(&text, done + 1);
    }
    fs::remove_dir(elsewhere).unwrap();
    missing.dedup();
    let ways = WAYS.len();
    say(&format!(
        "folder: {done} of {ways} ways to write, {} not here: {}",
        missing.len(),
        missing.join(", ")
    ));
    assert!(done as usize >= FEWEST, "only {done} ways to write");
    assert_eq!(watch.stop(), 0);
}

/// A name given to a file that was written without one: nobody closes it any more.
#[test]
fn a_file_that_comes_whole_by_its_name_is_waited_for_by_nobody() {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags};
    use std::os::fd::AsRawFd;

    let Some(mut desk) = Desk::new() else { return };
    let watch = desk.bench.watch();
    desk.begin();
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let nameless = rustix::fs::open(desk.bench.folder(), flags, Mode::from_raw_mode(0o644)).unwrap();
    rustix::io::write(&nameless, map("linked", "whole").as_bytes()).unwrap();
    let by_number = format!("/proc/self/fd/{}", nameless.as_raw_fd());
    let name = desk.bench.folder().join("linked.yaml");
    rustix::fs::linkat(CWD, by_number, CWD, &name, AtFlags::SYMLINK_FOLLOW).unwrap();
    drop(nameless);
    desk.bench.until("it is in force", || desk.bench.read("linked.status.yaml").contains("state: Applied"));
    assert_eq!(watch.stop(), 0);
}

/// What `scp` has written so far is no YAML, and stays when it is killed.
#[test]
fn a_remote_copy_that_stalls_and_dies_changes_nothing() {
    let Some(mut desk) = Desk::new() else { return };
    if !is_there("scp") {
        say("skipped: there is no scp");
        return;
    }
    let watch = desk.bench.watch();
    desk.begin();
    let long = "word ".repeat(20_000) + "end";
    let source = desk.bench.path("source");
    fs::write(&source, map("m", &format!("\"{long}\""))).unwrap();
    // In place of a connection: the other side on this machine, whose answer is held up after so many bytes.
    let connection = desk.bench.path("connection");
    let script = "#!/bin/sh\nfor last; do :; done\nsh -c \"$last\" | { dd bs=1 count=\"$MOST\" status=none; sleep 1000; }\n";
    fs::write(&connection, script).unwrap();
    Command::new("chmod").arg("755").arg(&connection).status().unwrap();
    let copy = |most: usize| {
        let mut scp = Command::new("setsid");
        scp.args(["scp", "-q", "-O", "-S"]).arg(&connection);
        scp.arg(format!("other:{}", source.display())).arg(desk.file());
        scp.env("MOST", most.to_string()).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut scp = copy(60_000);
    let length = || fs::metadata(desk.file()).map_or(0, |is| is.len());
    desk.bench.until("a part of it is there", || length() > 10_000 && length() < 70_000);
    desk.looked("meanwhile");
    desk.reads("first", 1);
    let settles = || desk.bench.read("m.status.yaml").contains("state: Settling");
    desk.bench.until("it is told to be on its way", settles);
    // The whole session: what the connection has started goes too.
    let session = format!("-{}", scp.id());
    assert!(Command::new("kill").args(["-9", "--", &session]).status().unwrap().success());
    scp.wait().unwrap();
    desk.bench.until("the mistake is told", || desk.bench.read("m.status.yaml").contains("state: Invalid"));
    desk.reads("first", 1);

    let mut scp = copy(1_000_000);
    desk.reads(&long, 2);
    let session = format!("-{}", scp.id());
    assert!(Command::new("kill").args(["-9", "--", &session]).status().unwrap().success());
    scp.wait().unwrap();
    assert_eq!(watch.stop(), 0);
}
