//! Files that are made to cost time or memory: what the real binary spends on them.
#![expect(clippy::unwrap_used, reason = "a test fails by it, and says where")]
#![expect(clippy::disallowed_methods, reason = "the time that a file costs is measured")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A byte less than what is read.
const FULL: usize = 1024 * 1024 - 1;
const MOST_KIB: u64 = 64 * 1024;
/// Of the processor's time, in a release build: waiting for a turn on a busy machine costs nobody anything.
const MOST_MILLISECONDS: u64 = 300;
/// Of the clock that Linux counts a process's time by, in all its ports.
const TICKS_IN_A_SECOND: u64 = 100;
const HEAD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n";

fn filled(head: &str, part: impl Fn(usize) -> String) -> String {
    let mut text = head.to_owned();
    for at in 0.. {
        let more = part(at);
        if text.len() + more.len() > FULL {
            break;
        }
        text.push_str(&more);
    }
    text
}

fn repeated(head: &str, part: &str) -> String {
    filled(head, |_| part.to_owned())
}

fn laughs() -> String {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        writeln!(text, "a{level}: &a{level} [{}]", vec![alias; 10].join(", ")).unwrap();
    }
    text
}

fn bombs() -> Vec<(&'static str, String)> {
    let half = FULL / 2;
    vec![
        ("billion laughs", laughs()),
        ("a text behind aliases", repeated(&format!("a: &a \"{}\"\nb:\n", "x".repeat(half)), "- *a\n")),
        ("merges", filled("a: &a {k: v}\nb:\n", |at| format!("  - {{<<: *a, n{at}: *a}}\n"))),
        (
            "chained merges",
            filled("a0: &a0 {k0: v}\n", |at| format!("a{0}: &a{0} {{<<: *a{at}, k{0}: v}}\n", at + 1)),
        ),
        ("anchors", filled("", |at| format!("- &a{at} x\n"))),
        ("brackets", "[".repeat(FULL)),
        ("braces", repeated("", "{a: ")),
        ("dashes in a line", repeated("", "- ")),
        ("steps", filled("", |at| format!("{}a:\n", " ".repeat(at)))),
        ("items", repeated("", "- a\n")),
        ("numbers in brackets", repeated("a: [", "1,")),
        ("keys", filled(MAP, |at| format!("  k{at}: v\n"))),
        ("one key again and again", repeated(MAP, "  k: v\n")),
        ("a long plain text", format!("{MAP}  a: {}", "x".repeat(FULL - 200))),
        ("a long quoted text", format!("{MAP}  a: \"{}\"", "\\u00e4".repeat((FULL - 200) / 6))),
        ("a long block", repeated(&format!("{MAP}  a: |\n"), "    x\n")),
        ("a long key", format!("{MAP}  {}: v", "k".repeat(FULL - 200))),
        ("a long key in brackets", format!("{{{}", "k".repeat(FULL - 200))),
        ("a text without an end", format!("{MAP}  a: \"{}", "x\n".repeat((FULL - 200) / 2))),
        ("comments", repeated("", "#\n")),
        ("empty documents", repeated("", "---\n")),
        ("empty lines", "\n".repeat(FULL)),
        ("unknown fields", filled(HEAD, |at| format!("  unheard{at}: x\n"))),
        (
            "containers",
            filled(&format!("{HEAD}  containers:\n"), |at| format!("  - {{name: c{at}, image: a}}\n")),
        ),
        (
            "variables",
            filled(&format!("{HEAD}  containers:\n  - name: a\n    image: a\n    env:\n"), |at| {
                format!("    - {{name: V{at}, value: x}}\n")
            }),
        ),
        (
            "mounts of unknown volumes",
            filled(&format!("{HEAD}  containers:\n  - name: a\n    image: a\n    volumeMounts:\n"), |at| {
                format!("    - {{name: v{at}, mountPath: /v{at}}}\n")
            }),
        ),
        ("json", filled("{\"a\":[", |at| format!("{{\"k{at}\":[[{at}]]}},"))),
        ("nested json", repeated("", "{\"a\":")),
        ("null bytes", "\0".repeat(FULL)),
        ("not UTF-8 at the end", format!("{MAP}  a: {}", "\u{fffd}".repeat((FULL - 200) / 3))),
    ]
}

/// What a file cost until it was judged.
struct Cost {
    seconds: f64,
    /// Of the processor.
    milliseconds: u64,
    /// The most memory, in KiB.
    peak: u64,
    /// The first thing said.
    first: String,
}

/// Standard input is read last: until it ends, the process is there to be asked.
fn cost(folder: &Path, bomb: &str) -> Cost {
    let (file, last) = (folder.join("bomb.yaml"), folder.join("last.yaml"));
    fs::write(&file, bomb).unwrap();
    fs::write(&last, "{apiVersion: v1, kind: Namespace, metadata: {name: last}}").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let began = Instant::now();
    let mut command = Command::new("prlimit");
    command.args(["--as=1073741824", env!("CARGO_BIN_EXE_droppod"), "validate"]);
    command.arg("-f").arg(&file).arg("-f").arg(&last).args(["-f", "-"]).env_clear();
    command.stdin(Stdio::piped()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut said = BufReader::new(reader).lines().map(Result::unwrap);
    let first = said.find(|line| !line.trim().is_empty()).unwrap();
    if first != "namespace/last valid" {
        said.by_ref().find(|line| line == "namespace/last valid").unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = peak.trim().trim_end_matches(" kB").parse().unwrap();
    let milliseconds = processor_time(child.id());
    drop(child.stdin.take());
    assert_eq!(said.count(), 0);
    child.wait().unwrap();
    Cost { seconds, milliseconds, peak, first: first.chars().take(90).collect() }
}

fn processor_time(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // What comes before is the program's name, in brackets and with anything in it.
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    (ticks(11) + ticks(12)) * 1000 / TICKS_IN_A_SECOND
}

#[test]
fn no_file_costs_more_memory_or_time_than_a_small_machine_has() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        std::io::stderr().write_all(b"skipped: there is no prlimit here\n").unwrap();
        return;
    }
    let folder = std::env::temp_dir().join(format!("droppod-bombs-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut heavy = Vec::new();
    for (name, bomb) in bombs() {
        let Cost { seconds, milliseconds, peak, first } = cost(&folder, &bomb);
        let wall = seconds * 1000.0;
        let line =
            format!("{wall:>5.0} ms ({milliseconds:>4} of the processor) {peak:>6} KiB  {name}: {first}");
        eprintln!("{line}");
        // A build that is not optimised takes ten times as long.
        let slow = milliseconds > MOST_MILLISECONDS && !cfg!(debug_assertions);
        if peak > MOST_KIB || slow {
            heavy.push(line);
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    let limits = format!("more than {MOST_KIB} KiB or {MOST_MILLISECONDS} ms");
    assert!(heavy.is_empty(), "{limits}:\n{}", heavy.join("\n"));
}
