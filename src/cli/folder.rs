//! The folder that `apply`, `run` and `delete` write to: one file for each object.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::manifest::{Declared, Policy, Strictness, read};
use crate::model::object::ObjectKey;
use crate::publish::{Durability, Published, publish};
use crate::status::to_yaml;

use super::exit::Exit;
use super::failure::Failure;
use super::input::{Depth, manifests_in};
use super::records::Records;

/// What a manifest that names no namespace means by that in a folder.
pub(crate) const NAMESPACE: &str = "default";

/// The folder, and what its files declare at this moment.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    declared: Vec<(ObjectKey, Place)>,
}

/// Where an object is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// 1-based; unknown for files outside of the folder.
    pub(crate) line: Option<usize>,
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
    pub(crate) fn look(path: &Path) -> Result<Folder, Failure> {
        let unread = |error| {
            Failure::new(Exit::Failed, format!("cannot read the folder {}", path.display())).because(error)
        };
        let files = match manifests_in(path, Depth::Recursive) {
            Ok(listed) => listed.files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unread(error)),
        };
        let mut declared = Vec::new();
        for file in files {
            let text = std::fs::read(&file).map_err(unread)?;
            for Declared { key, line, .. } in
                read(&text, NAMESPACE, Strictness::Ignore, &Policy::default()).objects
            {
                declared.push((key, Place { path: file.clone(), line: Some(line) }));
            }
        }
        Ok(Folder { path: path.to_owned(), declared })
    }

    /// Where an object is declared: in this folder, or in another that the instance knows.
    pub(crate) fn place_of(&self, key: &ObjectKey, records: &Records) -> Option<Place> {
        let here = self.declared.iter().find(|(known, _)| known == key).map(|(_, place)| place.clone());
        here.or_else(|| {
            let shown = records.shown.iter().find(|shown| shown.known.record.key == *key)?;
            let path = shown.known.record.source.absolute();
            (!path.starts_with(&self.path) && path.exists()).then_some(Place { path, line: None })
        })
    }

    /// The file that `apply` keeps an object in.
    pub(crate) fn own_file(&self, key: &ObjectKey) -> PathBuf {
        self.path.join(file_name(key))
    }

    pub(crate) fn write(&self, key: &ObjectKey, authored: &Value) -> Result<Change, Failure> {
        let file = self.own_file(key);
        let unwritten = |error: io::Error| {
            Failure::new(Exit::Failed, format!("cannot write {}", file.display())).because(error)
        };
        DirBuilder::new().recursive(true).mode(0o755).create(&self.path).map_err(unwritten)?;
        let present = file.symlink_metadata().is_ok();
        let mode = if key.kind == "Secret" { 0o600 } else { 0o644 };
        match publish(&file, to_yaml(authored).as_bytes(), mode, Durability::Durable).map_err(unwritten)? {
            Published::Unchanged => Ok(Change::Unchanged),
            Published::Written if present => Ok(Change::Configured),
            Published::Written => Ok(Change::Created),
        }
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
