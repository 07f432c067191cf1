//! A Job's template → the pod objects it stands for, as the author would have written them.

use serde_json::{Value, json};

use crate::model::job::Failures;
use crate::model::object::ObjectRecord;
use crate::workload::control::{made, mapping, owner_reference, suffix};

use super::Look;
use super::pods::INDEX;

/// Longest name before the suffix.
const STEM: usize = 57;
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// Annotations on pods of a Job whose indexes have limits of their own: how often the index has failed before.
const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
const IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// `failures` are those of the index, where it has a limit of its own.
pub(super) fn make(
    look: &Look<'_>,
    index: Option<u64>,
    failures: Option<&Failures>,
    number: u64,
) -> Box<ObjectRecord> {
    let owner = look.known;
    let (job, uid) = (&owner.record.key.name, &owner.record.uid);
    let tail = index.map_or_else(String::new, |index| format!("-{index}"));
    let stem: String = job.chars().take(STEM.saturating_sub(tail.len())).collect();
    let name = format!("{stem}{tail}-{}", suffix(uid, number));

    let mut authored = owner.record.authored.pointer("/spec/template").cloned().unwrap_or_default();
    let metadata = mapping(&mut authored, "metadata");
    metadata["name"] = json!(name);
    metadata["namespace"] = json!(owner.record.key.namespace);
    metadata["ownerReferences"] = json!([owner_reference(owner)]);
    let labels = mapping(metadata, "labels");
    for prefix in ["batch.kubernetes.io/", ""] {
        labels[format!("{prefix}controller-uid")] = json!(uid);
        labels[format!("{prefix}job-name")] = json!(job);
    }
    if let Some(index) = index {
        labels[INDEX] = json!(index.to_string());
        let annotations = mapping(metadata, "annotations");
        annotations[INDEX] = json!(index.to_string());
        if let Some(failures) = failures {
            annotations[FAILURES] = json!(failures.counted().to_string());
            if failures.ignored > 0 {
                annotations[IGNORED_FAILURES] = json!(failures.ignored.to_string());
            }
        }
        let spec = mapping(&mut authored, "spec");
        spec["hostname"] = json!(format!("{job}-{index}"));
        for list in ["initContainers", "containers"] {
            let containers = spec.get_mut(list).and_then(Value::as_array_mut);
            containers.into_iter().flatten().for_each(tell_index);
        }
    }
    authored["apiVersion"] = json!("v1");
    authored["kind"] = json!("Pod");
    made(owner, number, "", "Pod", name, authored, look.present)
}

/// What the author sets of that name stands.
fn tell_index(container: &mut Value) {
    let path = format!("metadata.annotations['{INDEX}']");
    let variable = json!({"name": INDEX_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    match container.get_mut("env") {
        Some(Value::Array(env)) => {
            if !env.iter().any(|one| one["name"] == INDEX_VARIABLE) {
                env.push(variable);
            }
        }
        Some(_) | None => container["env"] = json!([variable]),
    }
}
