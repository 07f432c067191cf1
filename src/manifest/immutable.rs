//! What of an object no edit may change (kubernetes `ValidateConfigMapUpdate`, `ValidateSecretUpdate`).

use crate::api::{ConfigMap, Object, Secret};

/// The first field of an edit that the object does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) field: &'static str,
    pub(crate) message: &'static str,
    pub(crate) help: &'static str,
}

/// As an API server words it.
const SEALED: &str = "field is immutable when `immutable` is set";
const ANEW: &str =
    "put it back as it was; to change it, delete the object and make it anew, or use another name";

/// Both with defaults applied.
pub(crate) fn objection(before: &Object, after: &Object) -> Option<Objection> {
    match (before, after) {
        (Object::ConfigMap(before), Object::ConfigMap(after)) => of_config_map(before, after),
        (Object::Secret(before), Object::Secret(after)) => of_secret(before, after),
        (
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. },
            _,
        ) => None,
    }
}

fn of_config_map(before: &ConfigMap, after: &ConfigMap) -> Option<Objection> {
    if before.immutable != Some(true) {
        return None;
    }
    // A map that is absent and one that is empty are the same.
    let data = before.data.iter().flatten().eq(after.data.iter().flatten());
    let binary = before.binary_data.iter().flatten().eq(after.binary_data.iter().flatten());
    let kept = [("immutable", after.immutable == Some(true)), ("data", data), ("binaryData", binary)];
    sealed(&kept)
}

fn of_secret(before: &Secret, after: &Secret) -> Option<Objection> {
    let kind = |secret: &Secret| secret.type_.clone().unwrap_or_else(|| "Opaque".to_owned());
    if kind(before) != kind(after) {
        return Some(Objection { field: "type", message: "field is immutable", help: ANEW });
    }
    if before.immutable != Some(true) {
        return None;
    }
    let data = before.data.iter().flatten().eq(after.data.iter().flatten());
    sealed(&[("immutable", after.immutable == Some(true)), ("data", data)])
}

fn sealed(kept: &[(&'static str, bool)]) -> Option<Objection> {
    let (field, _) = kept.iter().find(|(_, kept)| !kept)?;
    Some(Objection { field, message: SEALED, help: ANEW })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Policy, Strictness, read};

    fn objected(before: &str, after: &str) -> Option<&'static str> {
        let object = |rest: &str| {
            let text = format!("apiVersion: v1\nmetadata: {{name: x}}\n{rest}");
            read(text.as_bytes(), "default", Strictness::Strict, &Policy::default()).objects.remove(0).object
        };
        objection(&object(before), &object(after)).map(|objection| objection.field)
    }

    #[test]
    fn what_is_sealed_stays_as_it_is_and_the_rest_may_change() {
        let map = "kind: ConfigMap\nimmutable: true\ndata: {a: x}\n";
        let secret = "kind: Secret\nimmutable: true\nstringData: {a: x}\n";
        let cases = [
            (map, "kind: ConfigMap\nimmutable: true\ndata: {a: z}\n", Some("data")),
            (
                map,
                "kind: ConfigMap\nimmutable: true\ndata: {a: x}\nbinaryData: {b: AA==}\n",
                Some("binaryData"),
            ),
            (map, "kind: ConfigMap\ndata: {a: x}\n", Some("immutable")),
            (map, "kind: ConfigMap\nimmutable: true\ndata: {a: x}\nbinaryData: {}\n", None),
            ("kind: ConfigMap\ndata: {a: x}\n", map, None),
            (secret, "kind: Secret\nimmutable: true\ndata: {a: eA==}\n", None),
            (secret, "kind: Secret\nimmutable: true\nstringData: {a: z}\n", Some("data")),
            ("kind: Secret\n", "kind: Secret\ntype: own/type\n", Some("type")),
            ("kind: Secret\n", "kind: Secret\ntype: Opaque\n", None),
        ];
        for (before, after, field) in cases {
            assert_eq!(objected(before, after), field, "{before}{after}");
        }
    }
}
