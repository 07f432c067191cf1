//! YAML means here what it means to kubectl: the same text comes to the same values, or is refused by both.
//!
//! `answers.json` holds the telling texts with kubectl's answers, so that the ordinary test needs no kubectl. Where
//! there is one (`apt install kubernetes-client`) the answers are asked for again, and so are those to generated
//! texts. With `DROPPOD_BLESS` set, `answers.json` is written.
#![expect(clippy::unwrap_used, reason = "a test fails by it, and says where")]
#![expect(clippy::print_stderr, reason = "a test that fails says what was compared")]

mod cases;
mod generate;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

/// What kubectl made of a text: its objects, or nothing if it refused.
type Answer = Option<Vec<Value>>;

/// What we refuse on purpose although kubectl takes it, by our message.
const STRICTER: &[&str] = &[
    // kubectl takes the last of two equal keys without a word.
    "the field is given twice",
    "a second object begins here",
    // kubectl lets it override the field, YAML does not: nobody could tell which is meant.
    "`<<` comes after a field",
    // kubectl makes `1` of `1.0` and `1e+06` of `1e6`.
    "a key that looks like a fraction",
    "infinity and not-a-number",
    // kubectl takes a tab as a blank in some places and not in others.
    "a tab stands where YAML wants spaces",
    // kubectl puts replacement characters in.
    "the decoded value is not text",
    // Budgets.
    "in one file",
];

/// Texts with this in them are read otherwise than by kubectl, each for its reason.
const OTHERWISE: &[(&str, &str)] = &[
    ("\"\\/\"", "the escape is JSON's"),
    ("  \ta: b", "a tab after the indentation is a blank"),
    ("|\n    \tb", "a tab after the indentation of a block is text"),
    ("\u{85}", "a line end of YAML 1.1 only"),
    ("\u{2028}", "a line end of YAML 1.1 only"),
    ("a: \u{feff}x", "a byte order mark is refused inside of a text"),
    ("|#", "a comment wants a blank before it"),
    ("{b:}", "YAML 1.2 ends the key at the colon"),
    ("[::]", "YAML 1.2 ends the key at the colon"),
    ("[\n  b,\n  c\n]", "what stands in brackets is indented"),
    ("*x-1.y", "YAML 1.2 takes dots in the names of anchors"),
    ("!!timestamp x", "nothing here is a time until its field says so"),
    ("--- {", "YAML 1.2 lets a document begin in the line of its marker"),
    ("--- text", "YAML 1.2 lets a document begin in the line of its marker"),
    ("\n---\n{apiVersion", "kubectl takes what begins with a brace for JSON"),
    ("\"a\": 1,}", "kubectl takes what begins with a brace for JSON"),
    ("{c: |-", "inside of brackets a block is plain text"),
    ("%YAML 1.1", "a directive is allowed"),
];

const SEED: u64 = 20_260;
const GENERATED: usize = 500;
/// Files given to one kubectl.
const BATCH: usize = 100;

fn answers_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl/answers.json")
}

fn kubectl() -> bool {
    let found =
        Command::new("kubectl").args(["version", "--client"]).output().is_ok_and(|out| out.status.success());
    if !found {
        std::io::stderr().write_all(b"skipped: there is no kubectl on this machine\n").unwrap();
    }
    found
}

/// A directory of its own, gone with it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Every text has the object's name `@@` in it, by which the answers are told apart.
fn ask_kubectl(label: &str, texts: &[String]) -> Vec<Answer> {
    let folder = Folder(std::env::temp_dir().join(format!("droppod-kubectl-{label}-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let mut answers = Vec::new();
    for (batch, texts) in texts.chunks(BATCH).enumerate() {
        let mut command = Command::new("kubectl");
        command.args(["label", "--local", "-o", "json", "x=y"]).env("KUBECONFIG", "/dev/null");
        let mut paths = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let path = folder.0.join(format!("{batch}-{index}.yaml"));
            std::fs::write(&path, text.replace("@@", &format!("case-{index}"))).unwrap();
            command.arg("-f").arg(&path);
            paths.push(path);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let mut objects: Vec<Vec<Value>> = vec![Vec::new(); texts.len()];
        for object in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>() {
            let mut object = object.unwrap();
            let metadata = object["metadata"].as_object_mut().unwrap();
            let index: usize =
                metadata["name"].as_str().unwrap().strip_prefix("case-").unwrap().parse().unwrap();
            metadata["name"] = json!("@@");
            without_label(metadata);
            objects[index].push(object);
        }
        for (objects, path) in objects.into_iter().zip(paths) {
            let refused = said.contains(&format!("{}:", path.display()));
            assert!(
                refused || !objects.is_empty() || said.contains("no objects"),
                "{}\n{said}",
                path.display()
            );
            answers.push((!refused).then_some(objects));
        }
    }
    answers
}

/// kubectl had to be asked to do something.
fn without_label(metadata: &mut Map<String, Value>) {
    let Some(Value::Object(labels)) = metadata.get_mut("labels") else { return };
    labels.remove("x");
    if labels.is_empty() {
        metadata.remove("labels");
    }
}

/// kubectl keeps numbers beyond 64 signed bits as floats.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => {
            let (a_float, b_float) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a == b || (a_float - b_float).abs() <= a_float.abs() * 1e-15
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (ours, theirs) => ours == theirs,
    }
}

/// How we differ from kubectl over a text, if we do and do not mean to.
fn difference(text: &str, theirs: &Answer) -> Option<String> {
    if OTHERWISE.iter().any(|(known, _)| text.contains(known)) {
        return None;
    }
    let ours = droppod::fuzz::documents(text);
    match (&ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            let equal = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b));
            (!equal).then(|| format!("---- {text:?}\n ours {}\n theirs {}", json!(ours), json!(theirs)))
        }
        (Err(_), None) => None,
        (Ok(ours), None) => Some(format!("---- {text:?}\n ours {}\n theirs refused", json!(ours))),
        (Err(why), Some(theirs)) => {
            let meant = why.iter().all(|why| STRICTER.iter().any(|known| why.contains(known)));
            (!meant).then(|| format!("---- {text:?}\n ours refused: {why:?}\n theirs {}", json!(theirs)))
        }
    }
}

/// Says how many texts were compared, beside those of which we mean to differ.
fn agree(what: &str, texts: &[String], answers: &[Answer]) -> usize {
    let differences: Vec<String> =
        texts.iter().zip(answers).filter_map(|(text, answer)| difference(text, answer)).collect();
    assert!(differences.is_empty(), "{} of {}\n{}", differences.len(), texts.len(), differences.join("\n"));
    let apart = texts.iter().filter(|text| OTHERWISE.iter().any(|(known, _)| text.contains(known))).count();
    let (alike, refused) = (texts.len() - apart, answers.iter().filter(|answer| answer.is_none()).count());
    eprintln!(
        "{what}: {alike} texts read as kubectl reads them, {refused} refused by kubectl, {apart} set apart"
    );
    alike
}

fn recorded() -> (Vec<String>, Vec<Answer>) {
    let recorded: Value = serde_json::from_slice(&std::fs::read(answers_file()).unwrap()).unwrap();
    let answer = |case: &Value| match &case["json"] {
        Value::Array(objects) => Some(objects.clone()),
        _ => None,
    };
    let cases = recorded.as_array().unwrap();
    let texts = cases.iter().map(|case| case["yaml"].as_str().unwrap().to_owned()).collect();
    (texts, cases.iter().map(answer).collect())
}

#[test]
fn the_telling_texts_are_read_as_kubectl_read_them() {
    let (texts, answers) = recorded();
    let alike = agree("by hand", &texts, &answers);
    assert!(alike >= 300, "{alike}");
}

#[test]
fn kubectl_still_answers_as_it_did() {
    if !kubectl() {
        return;
    }
    let texts = cases::texts();
    let answers = ask_kubectl("recorded", &texts);
    if std::env::var_os("DROPPOD_BLESS").is_some() {
        let cases: Vec<Value> =
            texts.iter().zip(&answers).map(|(yaml, json)| json!({"yaml": yaml, "json": json})).collect();
        let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
        std::fs::write(answers_file(), format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    let (recorded_texts, recorded_answers) = recorded();
    assert_eq!(recorded_texts, texts, "run this with DROPPOD_BLESS=1 after a change of the cases");
    for ((text, then), now) in texts.iter().zip(&recorded_answers).zip(&answers) {
        let equal = match (then, now) {
            (Some(then), Some(now)) => same(&json!(then), &json!(now)),
            (then, now) => then.is_none() && now.is_none(),
        };
        assert!(equal, "{text:?}\n then {then:?}\n now {now:?}");
    }
}

#[test]
fn generated_texts_are_read_as_kubectl_reads_them() {
    if !kubectl() {
        return;
    }
    let texts = generate::texts(SEED, GENERATED);
    let answers = ask_kubectl("generated", &texts);
    let taken = answers.iter().flatten().count();
    assert!(taken > GENERATED / 2, "most of the texts are YAML: {taken}");
    let alike = agree("generated", &texts, &answers);
    assert!(alike >= 300, "{alike}");
}
