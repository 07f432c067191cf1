//! Bytes that nobody meant: the reader never panics or hangs, points into the text, and what it accepts it accepts
//! again after it was written out. `tests/corpus` holds files that were hard on a reader once.
#![expect(clippy::unwrap_used, reason = "a test fails by it, and says where")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use droppod::fuzz;
use proptest::prelude::*;

/// Far above what any file of a megabyte takes on a loaded machine.
const LONGEST: Duration = Duration::from_secs(10);

/// Every law of the reader, for one file.
fn obeys(bytes: &[u8]) {
    #[expect(clippy::disallowed_methods, reason = "a file that takes long is the mistake looked for")]
    let begin = Instant::now();
    let read = fuzz::manifest(bytes);
    assert!(begin.elapsed() < LONGEST, "{:?}", begin.elapsed());
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    for mistake in &read.mistakes {
        assert!((1..=lines).contains(&mistake.line) && mistake.column >= 1, "{mistake:?}");
        for span in &mistake.spans {
            assert!(span.start <= span.end && span.end <= bytes.len(), "{mistake:?}");
            let boundary = |at: usize| std::str::from_utf8(&bytes[..at]).is_ok();
            assert!(boundary(span.start) && boundary(span.end), "{mistake:?}");
        }
    }
    for object in &read.objects {
        let written = [serde_json::to_string(object).unwrap(), fuzz::written(object)];
        for written in written {
            // Quotes and escapes may take what was just small enough beyond the limit.
            if written.len() > 1024 * 1024 {
                continue;
            }
            let again = fuzz::manifest(written.as_bytes());
            // A warning that came with the object comes with it again.
            for mistake in &again.mistakes {
                assert!(
                    read.mistakes.iter().any(|known| known.told == mistake.told),
                    "{mistake:?} in {written}"
                );
            }
            assert_eq!(again.objects, std::slice::from_ref(object), "{written}");
        }
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Manifests, right and wrong.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["tests/corpus", "tests/fixtures", "manifests"].map(|folder| files_below(&root.join(folder)));
    let wanted = |path: &PathBuf| path.extension().is_some_and(|ending| ending != "txt");
    files.into_iter().flatten().filter(wanted).map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn the_corpus_obeys() {
    let corpus = corpus();
    assert!(corpus.len() > 80, "{}", corpus.len());
    for bytes in &corpus {
        obeys(bytes);
    }
}

/// A change at a place, given as a share of the file.
#[derive(Debug, Clone)]
enum Change {
    Cut(usize),
    Swap(u8),
    Insert(&'static str),
    Double(usize),
}

const PIECES: &[&str] = &[
    "\n",
    "  ",
    "\t",
    ":",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "&a ",
    "*a",
    "<<: ",
    "!!int ",
    "? ",
    "---\n",
    "...\n",
    "#",
    "%",
    "\u{feff}",
    "\u{85}",
    "\0",
    "\r",
    "\\",
    "null",
    "yes",
    "-1",
    "1e999",
    "99999999999",
    "\u{1f600}",
    "{{ .Values.a }}",
    "```",
    "<<<<<<< HEAD\n",
    "=======\n",
    "apiVersion: v1\nkind: Pod\n",
    "metadata:\n",
    "\nspec:\n",
];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (1..200usize).prop_map(Change::Cut),
        any::<u8>().prop_map(Change::Swap),
        proptest::sample::select(PIECES).prop_map(Change::Insert),
        (1..200usize).prop_map(Change::Double),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[(f64, Change)]) -> Vec<u8> {
    for (share, change) in changes {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "any place will do"
        )]
        let at = ((bytes.len() as f64 * share) as usize).min(bytes.len());
        let end = |length: usize, bytes: &[u8]| (at + length).min(bytes.len());
        match change {
            Change::Cut(length) => drop(bytes.drain(at..end(*length, &bytes))),
            Change::Swap(byte) => {
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Change::Insert(piece) => bytes.splice(at..at, piece.bytes()).for_each(drop),
            Change::Double(length) => {
                let part = bytes[at..end(*length, &bytes)].to_vec();
                bytes.splice(at..at, part).for_each(drop);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_manifests_obey(
        file in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((0.0..1.0f64, change()), 1..6),
    ) {
        let corpus = corpus();
        obeys(&changed(file.get(&corpus).clone(), &changes));
    }

    #[test]
    fn any_bytes_obey(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        obeys(&bytes);
    }
}

/// Files that ask for more than they are: each is refused by a count, not by running out.
#[test]
fn bombs_are_refused_by_their_budgets() {
    let laughs: String =
        (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))).collect();
    let merges: String = (1..900).map(|n| format!("m{n}: &m{n} {{<<: *m{}, k{n}: v}}\n", n - 1)).collect();
    let fields = |count: usize| (0..count).map(|n| format!("k{n}: v, ")).collect::<String>();
    let wide = format!("a: &a {{{}}}\nb: [{}]\n", fields(400), "{<<: *a}, ".repeat(900));
    let list_of_merges = format!("a: &a {{{}}}\nb: {{<<: [{}]}}\n", fields(60), "*a, ".repeat(999));
    let bombs = [
        ("aliases in aliases", format!("a0: &a0 [x]\n{laughs}")),
        ("merges in merges", format!("m0: &m0 {{k: v}}\n{merges}")),
        ("one wide mapping, merged often", wide),
        ("a long list of merges", list_of_merges),
        ("a text behind aliases", format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(900))),
        ("brackets", "[".repeat(1_000_000)),
        ("braces", "{a: ".repeat(250_000)),
        ("dashes", "- ".repeat(500_000)),
        ("questions", "? ".repeat(500_000)),
        ("values", "- a\n".repeat(260_000)),
        ("flow values", format!("[{}]", "a,".repeat(500_000))),
        ("documents", "---\na\n".repeat(170_000)),
        ("anchors", (0..60_000).map(|n| format!("- &a{n} a\n")).collect()),
    ];
    for (name, text) in bombs {
        let read = fuzz::manifest(text.as_bytes());
        let told = |words: &str| read.mistakes.iter().any(|mistake| mistake.told.contains(words));
        let budget = told("in one file") || told("nested too deeply");
        assert!(
            budget || told("a single word") || told("a manifest is a mapping"),
            "{name}: {:?}",
            read.mistakes.first()
        );
        obeys(text.as_bytes());
    }
}

#[test]
fn long_words_are_read_or_refused() {
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n";
    let megabyte = |text: &str| text.repeat(1_000_000 / text.len());
    for data in [
        format!("  a: {}\n", megabyte("x")),
        format!("  a: \"{}\"\n", megabyte("\\n")),
        format!("  a: |\n    {}\n", megabyte("ü")),
        format!("  {}: a\n", megabyte("k")),
        format!("  \"{}\": a\n", megabyte("k")),
        format!("  ? {}\n  : a\n", megabyte("k")),
        format!("  a: >\n{}", megabyte("    word\n\n")),
        format!("  a: {}\n", megabyte("word ")),
        megabyte("  # comment\n"),
        megabyte("\n"),
        megabyte("\t"),
        megabyte("'"),
        megabyte("%"),
        megabyte(": "),
        megabyte("\u{feff}"),
    ] {
        obeys(format!("{head}{data}").as_bytes());
    }
}
