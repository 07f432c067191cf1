//! What people see on a terminal, narrow and wide, in colour and without: `screens.txt` holds it, to be looked at.
//! With `DROPPOD_BLESS` set it is written.

use std::fs;
use std::path::Path;

use crate::bench::Bench;

const SCREENS: &str = include_str!("screens.txt");
const MISTAKEN: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  terminationGracePeriodSeconds: 5m
  contianers:
  - name: web
    image: nginx
    command: [sh, -c, 'while true; do date; sleep 1; done; echo a line that goes on and on and does not end']
  volumes:
  - name: Data
    emptyDir: {}
";
const WEB: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\nspec:\n  \
                   terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: droppod.local/host\n    \
                   command: [sleep, '1000']\n    resources: {limits: {memory: 64Mi}}\n";

const TESTS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: lint}
spec:
  restartPolicy: Never
  containers:
  - {name: main, image: droppod.local/host, command: ['true']}
---
apiVersion: v1
kind: Pod
metadata: {name: integration-tests-of-the-shop}
spec:
  restartPolicy: Never
  initContainers:
  - {name: prepare, image: droppod.local/host, command: [echo, made 3 tables]}
  containers:
  - {name: tests, image: droppod.local/host, command: [sh, -c, 'printf \"\\033[31m1 of 12 failed\\033[0m\\n\"; exit 3']}
";

/// Columns, what is said of the terminal in the environment, and how many of the commands differ there.
const TERMINALS: [(u16, &str, usize); 4] =
    [(80, "", 4), (200, "", 4), (80, "NO_COLOR=1", 2), (80, "LC_ALL=C TERM=dumb", 1)];
/// Of `up`, what is left at its end: what it shows in place differs with how fast a machine is, and `reader` looks at
/// that.
const COMMANDS: [&str; 4] = ["validate -f web.yaml", "up -f tests.yaml", "get pods -w", "describe pod web"];

#[test]
fn terminals_show_what_was_looked_at() {
    let Some(bench) = Bench::new() else { return };
    fs::write(bench.path("web.yaml"), MISTAKEN).unwrap();
    fs::write(bench.path("tests.yaml"), TESTS).unwrap();
    let watch = bench.watch();
    bench.manifest("web.yaml", WEB);
    bench.until_status("web", "Running");
    let mut shown = String::new();
    for (columns, settings, differ) in TERMINALS {
        for args in &COMMANDS[..differ] {
            let screen = match *args {
                "get pods -w" => bench.screen_until(columns, settings, args, "\nweb "),
                "up -f tests.yaml" => left(&bench.screen(columns, settings, args)),
                _ => bench.screen(columns, settings, args),
            };
            shown.push_str(&format!("==== {columns} columns {settings}\n# droppod {args}\n"));
            shown.push_str(&normal(&screen));
        }
    }
    assert_eq!(watch.stop(), 0);
    if std::env::var_os("DROPPOD_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journeys/screens.txt");
        fs::write(path, &shown).unwrap();
        return;
    }
    assert_eq!(shown, SCREENS, "look at it, then run this with DROPPOD_BLESS=1");
}

/// What a terminal shows once all this has been written to it: what was drawn in place is gone.
fn left(written: &str) -> String {
    let mut rows = vec![String::new()];
    let mut at = 0;
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '\r' => {}
            '\n' => {
                at += 1;
                rows.resize(rows.len().max(at + 1), String::new());
            }
            '\x1b' => {
                taken = 1 + rest.find(char::is_alphabetic).unwrap();
                let command = &rest[..taken];
                let number = command[2..taken - 1].parse().unwrap_or(1);
                match &command[taken - 1..] {
                    "A" => at -= number,
                    "J" => {
                        rows.truncate(at);
                        rows.push(String::new());
                    }
                    "m" => rows[at].push_str(command),
                    // To the end of a line, of which there is no more; and whether long lines go on below.
                    "K" | "l" | "h" => {}
                    other => panic!("{other:?} in {written:?}"),
                }
            }
            c => rows[at].push(c),
        }
        rest = &rest[taken..];
    }
    rows.join("\n")
}

/// Without what differs from one moment or machine to the next.
fn normal(screen: &str) -> String {
    let lines = screen.lines().map(|line| line.trim_end_matches('\r'));
    let lines: Vec<String> = lines.map(|line| ages(&labelled(line)).replace('\x1b', "\\e")).collect();
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// `Started: <…>` in a description.
fn labelled(line: &str) -> String {
    const MOVING: [&str; 7] =
        ["Node:", "Start Time:", "IP:", "Container ID:", "Image ID:", "Started:", "Finished:"];
    match MOVING.iter().find(|label| line.trim_start().starts_with(*label)) {
        Some(label) => {
            let value = line.find(*label).unwrap() + label.len();
            let blanks = line[value..].len() - line[value..].trim_start().len();
            format!("{}<…>", &line[..value + blanks])
        }
        None => line.to_owned(),
    }
}

/// Every age is `Ns`, as wide as it was.
fn ages(line: &str) -> String {
    let mut shown = String::new();
    for word in line.split_inclusive(' ') {
        let digits = word.trim_end().strip_suffix('s').unwrap_or_default();
        let is_age = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match word.ends_with(' ') {
            true if is_age => shown.push_str(&format!("Ns{}", " ".repeat(digits.len()))),
            false if is_age => shown.push_str("Ns"),
            _ => shown.push_str(word),
        }
    }
    shown
}
