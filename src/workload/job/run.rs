//! Which edits of a Job, or of a Pod, ask for another run.

use serde_json::Value;

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
