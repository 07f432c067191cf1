//! The part of an authored Pod that a living pod cannot take over.

use serde_json::Value;

const LIVE_SPEC: [&str; 2] = ["terminationGracePeriodSeconds", "activeDeadlineSeconds"];
const LIVE_CONTAINER: [&str; 2] = ["image", "resources"];

/// Equal for two contents that the same pod can serve one after the other. Takes out what
/// `workload::revision` leaves out of its pod hash.
pub(super) fn pod_class(authored: &Value) -> Value {
    let mut spec = authored.get("spec").cloned().unwrap_or_default();
    drop_nulls(&mut spec);
    let Value::Object(fields) = &mut spec else { return spec };
    fields.retain(|name, _| !LIVE_SPEC.contains(&name.as_str()));
    for list in ["initContainers", "containers"] {
        let Some(Value::Array(containers)) = fields.get_mut(list) else { continue };
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            container.retain(|name, _| !LIVE_CONTAINER.contains(&name.as_str()));
        }
    }
    spec
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
