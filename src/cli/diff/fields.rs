//! Two contents of an object → the fields that differ, for a person.

use serde_json::Value;

use crate::cli::go;

/// One field, and what it was and is to be. What a Secret holds is never in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    field: String,
    before: Option<String>,
    after: Option<String>,
}

impl Change {
    pub(super) fn before_lines(&self) -> Vec<String> {
        self.lines(self.before.as_deref(), self.after.as_deref())
    }

    pub(super) fn after_lines(&self) -> Vec<String> {
        self.lines(self.after.as_deref(), self.before.as_deref())
    }

    /// Of a text of many lines only those that the other has not.
    fn lines(&self, own: Option<&str>, other: Option<&str>) -> Vec<String> {
        let Some(own) = own else { return Vec::new() };
        if !own.contains('\n') && !other.is_some_and(|other| other.contains('\n')) {
            return vec![format!("{}: {}", self.field, plain(own))];
        }
        let (own, other): (Vec<&str>, Vec<&str>) =
            (own.lines().collect(), other.unwrap_or_default().lines().collect());
        let same = own.iter().zip(&other).take_while(|(a, b)| a == b).count();
        let rest = own.len().min(other.len()) - same;
        let same_end =
            own.iter().rev().zip(other.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
        let differing = own[same..own.len() - same_end].iter();
        differing.map(|line| format!("{}: {}", self.field, plain(line))).collect()
    }
}

/// What a manifest says must not command the terminal.
fn plain(text: &str) -> String {
    text.replace('\x1b', "^[").replace('\r', "\\r")
}

pub(super) fn changes(kind: &str, before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    if kind == "Secret" {
        found.iter_mut().filter(|change| is_secret(&change.field)).for_each(mask);
    }
    found
}

fn is_secret(field: &str) -> bool {
    matches!(field.split('.').next(), Some("data" | "stringData"))
}

/// That a value differs shows, nothing else of it.
fn mask(change: &mut Change) {
    let both = change.before.is_some() && change.after.is_some();
    let (before, after) = if both { ("*** (before)", "*** (after)") } else { ("***", "***") };
    change.before = change.before.as_ref().map(|_| before.to_owned());
    change.after = change.after.as_ref().map(|_| after.to_owned());
}

fn compare(field: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
    // `command: null` says no more than no `command`.
    let before = before.filter(|value| !value.is_null());
    let after = after.filter(|value| !value.is_null());
    let nothing = Value::Object(serde_json::Map::new());
    let inner = |name: &str| if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
    match (before, after) {
        (a, b) if a == b => {}
        (Some(Value::Array(a)), Some(Value::Array(b))) => items(field, a, b, found),
        (Some(Value::Object(_)) | None, Some(Value::Object(_)) | None) if before.or(after).is_some() => {
            let fields =
                |side: Option<&Value>| side.unwrap_or(&nothing).as_object().cloned().unwrap_or_default();
            let (a, b) = (fields(before), fields(after));
            let mut names: Vec<&String> =
                a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))).collect();
            names.sort();
            if names.is_empty() {
                found.push(change(field, before, after));
            }
            for name in names {
                compare(&inner(name), a.get(name), b.get(name), found);
            }
        }
        (before, after) => found.push(change(field, before, after)),
    }
}

fn change(field: &str, before: Option<&Value>, after: Option<&Value>) -> Change {
    Change { field: field.to_owned(), before: before.map(go::text), after: after.map(go::text) }
}

/// Items that have names are the same if their names are; others if their places are.
fn items(field: &str, before: &[Value], after: &[Value], found: &mut Vec<Change>) {
    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
    let named = before.iter().chain(after).all(|item| name(item).is_some());
    let partner = |at: usize, item: &Value, others: &[Value]| {
        if named { others.iter().position(|other| name(other) == name(item)) } else { Some(at) }
    };
    for (at, item) in before.iter().enumerate() {
        let other = partner(at, item, after).and_then(|at| after.get(at));
        if other.is_none() {
            compare(&format!("{field}[{at}]"), Some(item), None, found);
        }
    }
    for (at, item) in after.iter().enumerate() {
        let other = partner(at, item, before).and_then(|at| before.get(at));
        compare(&format!("{field}[{at}]"), other, Some(item), found);
    }
    let order = |items: &[Value]| items.iter().map(name).collect::<Vec<_>>();
    let (mut old, mut new) = (order(before), order(after));
    if named && old != new {
        old.sort();
        new.sort();
        // The same items in another order: a pod's containers start in theirs.
        if old == new {
            let list = |items: &[Value]| items.iter().filter_map(name).collect::<Vec<_>>().join(", ");
            let (before, after) = (Some(list(before)), Some(list(after)));
            found.push(Change { field: format!("{field}[*].name"), before, after });
        }
    }
}

/// Names of the containers whose image differs.
pub(super) fn changed_images(before: &Value, after: &Value) -> Vec<String> {
    let containers = |object: &Value| -> Vec<(String, Value)> {
        ["/spec/initContainers", "/spec/containers"]
            .iter()
            .filter_map(|list| object.pointer(list)?.as_array())
            .flatten()
            .map(|one| (one["name"].as_str().unwrap_or_default().to_owned(), one["image"].clone()))
            .collect()
    };
    let old = containers(before);
    let changed = containers(after)
        .into_iter()
        .filter(|new| old.iter().any(|(name, image)| *name == new.0 && *image != new.1));
    changed.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(kind: &str, before: &Value, after: &Value) -> Vec<String> {
        let mut lines = Vec::new();
        for change in changes(kind, before, after) {
            lines.extend(change.before_lines().into_iter().map(|line| format!("-{line}")));
            lines.extend(change.after_lines().into_iter().map(|line| format!("+{line}")));
        }
        lines
    }

    #[test]
    fn fields_that_differ_are_named_with_both_values() {
        let before = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"containers": [
            {"name": "x", "image": "i:1", "command": null}, {"name": "y", "image": "i"}]}});
        let after = json!({"metadata": {"labels": {"a": "1", "c": "3"}}, "spec": {"containers": [
            {"name": "x", "image": "i:2", "env": [{"name": "A", "value": "v"}]}, {"name": "z", "image": "i"}]}});
        let expected = [
            "-metadata.labels.b: 2",
            "+metadata.labels.c: 3",
            "-spec.containers[1].image: i",
            "-spec.containers[1].name: y",
            "+spec.containers[0].env: [{\"name\":\"A\",\"value\":\"v\"}]",
            "-spec.containers[0].image: i:1",
            "+spec.containers[0].image: i:2",
            "+spec.containers[1].image: i",
            "+spec.containers[1].name: z",
        ];
        assert_eq!(lines("Pod", &before, &after), expected);
        assert_eq!(changed_images(&before, &after), ["x"]);
    }

    #[test]
    fn order_of_fields_and_nulls_are_no_difference_and_order_of_containers_is() {
        let before = json!({"spec": {"a": 1, "b": null}});
        assert!(changes("Pod", &before, &json!({"spec": {"a": 1}})).is_empty());
        let list = |names: [&str; 2]| json!({"c": [{"name": names[0]}, {"name": names[1]}]});
        let expected = ["-c[*].name: x, y", "+c[*].name: y, x"];
        assert_eq!(lines("Pod", &list(["x", "y"]), &list(["y", "x"])), expected);
    }

    #[test]
    fn of_a_text_of_many_lines_those_that_differ_are_shown() {
        let text = |middle: &str| json!({"data": {"f": format!("first\n{middle}\nlast\n")}});
        assert_eq!(lines("ConfigMap", &text("old"), &text("new")), ["-data.f: old", "+data.f: new"]);
    }

    #[test]
    fn what_a_secret_holds_is_masked() {
        let before = json!({"metadata": {"labels": {"a": "1"}}, "data": {"k": "b2xk", "gone": "eA=="}});
        let after = json!({"metadata": {"labels": {"a": "2"}}, "data": {"k": "bmV3"}, "stringData": {"s": "clear\ntext"}});
        let expected = [
            "-data.gone: ***",
            "-data.k: *** (before)",
            "+data.k: *** (after)",
            "-metadata.labels.a: 1",
            "+metadata.labels.a: 2",
            "+stringData.s: ***",
        ];
        assert_eq!(lines("Secret", &before, &after), expected);
        let all = format!("{:?}", changes("Secret", &json!({"data": "b2xk"}), &after));
        assert!(!all.contains("b2xk") && !all.contains("clear"), "{all}");
    }
}
