use super::*;
use crate::cli::report::PLAIN_WIDTH;

/// A directory of its own for one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn with(test: &str, files: &[(&str, &str)]) -> Folder {
        let folder =
            Folder(std::env::temp_dir().join(format!("droppod-validate-{test}-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        for (name, text) in files {
            let path = folder.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Verdict, data, diagnostics.
fn validated(paths: &[PathBuf], input: &str) -> (Verdict, String, String) {
    let manner = Manner {
        namespace: "default",
        strictness: Strictness::Strict,
        policy: &Policy::default(),
        drawing: Drawing::Plain,
        width: PLAIN_WIDTH,
        color: Color::Plain,
    };
    let mut input = input.as_bytes();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let verdict = validate(paths, manner, &mut input, &mut out, &mut err).unwrap();
    (verdict, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n";

#[test]
fn a_directory_is_read_as_watch_reads_it() {
    let folder = Folder::with(
        "directory",
        &[
            ("b.yaml", MAP),
            (
                "a/c.json",
                "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"team\"}}",
            ),
            ("b.status.yaml", "broken: ["),
            (".hidden.yaml", "broken: ["),
            ("old.yaml~", "broken: ["),
            ("old.yaml.bak", "broken: ["),
            ("notes.txt", "broken: ["),
            ("later.yaml", "broken: ["),
            ("later.yaml.skip", ""),
            ("drafts/d.yaml", "broken: ["),
            (".droppodignore", "drafts/\n"),
        ],
    );
    let (verdict, out, err) = validated(std::slice::from_ref(&folder.0), "");
    assert_eq!((verdict, err.as_str()), (Verdict::Valid, ""));
    assert_eq!(out, "namespace/team valid\nconfigmap/settings valid\n");
}

#[test]
fn a_bad_file_does_not_hide_a_good_one() {
    let folder = Folder::with("bad", &[("a.yaml", "apiVersion: v1\nkind: Pdo\n"), ("b.yaml", MAP)]);
    let (verdict, out, err) = validated(std::slice::from_ref(&folder.0), "");
    assert_eq!((verdict, out.as_str()), (Verdict::Invalid, "configmap/settings valid\n"));
    assert!(err.contains("did you mean `Pod`?"), "{err}");
}

#[test]
fn standard_input_is_a_dash() {
    let (verdict, out, err) = validated(&[PathBuf::from("-")], NAMESPACE);
    assert_eq!((verdict, out.as_str(), err.as_str()), (Verdict::Valid, "namespace/team valid\n", ""));
}

#[test]
fn what_has_no_effect_is_noted() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
    let (verdict, out, err) = validated(&[PathBuf::from("-")], service);
    assert_eq!((verdict, out.as_str()), (Verdict::Valid, "service/web not served, not checked\n"));
    assert_eq!(
        err,
        "warning: <stdin>:2: kind Service is not served by this version, nothing comes of the object\n"
    );
}

#[test]
fn an_object_of_two_files_is_told() {
    let folder = Folder::with("twice", &[("a.yaml", MAP), ("b.yaml", MAP)]);
    let (verdict, _, err) = validated(std::slice::from_ref(&folder.0), "");
    assert_eq!(verdict, Verdict::Invalid);
    let at = |name: &str| folder.0.join(name).display().to_string();
    assert_eq!(
        err,
        format!("error: {}:1: configmap/settings is also declared in {}\n", at("b.yaml"), at("a.yaml"))
    );
}

#[test]
fn what_cannot_be_read_is_trouble() {
    let (verdict, out, err) =
        validated(&[PathBuf::from("/nonexistent.yaml"), PathBuf::from("/dev/zero")], "");
    assert_eq!((verdict, out.as_str()), (Verdict::Trouble, ""));
    assert!(err.starts_with("error: cannot read /nonexistent.yaml\n  because: No such file"), "{err}");
    assert!(err.contains("error: cannot read /dev/zero\n  because: it is not a regular file\n"), "{err}");
    let (verdict, out, err) = validated(&[PathBuf::from("https://example.org/web.yaml")], "");
    assert_eq!((verdict, out.as_str()), (Verdict::Trouble, ""));
    assert!(
        err.ends_with(
            "curl -fsSL https://example.org/web.yaml | droppod apply -f -; other verbs take -f - as well\n"
        ),
        "{err}"
    );
}

#[test]
fn a_name_that_is_nearly_right_is_told() {
    let folder = Folder::with("nearly", &[("web.yaml", MAP)]);
    let (verdict, _, err) = validated(&[folder.0.join("wbe.yaml")], "");
    assert_eq!(verdict, Verdict::Trouble);
    assert!(err.ends_with(&format!("did you mean {}?\n", folder.0.join("web.yaml").display())), "{err}");
}

#[test]
fn where_there_is_nothing_that_is_said() {
    let folder = Folder::with("nothing", &[("notes.txt", "")]);
    let (verdict, out, err) = validated(std::slice::from_ref(&folder.0), "");
    assert_eq!((verdict, out.as_str()), (Verdict::Trouble, ""));
    assert!(err.starts_with("error: there is no manifest in "), "{err}");
    let (verdict, out, err) = validated(&[PathBuf::from("-")], "# nothing\n");
    assert_eq!((verdict, out.as_str()), (Verdict::Valid, ""));
    assert_eq!(err, "warning: nothing is declared in <stdin>\n");
}

#[test]
fn many_mistakes_are_counted_at_the_end() {
    let spec = "spec: {a: 1, b: 2, c: 3, containers: [{name: a, image: a}], d: 4}\n";
    let pod = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\n{spec}");
    let (verdict, _, err) = validated(&[PathBuf::from("-")], &pod);
    assert_eq!(verdict, Verdict::Invalid);
    assert!(err.ends_with("\n\n<stdin>: 4 mistakes\n"), "{err}");
}
