//! Field selectors, <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>:
//! `metadata.name=web,status.phase!=Running`.

use serde_json::Value;

use crate::api::KindName;

use super::exit::Exit;
use super::failure::Failure;

/// Every requirement must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    field: String,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
}

/// Those of every kind.
const COMMON: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// What else an API server lets objects of a kind be chosen by.
const OWN: &[(&str, &[&str])] = &[
    (
        "Pod",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
    ),
    (
        "Event",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    ("Secret", &["type"]),
    ("Namespace", &["status.phase"]),
    ("Job", &["status.successful"]),
];

/// For clap: a selector, or why it is none.
pub(crate) fn parse(text: &str) -> Result<FieldSelector, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(requirement).collect::<Result<_, _>>().map(FieldSelector)
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let split = [("!=", Operator::IsNot), ("==", Operator::Is), ("=", Operator::Is)]
        .into_iter()
        .find_map(|(sign, operator)| part.split_once(sign).map(|(field, value)| (field, operator, value)));
    let (field, operator, value) =
        split.ok_or_else(|| format!("`{part}` is not a requirement such as status.phase=Running"))?;
    Ok(Requirement { field: field.trim().to_owned(), operator, value: value.trim().to_owned() })
}

impl FieldSelector {
    pub(crate) fn must_fit(&self, kind: &KindName) -> Result<(), Failure> {
        self.fits(kind).map_err(|(field, known)| {
            Failure::new(Exit::Usage, format!("{} cannot be chosen by field {field}", kind.plural))
                .help(format!("they can by {}", known.join(", ")))
        })
    }

    /// # Errors
    /// The field that objects of this kind cannot be chosen by, and those that they can.
    fn fits(&self, kind: &KindName) -> Result<(), (String, Vec<&'static str>)> {
        let own = OWN.iter().filter(|(of, _)| *of == kind.kind).flat_map(|(_, fields)| fields.iter());
        let known: Vec<&'static str> = COMMON.iter().chain(own).copied().collect();
        match self.0.iter().find(|requirement| !known.contains(&requirement.field.as_str())) {
            Some(requirement) => Err((requirement.field.clone(), known)),
            None => Ok(()),
        }
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|Requirement { field, operator, value }| {
            let same = text(object, field) == *value;
            match operator {
                Operator::Is => same,
                Operator::IsNot => !same,
            }
        })
    }
}

/// What an object has there; an absent field is an empty one, as for an API server.
fn text(object: &Value, field: &str) -> String {
    let pointer = match field {
        "source" => "/source/component".to_owned(),
        "status.podIPs" => "/status/podIPs/0/ip".to_owned(),
        "status.successful" => "/status/succeeded".to_owned(),
        field => format!("/{}", field.replace('.', "/")),
    };
    match object.pointer(&pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(known)) => known.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        None if matches!(field, "spec.hostNetwork") => "false".to_owned(),
        None if matches!(field, "status.successful") => "0".to_owned(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::kind_named;

    #[test]
    fn objects_are_chosen_by_their_fields() {
        let pod = json!({
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"restartPolicy": "Always"},
            "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.2"}]},
        });
        for selector in [
            "",
            "metadata.name=web",
            "metadata.name==web, status.phase=Running",
            "status.phase!=Failed",
            "spec.hostNetwork=false",
            "spec.nodeName=",
            "status.podIPs=10.0.0.2",
        ] {
            assert!(parse(selector).unwrap().matches(&pod), "{selector}");
        }
        for selector in ["metadata.name=x", "metadata.name!=web", "status.phase=Running,metadata.name=x"] {
            assert!(!parse(selector).unwrap().matches(&pod), "{selector}");
        }
        assert!(parse("status.phase").is_err());
    }

    #[test]
    fn a_kind_is_not_chosen_by_what_only_others_have() {
        let pods = kind_named("pods").unwrap();
        let maps = kind_named("cm").unwrap();
        let phase = parse("status.phase=Running").unwrap();
        assert_eq!(phase.fits(pods), Ok(()));
        let (field, known) = phase.fits(maps).unwrap_err();
        assert_eq!((field.as_str(), known), ("status.phase", vec!["metadata.name", "metadata.namespace"]));
    }
}
