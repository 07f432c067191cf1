//! `--overrides`: a patch over the pod that the flags make, of one of the three types that kubectl takes.

use serde_json::{Map, Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    Merge,
    Json,
    Strategic,
}

/// Says what is wrong with the patch.
pub(super) fn apply(kind: Kind, pod: &mut Value, patch: &Value) -> Result<(), String> {
    match (kind, patch) {
        (Kind::Merge, Value::Object(_)) => {
            merge(pod, patch);
            Ok(())
        }
        (Kind::Strategic, Value::Object(fields)) => overlay(object(pod), fields),
        (Kind::Merge | Kind::Strategic, _) => Err("it is not an object: {\"spec\":{…}}".to_owned()),
        (Kind::Json, Value::Array(steps)) => steps.iter().try_for_each(|step| take(pod, step)),
        (Kind::Json, _) => {
            Err("it is not a list: [{\"op\":\"add\",\"path\":\"/spec/hostNetwork\",\"value\":true}]"
                .to_owned())
        }
    }
}

/// <https://www.rfc-editor.org/rfc/rfc7386>: objects are merged, null removes, everything else replaces.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        patch.clone_into(into);
        return;
    };
    let fields = object(into);
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// What is no object becomes one.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it is one by now")
}

/// One step of <https://www.rfc-editor.org/rfc/rfc6902>.
fn take(pod: &mut Value, step: &Value) -> Result<(), String> {
    let text = |name: &str| step[name].as_str().ok_or_else(|| format!("a step has no {name}: {step}"));
    let value = || step.get("value").cloned().ok_or_else(|| format!("a step has no value: {step}"));
    let path = text("path")?;
    match text("op")? {
        "add" => put(pod, path, value()?),
        "remove" => cut(pod, path).map(drop),
        "replace" => {
            *pod.pointer_mut(path).ok_or_else(|| missing(path))? = value()?;
            Ok(())
        }
        "move" => {
            let moved = cut(pod, text("from")?)?;
            put(pod, path, moved)
        }
        "copy" => {
            let from = text("from")?;
            let copied = pod.pointer(from).cloned().ok_or_else(|| missing(from))?;
            put(pod, path, copied)
        }
        "test" if pod.pointer(path) == Some(&value()?) => Ok(()),
        "test" => Err(format!("{path} is not what it is tested for")),
        other => {
            Err(format!("`{other}` is not an operation: there are add, remove, replace, move, copy, test"))
        }
    }
}

fn missing(path: &str) -> String {
    format!("there is no {path}")
}

/// A path's parent, and the name or index in it.
fn parted(path: &str) -> Result<(&str, String), String> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| format!("`{path}` does not begin with /"))?;
    Ok((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn put(pod: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *pod = value;
        return Ok(());
    }
    let (parent, last) = parted(path)?;
    match pod.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.insert(last, value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let at = if last == "-" { Some(items.len()) } else { last.parse().ok() };
            let at = at.filter(|at| *at <= items.len()).ok_or_else(|| missing(path))?;
            items.insert(at, value);
            Ok(())
        }
        Some(_) | None => Err(missing(parent)),
    }
}

fn cut(pod: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, last) = parted(path)?;
    let cut = match pod.pointer_mut(parent) {
        Some(Value::Object(fields)) => fields.remove(&last),
        Some(Value::Array(items)) => {
            let at = last.parse().ok().filter(|at: &usize| *at < items.len());
            at.map(|at| items.remove(at))
        }
        Some(_) | None => None,
    };
    cut.ok_or_else(|| missing(path))
}

/// What tells the items of a pod's lists from one another; other lists are replaced whole.
const KEYS: &[(&str, &str)] = &[
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("env", "name"),
    ("ports", "containerPort"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("volumes", "name"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("resourceClaims", "name"),
    ("ownerReferences", "uid"),
];
const DIRECTIVE: &str = "$patch";

/// Kubernetes' strategic merge: as a merge, but items of a list are merged by what tells them apart.
fn overlay(into: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), String> {
    if patch.get(DIRECTIVE).is_some_and(|directive| directive == "replace") {
        into.clear();
    }
    for (name, value) in patch {
        if name == DIRECTIVE {
            continue;
        }
        if name.starts_with('$') {
            return Err(format!("the directive {name} is not served"));
        }
        let key = KEYS.iter().find(|(list, _)| list == name).map(|(_, key)| *key);
        match (value, key) {
            (Value::Null, _) => drop(into.remove(name)),
            (Value::Object(fields), _) if deletes(fields) => drop(into.remove(name)),
            (Value::Object(fields), _) => {
                overlay(object(into.entry(name).or_insert_with(|| json!({}))), fields)?
            }
            (Value::Array(items), Some(key)) => {
                let list = into.entry(name).or_insert_with(|| json!([]));
                overlay_items(list, items, name, key)?;
            }
            (value, _) => drop(into.insert(name.clone(), value.clone())),
        }
    }
    Ok(())
}

fn deletes(fields: &Map<String, Value>) -> bool {
    fields.get(DIRECTIVE).is_some_and(|directive| directive == "delete")
}

fn overlay_items(list: &mut Value, patch: &[Value], name: &str, key: &str) -> Result<(), String> {
    let mut items = list.as_array().cloned().unwrap_or_default();
    for one in patch {
        let Value::Object(fields) = one else { return Err(format!("an item of {name} is no object: {one}")) };
        let Some(identity) = fields.get(key) else {
            return Err(format!("an item of {name} has no {key}: {one}"));
        };
        let known = items.iter().position(|item| item.get(key) == Some(identity));
        match known {
            Some(at) if deletes(fields) => drop(items.remove(at)),
            Some(at) => overlay(object(&mut items[at]), fields)?,
            None if deletes(fields) => {}
            None => {
                let mut item = Map::new();
                overlay(&mut item, fields)?;
                items.push(Value::Object(item));
            }
        }
    }
    *list = Value::Array(items);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Value {
        json!({
            "metadata": {"name": "web", "labels": {"run": "web"}},
            "spec": {"restartPolicy": "Always", "containers": [{"name": "web", "image": "nginx"}]},
        })
    }

    fn patched(kind: Kind, patch: &Value) -> Result<Value, String> {
        let mut pod = web();
        apply(kind, &mut pod, patch).map(|()| pod)
    }

    #[test]
    fn a_merge_goes_field_by_field_and_null_removes() {
        let patch = json!({"spec": {"hostNetwork": true, "containers": [2], "restartPolicy": null}});
        let pod = patched(Kind::Merge, &patch).unwrap();
        assert_eq!(pod["spec"], json!({"hostNetwork": true, "containers": [2]}));
        assert!(patched(Kind::Merge, &json!([])).is_err());
    }

    #[test]
    fn a_json_patch_goes_step_by_step() {
        let patch = json!([
            {"op": "test", "path": "/metadata/name", "value": "web"},
            {"op": "add", "path": "/metadata/labels/a~1b", "value": "c"},
            {"op": "remove", "path": "/metadata/labels/run"},
            {"op": "replace", "path": "/spec/restartPolicy", "value": "Never"},
            {"op": "add", "path": "/spec/containers/-", "value": {"name": "two"}},
            {"op": "copy", "from": "/spec/containers/0/image", "path": "/spec/containers/1/image"},
            {"op": "move", "from": "/spec/containers/1", "path": "/spec/containers/0"},
        ]);
        let expected = json!({
            "metadata": {"name": "web", "labels": {"a/b": "c"}},
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "two", "image": "nginx"}, {"name": "web", "image": "nginx"}],
            },
        });
        assert_eq!(patched(Kind::Json, &patch), Ok(expected));
    }

    #[test]
    fn a_step_that_cannot_be_taken_says_which() {
        let cases = [
            (json!([{"op": "remove", "path": "/spec/nope"}]), "there is no /spec/nope"),
            (json!([{"op": "add", "path": "/a/b", "value": 1}]), "there is no /a"),
            (
                json!([{"op": "add", "path": "/spec/containers/7", "value": 1}]),
                "there is no /spec/containers/7",
            ),
            (json!([{"op": "test", "path": "/kind", "value": "Job"}]), "/kind is not what it is tested for"),
            (json!([{"op": "add", "path": "/a"}]), "a step has no value: {\"op\":\"add\",\"path\":\"/a\"}"),
        ];
        for (patch, why) in cases {
            assert_eq!(patched(Kind::Json, &patch), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_strategic_merge_finds_items_by_what_tells_them_apart() {
        let patch = json!({
            "metadata": {"labels": {"$patch": "replace", "a": "b"}},
            "spec": {
                "tolerations": [{"key": "x"}],
                "containers": [{"name": "web", "env": [{"name": "A", "value": "b"}]}, {"name": "two", "image": "x"}],
            },
        });
        let pod = patched(Kind::Strategic, &patch).unwrap();
        assert_eq!(pod["metadata"]["labels"], json!({"a": "b"}));
        let containers = json!([
            {"name": "web", "image": "nginx", "env": [{"name": "A", "value": "b"}]},
            {"name": "two", "image": "x"},
        ]);
        assert_eq!(
            (&pod["spec"]["containers"], &pod["spec"]["tolerations"]),
            (&containers, &json!([{"key": "x"}]))
        );
        let gone = json!({"spec": {"containers": [{"name": "web", "$patch": "delete"}, {"name": "other"}]}});
        assert_eq!(
            patched(Kind::Strategic, &gone).unwrap()["spec"]["containers"],
            json!([{"name": "other"}])
        );
        assert!(patched(Kind::Strategic, &json!({"spec": {"containers": [{"image": "x"}]}})).is_err());
        assert!(patched(Kind::Strategic, &json!({"spec": {"$retainKeys": ["x"]}})).is_err());
    }
}
