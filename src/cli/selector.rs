//! Label selectors, <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>:
//! `app=web,tier!=db,env in (a, b),env notin (c),present,!absent`.

use std::collections::BTreeMap;

/// Every requirement must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    /// Also holds where the label is absent, as in Kubernetes.
    NotIn(String, Vec<String>),
    Present(String),
    Absent(String),
}

impl Selector {
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => !labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::Present(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        })
    }
}

/// For clap: a selector, or why it is none.
pub(crate) fn parse(text: &str) -> Result<Selector, String> {
    let mut requirements = Vec::new();
    if text.trim().is_empty() {
        return Ok(Selector::default());
    }
    for part in split(text) {
        let part = part.trim();
        let requirement =
            requirement(part).ok_or_else(|| format!("`{part}` is not a requirement such as app=web"))?;
        requirements.push(requirement);
    }
    Ok(Selector(requirements))
}

/// At commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

fn requirement(part: &str) -> Option<Requirement> {
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Requirement::NotIn(label(key)?, vec![self::value(value)?]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Requirement::In(label(key)?, vec![self::value(value)?]));
    }
    if let Some(set) = part.strip_suffix(')') {
        let (head, values) = set.split_once('(')?;
        let values = values.split(',').map(value).collect::<Option<Vec<_>>>()?;
        let (key, operator) = head.trim().split_once(char::is_whitespace)?;
        return match operator.trim() {
            "in" => Some(Requirement::In(label(key)?, values)),
            "notin" => Some(Requirement::NotIn(label(key)?, values)),
            _ => None,
        };
    }
    match part.strip_prefix('!') {
        Some(key) => Some(Requirement::Absent(label(key)?)),
        None => Some(Requirement::Present(label(part)?)),
    }
}

fn label(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

/// May be empty, as a label's value may.
fn value(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars().all(plain).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str) -> bool {
        let labels = BTreeMap::from([("app", "web"), ("tier", "front"), ("empty", "")])
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        parse(selector).unwrap().matches(&labels)
    }

    #[test]
    fn selectors_choose_as_kubernetes_chooses() {
        for selector in [
            "app=web",
            "app==web",
            "app=web,tier!=db",
            "app in (web, api),tier notin (db)",
            "app",
            "!absent",
            "absent!=x",
            "absent notin (x)",
            "empty=",
        ] {
            assert!(selects(selector), "{selector}");
        }
        for selector in
            ["app=api", "app!=web", "app notin (web)", "absent", "!app", "absent=x", "absent in (x)", "app="]
        {
            assert!(!selects(selector), "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for selector in ["app in web", "app in (web", "=web", "a b", "app=web,,tier=x", "app=(x)", "!"] {
            assert!(parse(selector).is_err(), "{selector}");
        }
    }
}
