use proptest::prelude::*;

use super::*;

#[test]
fn billion_laughs_are_refused() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    assert_eq!(messages(&text)[0], "more than 50000 values in one file");
}

#[test]
fn a_large_text_behind_many_aliases_is_refused() {
    let text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(500_000), vec!["*a"; 500].join(", "));
    assert_eq!(messages(&text)[0], "more than 1048576 bytes behind anchors in one file");
}

#[test]
fn deep_nesting_is_refused() {
    let too_deep = "more than 64 levels in one file";
    // The parser has a limit of its own for brackets, which it meets while looking for the colon of a key.
    assert_eq!(messages(&"[".repeat(1_000))[0], "the brackets are nested too deeply");
    assert_eq!(messages(&"{a: ".repeat(1_000))[0], "the brackets are nested too deeply");
    assert_eq!(messages(&"[".repeat(100_000))[0], "more than 50000 values in one file");
    assert_eq!(messages(&"- ".repeat(100_000))[0], too_deep);
    let steps: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(messages(&steps)[0], too_deep);
    let mut chained = "a0: &a0 [x]\n".to_owned();
    for level in 1..100 {
        chained.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert_eq!(messages(&chained)[0], too_deep);
}

#[test]
fn a_value_cannot_hold_itself() {
    let text = "a: &a [*a]\n";
    assert_eq!(messages(text)[0], "the alias names nothing that was written before it in this document");
}

#[test]
fn an_anchor_is_gone_with_its_document() {
    let text = "a: &a 1\n---\nb: *a\n";
    let said = messages(text);
    assert!(said.contains(&"the alias names nothing that was written before it in this document".to_owned()));
}

#[test]
fn too_much_of_anything_is_refused() {
    assert_eq!(messages(&"- a\n".repeat(60_000))[0], "more than 50000 values in one file");
    let namespace = |n| format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{n}}}\n");
    assert_eq!(strict(&(0..100).map(namespace).collect::<String>()).objects.len(), 100);
    assert_eq!(
        messages(&(0..101).map(namespace).collect::<String>()),
        ["more than 100 documents in one file"]
    );
    assert_eq!(messages(&"#".repeat(FILE_LIMIT + 1))[0], "the file is larger than 1048576 bytes");
    let many = format!("{POD}  {}", (0..20_000).map(|n| format!("f{n}: 1\n  ")).collect::<String>());
    assert_eq!(strict(&many).mistakes.len(), 100);
}

/// Pieces that a manifest is made of, put together without sense.
const PIECES: &[&str] = &[
    "apiVersion: v1\n",
    "kind: Pod\n",
    "kind: List\n",
    "kind: Secret\n",
    "metadata:\n",
    "  name: web\n",
    "spec:\n",
    "data:\n",
    "items:\n",
    "  containers:\n",
    "  - name: app\n",
    "    image: a\n",
    "    env: *a\n",
    "&a ",
    "*a ",
    "<<: ",
    "- ",
    "? ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "!!binary ",
    "!",
    "#",
    "\t",
    "\r\n",
    " ",
    "\n",
    "\u{feff}",
    "ü",
    "\0",
    "\\",
    "null",
    "yes",
    "0755",
    "1e999",
    "~",
    "😀",
    "    resources: {limits: {cpu: x}}\n",
    "    ports: [{containerPort: 0}]\n",
    "  volumes: [{name: a, nfs: {}}]\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let reading = read(&bytes, "default", Strictness::Strict, &Policy::default());
        prop_assert!(reading.objects.is_empty());
    }

    #[test]
    fn no_pieces_make_it_panic(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)) {
        let text = pieces.concat();
        let reading = strict(&text);
        for mistake in &reading.mistakes {
            for label in &mistake.labels {
                prop_assert!(text.get(label.span.clone()).is_some(), "{:?} in {text:?}", label);
            }
        }
        for declared in &reading.objects {
            prop_assert_eq!(&revive(&declared.authored).unwrap(), &*declared.object);
        }
    }

    #[test]
    fn json_and_yaml_of_one_manifest_read_the_same(
        name in "[a-z]{1,10}",
        data in proptest::collection::btree_map("[a-zA-Z0-9_.-]{1,12}", any::<String>(), 0..6),
    ) {
        let keys = data.keys().all(|key| key != "." && !key.starts_with(".."));
        prop_assume!(keys);
        let map = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data,
        });
        let json = serde_json::to_string_pretty(&map).unwrap();
        let yaml = to_yaml(&map);
        prop_assume!(strict(&yaml).mistakes.is_empty());
        prop_assert_eq!(&*the(&json).authored, &map);
        prop_assert_eq!(&the(&json).object, &the(&yaml).object);
    }
}

#[test]
fn a_broken_file_with_a_byte_order_mark_is_refused() {
    assert!(!strict("\u{feff}a: [\n").mistakes.is_empty());
    assert!(!strict("\u{feff}a: b: c\n").mistakes.is_empty());
}
