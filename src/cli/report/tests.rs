//! Fixtures: `tests/fixtures/<case>/in.yaml` and the whole report on it, `expect.txt`.

use std::path::Path;

use super::*;
use crate::manifest::{Policy, Severity, Strictness, read};

/// The report, or for a file without mistakes what it declares and what of it has no effect.
fn told(case: &Path) -> String {
    let input =
        ["in.yaml", "in.json"].map(|name| case.join(name)).into_iter().find(|path| path.exists()).unwrap();
    let bytes = std::fs::read(&input).unwrap();
    let reading = read(&bytes, "default", Strictness::Strict, &Policy::default());
    let file = input.file_name().unwrap().to_string_lossy();
    let text = String::from_utf8_lossy(&bytes);
    let mut told = render(&file, &text, &reading.mistakes, Drawing::Plain, PLAIN_WIDTH);
    for declared in &reading.objects {
        told.push_str(&format!("{}: {} in {:?}\n", declared.line, declared.key, declared.key.namespace));
    }
    for ignored in &reading.ignored {
        told.push_str(&format!("{}: ignored {}: {}\n", ignored.line, ignored.field, ignored.reason));
    }
    told
}

/// With `DROPPOD_BLESS` set the reports are written instead, to be looked at before they are committed.
#[test]
fn every_fixture_is_reported_as_expected() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let bless = std::env::var_os("DROPPOD_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut cases: Vec<_> = std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let broken = cases.iter().filter(|case| !case.file_name().unwrap().to_string_lossy().starts_with("good"));
    assert!(broken.count() >= 30, "the fixtures are there");
    for case in cases {
        let (told, expect) = (told(&case), case.join("expect.txt"));
        if bless {
            std::fs::write(&expect, &told).unwrap();
        }
        if told != std::fs::read_to_string(&expect).unwrap_or_default() {
            wrong.push(format!("{}\n{told}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_of_a_file_reaches_the_terminal_as_a_command() {
    let text = "\u{1b}[31mred\u{1b}[0m\u{7}: \u{202e}x\r\n";
    let mistake = Mistake {
        severity: Severity::Error,
        field: "a\u{1b}b".to_owned(),
        message: "wrong".to_owned(),
        help: None,
        labels: vec![Label { span: 5..8, text: "here".to_owned() }],
        line: 1,
        column: 6,
    };
    let report = render("f\u{9b}.yaml", text, std::slice::from_ref(&mistake), Drawing::Plain, PLAIN_WIDTH);
    let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!report.contains(obeyed), "{report:?}");
    assert!(report.contains(r"\u{1b}[31mred\u{1b}[0m"), "{report}");
}

#[test]
fn a_report_is_underlined_at_the_end_of_an_empty_file() {
    let mistakes = read(b"a: [", "default", Strictness::Strict, &Policy::default()).mistakes;
    assert!(!render("a.yaml", "a: [", &mistakes, Drawing::Plain, PLAIN_WIDTH).is_empty());
    let mistakes = read(&[0xff], "default", Strictness::Strict, &Policy::default()).mistakes;
    assert!(render("a.yaml", "\u{fffd}", &mistakes, Drawing::Plain, PLAIN_WIDTH).contains("not UTF-8"));
    let mistakes = read(&vec![b'a'; 2_000_000], "default", Strictness::Strict, &Policy::default()).mistakes;
    assert!(render("a.yaml", "", &mistakes, Drawing::Plain, PLAIN_WIDTH).contains("larger than"));
}
