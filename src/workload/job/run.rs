//! Which edits of a Job, or of a Pod, ask for another run.

use serde_json::Value;

use crate::model::job::JobRecord;

/// Annotation that `rerun` sets.
const RERUN: &str = "droppod.dev/rerun";

/// Whether two contents of a Job ask for the same run of it.
pub(crate) fn is_same_run(one: &Value, other: &Value) -> bool {
    is_same_wish(one, other) && parts(one) == parts(other)
}

/// Whether nobody has said that it is to run again.
pub(crate) fn is_same_wish(one: &Value, other: &Value) -> bool {
    wish(one) == wish(other)
}

fn wish(authored: &Value) -> Option<&str> {
    authored.get("metadata")?.get("annotations")?.get(RERUN)?.as_str()
}

/// What its pods are made from, and what their indexes mean.
fn parts(authored: &Value) -> [Value; 3] {
    let part = |path: &str| {
        let mut part = authored.pointer(path).cloned().unwrap_or_default();
        drop_nulls(&mut part);
        part
    };
    let mode = match part("/spec/completionMode") {
        Value::Null => Value::from("NonIndexed"),
        mode => mode,
    };
    [part("/spec/template"), part("/spec/selector"), mode]
}

/// Fields of a Job's spec that Kubernetes lets be edited at any time, and that do nothing once it has ended.
const LATE: [&str; 6] = [
    "parallelism",
    "backoffLimit",
    "activeDeadlineSeconds",
    "maxFailedIndexes",
    "podReplacementPolicy",
    "suspend",
];

/// Those of them that the author has given.
pub(super) fn late(authored: &Value) -> Value {
    let given = |field: &&str| {
        let value = authored.get("spec")?.get(*field).filter(|value| !value.is_null())?;
        Some(((*field).to_owned(), value.clone()))
    };
    LATE.iter().filter_map(given).collect::<serde_json::Map<_, _>>().into()
}

/// Fields of a Job's spec that were edited after its end, in vain.
pub(crate) fn edited_in_vain(authored: &Value, record: &JobRecord) -> Vec<&'static str> {
    let Some(before) = &record.ended_with else { return Vec::new() };
    let now = late(authored);
    LATE.into_iter().filter(|field| before.get(field) != now.get(field)).collect()
}

/// `command: null` says no more than no `command`.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
