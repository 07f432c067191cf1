use serde_json::json;

use super::*;

#[test]
fn scalars_are_read_as_kubectl_reads_them() {
    let cases = [
        ("yes", json!(true)),
        ("on", json!(true)),
        ("Off", json!(false)),
        ("y", json!(true)),
        ("n", json!(false)),
        ("TRUE", json!(true)),
        ("yES", json!("yES")),
        ("", json!(null)),
        ("~", json!(null)),
        ("Null", json!(null)),
        ("0755", json!(493)),
        ("0o755", json!(493)),
        ("-0755", json!(-493)),
        ("1_000", json!(1000)),
        ("0b101", json!(5)),
        ("0x1F", json!(31)),
        ("08", json!(8)),
        ("+12", json!(12)),
        ("0", json!(0)),
        ("-1", json!(-1)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("12345678901234567890123", json!(12_345_678_901_234_567_890_123.0)),
        ("0.5", json!(0.5)),
        (".5", json!(0.5)),
        ("1e3", json!(1000)),
        ("1.0", json!(1)),
        ("1e999", json!("1e999")),
        ("1:30", json!("1:30")),
        ("2024-01-01", json!("2024-01-01")),
        ("2024-01-01T00:00:00Z", json!("2024-01-01T00:00:00Z")),
        ("1.2.3", json!("1.2.3")),
        ("0x", json!("0x")),
        ("0o8", json!("0o8")),
        ("-", json!([null])),
        ("--", json!("--")),
        (".", json!(".")),
        ("1 Gi", json!("1 Gi")),
        ("64Mi", json!("64Mi")),
        ("'yes'", json!("yes")),
        ("\"0755\"", json!("0755")),
        ("!!str yes", json!("yes")),
        ("!!str 5", json!("5")),
        ("!!int \"5\"", json!(5)),
        ("!!binary aGVsbG8=", json!("hello")),
        ("!mine 5", json!("5")),
        ("|\n  yes\n", json!("yes\n")),
        (">-\n  a\n  b\n", json!("a b")),
        (r#""\u00e9 \/""#, json!("é /")),
    ];
    for (text, expected) in cases {
        assert_eq!(value(&format!("a:\n  {text}\n"))["a"], expected, "{text}");
    }
}

#[test]
fn keys_become_text() {
    let keys = value("on: 1\n1: 2\n0x10: 4\n~name: 5\n\"null\": 6\n");
    assert_eq!(keys, json!({"true": 1, "1": 2, "16": 4, "~name": 5, "null": 6}));
    let quoted = "a key that looks like a fraction or a very large number has to be in quotes";
    assert_eq!(messages("1.5: 1\n")[0], quoted);
    assert_eq!(messages("1.0: 1\n")[0], quoted);
    assert_eq!(messages("null: 1\n")[0], "a key cannot be null");
    assert_eq!(messages("{[a]: 1}\n")[0], "a key must be a single word");
}

#[test]
fn merge_keys_fill_in_what_is_not_said() {
    let text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nall:\n  <<: [*base, *more]\n  a: 0\n";
    assert_eq!(value(text)["all"], json!({"a": 0, "b": 2, "c": 4}));
    assert_eq!(value("\"<<\": {a: 1}\n"), json!({"<<": {"a": 1}}));
    let late = "`<<` comes after a field that it gives another value".to_owned();
    assert!(messages("{a: 1, <<: {a: 2}}\n").contains(&late));
    assert_eq!(messages("<<: 1\n")[0], "`<<` takes a mapping or a list of mappings");
}

#[test]
fn the_same_key_in_another_spelling_is_a_duplicate() {
    assert!(messages("a:\n  1: x\n  \"1\": y\n").contains(&"the field is given twice".to_owned()));
}

#[test]
fn escapes_of_json_are_understood_where_the_file_is_json() {
    let json = r#"{"a": "\ud83d\ude00 \\ud83d\\ude00", "b": 1, "b": 2}"#;
    let documents = reader::documents(&Text::new(json));
    assert_eq!(documents.roots[0].1.to_value()["a"], json!(r"😀 \ud83d\ude00"));
    let second = json.rfind(r#""b""#).unwrap();
    assert_eq!(documents.faults[0].labels[0].span, second..second + 3);
    assert_eq!(value("a: |\n  \\ud83d\\ude00\n")["a"], json!("\\ud83d\\ude00\n"));
}
