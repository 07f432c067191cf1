//! What an edit touched: hashes of the author's own words, so that order, comments and our defaults never count.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::model::pod_plan::{PodPlan, Revision, VolumePlan};

const LIVE_METADATA: [&str; 2] = ["labels", "annotations"];
const LIVE_SPEC: [&str; 2] = ["terminationGracePeriodSeconds", "activeDeadlineSeconds"];
const LIVE_CONTAINER: [&str; 2] = ["image", "resources"];

/// `volumes` are the resolved ones: what a ConfigMap or Secret holds changes in a living pod's files.
pub(super) fn revision(authored: &Value, volumes: &BTreeMap<String, VolumePlan>) -> Revision {
    let mut spec = authored.get("spec").cloned().unwrap_or_default();
    let live = take_live(authored, &mut spec);
    let mut hash = Sha256::new();
    hash.update(canonical(&live));
    for (name, volume) in volumes {
        match volume {
            VolumePlan::Files { files, .. } => {
                for file in files {
                    // Lengths keep one file's end from being read as the next one's start.
                    for part in [name.as_bytes(), file.path.as_bytes(), &file.content] {
                        hash.update(part.len().to_le_bytes());
                        hash.update(part);
                    }
                }
            }
            VolumePlan::EmptyDir { .. } | VolumePlan::HostPath { .. } => {}
        }
    }
    Revision { pod: hex(&Sha256::digest(canonical(&spec))), live: hex(&hash.finalize()) }
}

/// That of a pod which has taken over all of an edit but for images.
pub(super) fn with_images_of(
    told: &PodPlan,
    authored: &Value,
    volumes: &BTreeMap<String, VolumePlan>,
) -> Revision {
    let mut authored = authored.clone();
    for list in ["initContainers", "containers"] {
        let Some(Value::Array(containers)) = authored.pointer_mut(&format!("/spec/{list}")) else { continue };
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            if let Some(given) = told.all_containers().find(|given| given.name == name) {
                container.insert("image".to_owned(), Value::from(given.image.authored.as_str()));
            }
        }
    }
    revision(&authored, volumes)
}

/// Whether a pod that was made from one content can take over the other.
pub(crate) fn is_same_pod(one: &Value, other: &Value) -> bool {
    let lasting = |authored: &Value| {
        let mut spec = authored.get("spec").cloned().unwrap_or_default();
        take_live(authored, &mut spec);
        canonical(&spec)
    };
    lasting(one) == lasting(other)
}

/// Takes out of `spec` what a living pod takes over.
fn take_live(authored: &Value, spec: &mut Value) -> Value {
    let mut live = Map::new();
    for field in LIVE_METADATA {
        live.insert(
            field.to_owned(),
            authored.pointer(&format!("/metadata/{field}")).cloned().unwrap_or_default(),
        );
    }
    let Value::Object(spec) = spec else { return Value::Object(live) };
    for field in LIVE_SPEC {
        live.insert(field.to_owned(), spec.remove(field).unwrap_or_default());
    }
    for list in ["initContainers", "containers"] {
        let Some(Value::Array(containers)) = spec.get_mut(list) else { continue };
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            for field in LIVE_CONTAINER {
                live.insert(format!("{name}/{field}"), container.remove(field).unwrap_or_default());
            }
        }
    }
    Value::Object(live)
}

/// JSON with sorted keys and without nulls: `command: null` says no more than no `command`.
fn canonical(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.extend_from_slice(value.to_string().as_bytes());
        }
        Value::Array(items) => {
            text.push(b'[');
            for item in items {
                write(item, text);
                text.push(b',');
            }
            text.push(b']');
        }
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> =
                fields.iter().filter(|(_, value)| !value.is_null()).collect();
            text.push(b'{');
            for (name, value) in sorted {
                text.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
                text.push(b':');
                write(value, text);
                text.push(b',');
            }
            text.push(b'}');
        }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
