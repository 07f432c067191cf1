//! The folder that `apply`, `run` and `delete` write to: one file for each object.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::daemon::folder::trust::folder_objection;
use crate::manifest::{Declared, Policy, Severity, Strictness, read, to_yaml};
use crate::model::object::ObjectKey;
use crate::publish::{Durability, Published, publish};

use super::exit::Exit;
use super::failure::Failure;
use super::input::{self, Depth, manifests_in};
use super::records::Records;
use super::selector::Selector;
use super::settings::{Settings, absolute, file_of};

/// What a manifest that names no namespace means by that in a folder.
pub(crate) const NAMESPACE: &str = "default";

/// The folder, and what its files declare at this moment.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    declared: Vec<Entry>,
    /// Files with mistakes in them: what they declared before may still be in force.
    broken: Vec<PathBuf>,
}

#[derive(Debug)]
struct Entry {
    key: ObjectKey,
    labels: BTreeMap<String, String>,
    place: Place,
}

/// Where an object is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// 1-based; unknown for files outside of the folder.
    pub(crate) line: Option<usize>,
}

/// What stands where `apply` keeps an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holds {
    Nothing,
    /// The object or nothing, and no other: the file may be written over and removed.
    OnlyIt,
    /// Something that must not be lost, in words that go on after "which".
    More(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Created,
    Configured,
    Unchanged,
}

impl Change {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Change::Created => "created",
            Change::Configured => "configured",
            Change::Unchanged => "unchanged",
        }
    }
}

impl Folder {
    /// A file with mistakes in it declares nothing; a folder that is not there has no files.
    ///
    /// # Errors
    /// If others could have written what is in it, or put another in its place.
    pub(crate) fn look(settings: &Settings) -> Result<Folder, Failure> {
        must_be_safe(&settings.named_manifests)?;
        let path = &settings.manifests;
        let unread = |error| {
            Failure::new(Exit::Failed, format!("cannot read the folder {}", path.display())).because(error)
        };
        let files = match manifests_in(path, Depth::Recursive) {
            Ok(listed) => listed.files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unread(error)),
        };
        let (mut declared, mut broken) = (Vec::new(), Vec::new());
        for file in files {
            let text = std::fs::read(&file).map_err(unread)?;
            let reading = read(&text, NAMESPACE, Strictness::Ignore, &Policy::default());
            if reading.is_broken() {
                broken.push(file.clone());
            }
            declared.extend(reading.objects.into_iter().map(|Declared { key, line, object, .. }| Entry {
                key,
                labels: object.metadata().labels.clone().unwrap_or_default(),
                place: Place { path: file.clone(), line: Some(line) },
            }));
        }
        Ok(Folder { path: path.clone(), declared, broken })
    }

    /// Where an object is declared: in this folder, or in another that the instance knows. A file that is broken
    /// declares what is in force from it.
    pub(crate) fn place_of(&self, key: &ObjectKey, records: &Records) -> Option<Place> {
        let here = self.declared.iter().find(|entry| entry.key == *key).map(|entry| entry.place.clone());
        here.or_else(|| {
            let shown = records.shown.iter().find(|shown| shown.known.record.key == *key)?;
            let path = file_of(&shown.known.record.source);
            let declares = if path.starts_with(&self.path) {
                shown.known.record.deletion.is_none() && self.broken.contains(&path)
            } else {
                path.exists()
            };
            declares.then_some(Place { path, line: None })
        })
    }

    /// Objects with these labels that the files declare, in force or not.
    pub(crate) fn chosen(&self, selector: &Selector) -> impl Iterator<Item = &ObjectKey> {
        self.declared.iter().filter(|entry| selector.matches(&entry.labels)).map(|entry| &entry.key)
    }

    /// The file that `apply` keeps an object in.
    pub(crate) fn own_file(&self, key: &ObjectKey) -> PathBuf {
        self.path.join(file_name(key))
    }

    /// Whether the file that `apply` keeps an object in is the object's own: somebody may have put more into it.
    pub(crate) fn own_file_holds(&self, key: &ObjectKey) -> Holds {
        let file = self.own_file(key);
        if file.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Holds::Nothing;
        }
        match input::from_file(&file) {
            Ok(input) => holds(&input.text, key),
            Err(error) => Holds::More(format!("cannot be read: {error}")),
        }
    }

    pub(crate) fn write(&self, key: &ObjectKey, authored: &Value) -> Result<Change, Failure> {
        let file = self.own_file(key);
        let unwritten = |error: io::Error| {
            Failure::new(Exit::Failed, format!("cannot write {}", file.display())).because(error)
        };
        DirBuilder::new().recursive(true).mode(0o755).create(&self.path).map_err(unwritten)?;
        let change = self.change(key, authored);
        let mode = if key.kind == "Secret" { 0o600 } else { 0o644 };
        match publish(&file, to_yaml(authored).as_bytes(), mode, Durability::Durable).map_err(unwritten)? {
            Published::Unchanged => Ok(Change::Unchanged),
            Published::Written => Ok(change),
        }
    }

    /// What writing it would come to.
    pub(crate) fn change(&self, key: &ObjectKey, authored: &Value) -> Change {
        match input::from_file(&self.own_file(key)) {
            Ok(present) if present.text == to_yaml(authored).as_bytes() => Change::Unchanged,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Change::Created,
            Ok(_) | Err(_) => Change::Configured,
        }
    }
}

/// By the rule of `watch`: what is written there is to run, what is taken from there may be another's.
fn must_be_safe(folder: &Path) -> Result<(), Failure> {
    match absolute(folder).and_then(|folder| folder_objection(&folder)) {
        Ok(None) => Ok(()),
        Ok(Some((at, why))) => {
            let what = format!("folder {} is not safe to keep manifests in", folder.display());
            let help = "let only root, or whoever runs this, own it and write there, or name another: --manifests DIR";
            Err(Failure::new(Exit::Failed, what).because(format!("{}: {why}", at.display())).help(help))
        }
        // All that is on the way to where it would be made was looked at.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            Err(Failure::new(Exit::Failed, format!("cannot read the folder {}", folder.display()))
                .because(error))
        }
    }
}

fn holds(text: &[u8], key: &ObjectKey) -> Holds {
    let reading = read(text, NAMESPACE, Strictness::Ignore, &Policy::default());
    if let Some(mistake) = reading.mistakes.iter().find(|one| one.severity == Severity::Error) {
        return Holds::More(format!("has a mistake in line {}: {}", mistake.line, mistake.message));
    }
    match reading.objects.iter().find(|one| one.key != *key) {
        Some(other) if other.key.namespace == key.namespace => Holds::More(format!("declares {}", other.key)),
        Some(other) => Holds::More(format!("declares {} of namespace {}", other.key, other.key.namespace)),
        None => Holds::OnlyIt,
    }
}

/// `<namespace>.<kind>.<name>.yaml`. Neither namespaces nor kinds have dots in them, so no two objects share one.
fn file_name(key: &ObjectKey) -> String {
    let kind = key.kind.to_lowercase();
    if key.namespace.is_empty() {
        format!("{kind}.{}.yaml", key.name)
    } else {
        format!("{}.{kind}.{}.yaml", key.namespace, key.name)
    }
}

/// The manifest means files beside itself by relative archive paths; the folder lies elsewhere.
pub(crate) fn anchor_images(authored: &mut Value, base: &Path) {
    match authored {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("containers" | "initContainers", Value::Array(containers)) => {
                        for container in containers {
                            if let Some(Value::String(image)) = container.get_mut("image") {
                                anchor(image, base);
                            }
                        }
                    }
                    (_, value) => anchor_images(value, base),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| anchor_images(item, base)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn anchor(image: &mut String, base: &Path) {
    for prefix in ["oci:", "oci-archive:", "docker-archive:"] {
        if let Some(path) = image.strip_prefix(prefix)
            && !path.starts_with('/')
        {
            *image = format!("{prefix}{}", base.join(path).display());
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(namespace: &str, kind: &str, name: &str) -> ObjectKey {
        ObjectKey { group: String::new(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn each_object_has_a_file_of_its_own() {
        assert_eq!(file_name(&key("default", "Pod", "web")), "default.pod.web.yaml");
        assert_eq!(file_name(&key("a-b", "ConfigMap", "x.y")), "a-b.configmap.x.y.yaml");
        assert_eq!(file_name(&key("", "Namespace", "batch")), "namespace.batch.yaml");
    }

    #[test]
    fn a_file_is_an_objects_own_if_it_declares_nothing_else() {
        let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
        let a = key("default", "ConfigMap", "a");
        let held = |text: &str| holds(text.as_bytes(), &a);
        let more = |what: &str| Holds::More(what.to_owned());
        assert_eq!(held(&format!("# mine\n{}---\n", map("a"))), Holds::OnlyIt);
        assert_eq!(held(""), Holds::OnlyIt);
        assert_eq!(held(&format!("{}---\n{}", map("a"), map("b"))), more("declares configmap/b"));
        assert_eq!(held(&map("b")), more("declares configmap/b"));
        let elsewhere = map("a, namespace: other");
        assert_eq!(held(&elsewhere), more("declares configmap/a of namespace other"));
        let broken = held(&format!("{}---\n{}data: {{x: 1}}\n", map("a"), map("b")));
        let Holds::More(what) = broken else { panic!("{broken:?}") };
        assert!(what.starts_with("has a mistake in line 8: "), "{what}");
    }

    #[test]
    fn archives_beside_the_manifest_are_found_from_the_folder() {
        let mut pod = json!({"spec": {
            "containers": [{"image": "oci-archive:app.tar:v1"}, {"image": "oci:/abs"}, {"image": "nginx"}],
            "initContainers": [{"image": "docker-archive:./x.tar"}],
        }});
        anchor_images(&mut pod, Path::new("/src"));
        let expected = json!({"spec": {
            "containers": [{"image": "oci-archive:/src/app.tar:v1"}, {"image": "oci:/abs"}, {"image": "nginx"}],
            "initContainers": [{"image": "docker-archive:/src/./x.tar"}],
        }});
        assert_eq!(pod, expected);
    }
}
