//! Fixtures: `tests/fixtures/<case>/in.yaml` and the whole report on it, `expect.txt`.

use std::path::Path;

use super::*;
use crate::manifest::{Strictness, read};

/// The report, or for a file without mistakes what it declares and what of it has no effect.
fn told(case: &Path) -> String {
    let input =
        ["in.yaml", "in.json"].map(|name| case.join(name)).into_iter().find(|path| path.exists()).unwrap();
    let bytes = std::fs::read(&input).unwrap();
    let reading = read(&bytes, "default", Strictness::Strict);
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
    assert!(cases.len() >= 25, "the fixtures are there");
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
