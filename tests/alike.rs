//! The same objects given to kubectl and to droppod print alike. Needs kubectl, and no cluster.
#![expect(clippy::unwrap_used, reason = "a test fails by it, and says where")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: default
  labels: {app: web, tier: front, example.org/team: core}
  annotations: {note: "a <b> & \"c\"", text: "one\ntwo\n", number: "0400", empty: ""}
spec:
  restartPolicy: OnFailure
  hostNetwork: false
  terminationGracePeriodSeconds: 5
  containers:
  - name: server
    image: nginx:1.29
    command: [sh, -c, "echo hello; sleep 1"]
    ports: [{containerPort: 80, name: http}, {containerPort: 443, name: https}]
    resources: {limits: {cpu: 500m, memory: 64Mi}}
    volumeMounts: [{name: tmp, mountPath: /tmp}, {name: conf, mountPath: /etc/conf, readOnly: true}]
  - name: helper
    image: droppod.local/host
    tty: true
    ports: [{containerPort: 9000}]
  - name: third
    image: nginx:1.28
    env: [{name: A, value: "1"}, {name: B, value: "yes"}]
  volumes: [{name: tmp, emptyDir: {}}, {name: conf, configMap: {name: settings}}]
"#;

const SETTINGS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default, labels: {app: web}}
data:
  colour: green
  file: |
    first line
      second line

    fourth
  trailing: "spaces  "
  tricky: "yes"
  null: "~"
  colon: "a: b # c"
binaryData: {blob: AAECAwQ=}
"#;

const TEMPLATES: &[&str] = &[
    "{.metadata.name}",
    "{.kind}/{.metadata.name}",
    "name: {.metadata.name}, app: {.metadata.labels.app}",
    "{$.metadata.namespace}",
    "{@.metadata.namespace}",
    "{ .metadata.name }",
    "{.metadata}",
    "{.metadata.labels}",
    "{.metadata.annotations.note}",
    "{.metadata.annotations}",
    "{.metadata.missing}",
    "{.metadata.missing.deeper[0].name}x",
    r"{.metadata.labels.example\.org/team}",
    r"{.metadata.labels['example\.org/team']}",
    "{.metadata.labels['app','tier']}",
    "{.metadata['name', 'namespace']}",
    "{.spec.containers[*].name}",
    "{.spec.containers[*].image}",
    "{.spec.containers[0]}",
    "{.spec.containers[0].name}",
    "{.spec.containers[-1].name}",
    "{.spec.containers[-2:].name}",
    "{.spec.containers[0:2].name}",
    "{.spec.containers[1:].name}",
    "{.spec.containers[:1].name}",
    "{.spec.containers[::2].name}",
    "{.spec.containers[0,2].name}",
    "{.spec.containers[*]['name','image']}",
    "{.spec.containers[*].ports[*].containerPort}",
    "{.spec.containers[*].ports[0].containerPort}",
    "{.spec.containers[7].name}",
    "{.spec.containers.name}",
    "{.spec.containers[?(@.name==\"helper\")].image}",
    "{.spec.containers[?(@.name!='helper')].name}",
    "{.spec.containers[?(@.tty)].name}",
    "{.spec.containers[?(@.tty==true)].name}",
    "{.spec.containers[?(@.ports[0].containerPort>100)].name}",
    "{.spec.containers[*].ports[?(@.containerPort<=443)].containerPort}",
    "{.spec.containers[?(@.resources.limits.cpu)].resources.limits.memory}",
    "{.spec.containers[?(@.name==1)].name}",
    "{..containerPort}",
    "{.spec..mountPath}",
    "{.spec.hostNetwork} {.spec.terminationGracePeriodSeconds}",
    r#"{range .spec.containers[*]}{.name}{"\t"}{.image}{"\n"}{end}"#,
    r#"{range .spec.containers[*]}{.name}: {range .ports[*]}[{.containerPort}]{end}{"\n"}{end}done"#,
    r#"{range .spec.missing[*]}{.name}{end}none"#,
    r#"{range .spec.containers[?(@.ports)]}{.name},{end}"#,
    r#"{"quoted \"text\" \\ \u00e4"}"#,
    "{'it\\'s'}",
    "{3}{true}{1.5}",
    "no braces at all",
    "{.metadata.name",
    "{.spec.containers[x]}",
    "{end}",
    "{foo}",
    "{.metadata.name[0]}",
    "{.spec.containers[?(@.a && @.b)]}",
];

/// kubectl, or why its part is skipped.
fn kubectl() -> Option<()> {
    let found = Command::new("kubectl").args(["version", "--client"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(());
    }
    std::io::stderr().write_all(b"skipped: there is no kubectl to compare with\n").unwrap();
    None
}

struct Objects(PathBuf);

impl Objects {
    fn new(name: &str) -> Objects {
        let directory = std::env::temp_dir().join(format!("droppod-alike-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        Objects(directory)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The label is there already: kubectl prints the object unchanged.
fn by_kubectl(file: &Path, format: &str) -> Output {
    let file = file.to_str().unwrap();
    let args = ["label", "--local", "--overwrite", "-f", file, "app=web", "-o", format];
    Command::new("kubectl").args(args).output().unwrap()
}

fn by_droppod(file: &Path, format: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_droppod"));
    command.args(["get", "--local", "-f", file.to_str().unwrap(), "-o", format]).env_clear();
    command.output().unwrap()
}

fn assert_alike(file: &Path, format: &str) {
    let (theirs, ours) = (by_kubectl(file, format), by_droppod(file, format));
    let text = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    let refused = |output: &Output| !output.status.success();
    assert_eq!(refused(&ours), refused(&theirs), "{format}: {ours:?}");
    if !refused(&theirs) {
        assert_eq!(text(&ours), text(&theirs), "{format}");
    }
}

#[test]
fn templates_print_what_kubectl_prints() {
    let Some(()) = kubectl() else { return };
    let objects = Objects::new("templates");
    let pod = objects.file("pod.yaml", POD);
    assert!(TEMPLATES.len() >= 40);
    for template in TEMPLATES {
        assert_alike(&pod, &format!("jsonpath={template}"));
    }
    let template = objects.file("template", "{range .spec.containers[*]}{.name}\n{end}");
    assert_alike(&pod, &format!("jsonpath-file={}", template.display()));
    assert_alike(&pod, "jsonpath-as-json={.spec.containers[*].name}");
}

#[test]
fn documents_are_written_as_kubectl_writes_them() {
    let Some(()) = kubectl() else { return };
    let objects = Objects::new("documents");
    for (name, text) in [("pod.yaml", POD), ("settings.yaml", SETTINGS)] {
        let file = objects.file(name, text);
        for format in ["json", "name", "yaml"] {
            assert_alike(&file, format);
        }
    }
}

/// Every text that is somewhere in a value.
fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            into.insert(key.clone());
            texts(value, into);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// kubectl itself reads these back as something else, or escapes all that follows (a byte order mark).
fn is_lost_by_kubectl(text: &str) -> bool {
    text.contains(|c| matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

#[test]
fn each_telling_text_is_quoted_and_folded_as_kubectl_does() {
    let Some(()) = kubectl() else { return };
    let objects = Objects::new("texts");
    let answers = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl/answers.json")).unwrap();
    let mut found = BTreeSet::new();
    texts(&serde_json::from_slice(&answers).unwrap(), &mut found);
    found.retain(|text| !is_lost_by_kubectl(text));
    // What stands far to the right is folded.
    let folded: Vec<String> = found.iter().map(|text| format!("{}{text}", "long words ".repeat(9))).collect();
    found.extend(folded);
    assert!(found.len() > 1000, "{}", found.len());
    let data: serde_json::Map<String, Value> =
        found.into_iter().enumerate().map(|(at, text)| (format!("text-{at}"), text.into())).collect();
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {"name": "texts", "namespace": "default", "labels": {"app": "web"}},
    });
    let file = objects.file("texts.json", &map.to_string());
    assert_alike(&file, "yaml");
}

#[test]
fn formats_that_are_not_served_are_refused_with_a_word() {
    let objects = Objects::new("formats");
    let pod = objects.file("pod.yaml", POD);
    for (format, word) in [
        ("go-template={{.metadata.name}}", "Go templates are not served"),
        ("jsonpath", "a template is missing"),
        ("jsonpath={.a", "has no }"),
        ("custom-columns=NAME", "NAME:.metadata.name"),
        ("xml", "there are wide, yaml, json"),
    ] {
        let refused = by_droppod(&pod, format);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{format}: {said}");
        assert!(said.contains(word), "{format}: {said}");
    }
}
