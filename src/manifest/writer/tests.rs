//! What is written is read back, and looks as kubectl writes it.

use proptest::prelude::*;
use serde_json::json;

use super::super::documents;
use super::*;

#[test]
fn each_text_has_kubectls_quotes() {
    let value = json!({
        "address": "10.77.0.2", "at": "@x", "base60": "12:30:45", "bool": "yes", "colon": "a: b", "date": "2024-1-2",
        "empty": "", "equals": "=", "face": "\u{1f600}", "hash": "a #b", "lines": "a\nb\n", "more": "a\n\n",
        "indented": "  a\nb", "null": "null", "number": "1e3", "octal": "0400", "quote": "it's", "blank": " '",
        "tab": "a\tb", "time": "2023-11-14T22:13:20Z", "version": "1.2.3", "ragged": "a \nb", "y": 1, "list": [],
        "map": {}, "nested": [["a", {"b": ["c"]}], []], "float": 1.5, "large": 1_234_567.5, "a10": true, "a9": null,
        "z".repeat(129): "far", "<<": "<<", "separator": "a\u{2028}b",
    });
    assert_eq!(to_yaml(&value), include_str!("kubectl.yaml"));
}

#[test]
fn long_texts_are_folded_at_a_blank() {
    let words = "words and more ".repeat(7);
    let value = json!({
        "double": format!("{words}\t  {words}"), "plain": words.trim(), "single": words, "no blank": "x".repeat(100),
    });
    let expected = "\
double: \"words and more words and more words and more words and more words and more
  words and more words and more \\t  words and more words and more words and more words
  and more words and more words and more words and more \"
no blank: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
plain: words and more words and more words and more words and more words and more
  words and more words and more
single: 'words and more words and more words and more words and more words and more
  words and more words and more '
";
    assert_eq!(to_yaml(&value), expected);
}

#[test]
fn a_declaration_keeps_its_order() {
    #[derive(Serialize)]
    struct Kept {
        z: u8,
        a: Option<&'static str>,
    }
    assert_eq!(to_yaml_in_order(&Kept { z: 1, a: None }), "z: 1\na: null\n");
}

const PIECES: &[&str] = &[
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "a",
    "word",
    ": ",
    ":",
    " #",
    "#",
    "- ",
    "-",
    "? ",
    "'",
    "\"",
    "\\",
    "0",
    "1",
    "_",
    ".",
    "e",
    "|",
    ">",
    "%",
    "@",
    "`",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&",
    "*",
    "!",
    "~",
    "=",
    "<<",
    "---",
    "...",
    "yes",
    "null",
    "\r",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{a0}",
    "\u{7f}",
    "\u{1b}",
    "\u{1f600}",
    "ä",
    "2024-01-02",
    "T",
    "Z",
    "+",
    "words that fill a line ",
];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(value in value()) {
        // A text of several documents is no value.
        let value = json!({ "value": value });
        let text = to_yaml(&value);
        // A zero byte is in no file.
        prop_assert_eq!(documents(&text), Ok(vec![value]), "{}", text);
    }
}
