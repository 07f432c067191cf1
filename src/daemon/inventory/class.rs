//! The part of an authored Pod that a living pod cannot take over.

use serde_json::Value;

/// Equal for two contents that the same pod can serve one after the other.
pub(crate) fn pod_class(authored: &Value) -> Value {
    let mut spec = authored.get("spec").cloned().unwrap_or_default();
    if let Value::Object(fields) = &mut spec {
        fields.remove("terminationGracePeriodSeconds");
        fields.remove("activeDeadlineSeconds");
        for list in ["initContainers", "containers"] {
            let Some(Value::Array(containers)) = fields.get_mut(list) else { continue };
            for container in containers.iter_mut().filter_map(Value::as_object_mut) {
                container.remove("image");
                container.remove("resources");
            }
        }
    }
    spec
}
