//! What is waited for, and how far an object is from it.

use serde_json::Value;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::go;
use crate::cli::jsonpath::Path;
use crate::cli::print::unprintable;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Goal {
    Condition {
        name: String,
        value: String,
    },
    /// Without a value: that there is one.
    JsonPath {
        path: Path,
        value: Option<String>,
    },
    /// Complete or Failed.
    Finished,
    Create,
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Met,
    NotYet,
    Failed,
}

/// For clap: a goal, or why it is none.
pub(super) fn parse(text: &str) -> Result<Goal, String> {
    match text.split_once('=') {
        None => match text.to_lowercase().as_str() {
            "delete" => Ok(Goal::Delete),
            "create" => Ok(Goal::Create),
            "finished" => Ok(Goal::Finished),
            _ => Err(unrecognized(text)),
        },
        Some(("condition", given)) => {
            let (name, value) = given.split_once('=').unwrap_or((given, "true"));
            if name.is_empty() {
                return Err("a condition has a name, such as condition=Ready".to_owned());
            }
            Ok(Goal::Condition { name: name.to_owned(), value: value.to_owned() })
        }
        Some(("jsonpath", given)) => {
            // The path may have = signs of its own, within its braces.
            let end = given.find('}').map_or(0, |brace| brace + 1);
            let split = given[end..].split_once('=');
            let (path, value) = match split {
                Some((rest, value)) => (&given[..end + rest.len()], Some(value)),
                None => (given, None),
            };
            let path = Path::parse(path).map_err(|error| format!("the path cannot be read: {error}"))?;
            let unquoted = |value: &str| value.trim_matches(['"', '\'']).to_owned();
            if value == Some("") {
                return Err("a value is missing after the last =".to_owned());
            }
            Ok(Goal::JsonPath { path, value: value.map(unquoted) })
        }
        Some(_) => Err(unrecognized(text)),
    }
}

/// It begins in kubectl's words.
fn unrecognized(text: &str) -> String {
    const KNOWN: &str = "condition=NAME[=VALUE], jsonpath='{PATH}'[=VALUE], finished, create and delete";
    format!("unrecognized condition: {text:?}; there are {KNOWN}")
}

impl Goal {
    /// Of an object that is there.
    pub(super) fn progress(&self, object: &Value) -> Result<Progress, Failure> {
        let met = match self {
            Goal::Create => true,
            Goal::Delete => false,
            Goal::Finished => return finished(object),
            Goal::Condition { name, value } => {
                condition(object, name).is_some_and(|status| status.eq_ignore_ascii_case(value))
            }
            Goal::JsonPath { path, value } => {
                let found = path.find(object).map_err(unprintable)?;
                match (found.as_slice(), value) {
                    ([], _) => false,
                    (_, None) => true,
                    ([one], Some(value)) if !one.is_array() && !one.is_object() => go::text(one) == *value,
                    ([_], Some(_)) => {
                        return Err(Failure::new(Exit::Failed, "the path leads to a list or an object")
                            .help("a value is compared with a string, a number or a boolean"));
                    }
                    (many, Some(_)) => {
                        let what = "given jsonpath expression matches more than one value";
                        return Err(Failure::new(Exit::Failed, what)
                            .because(format!("it leads to {} values", many.len()))
                            .help("make it lead to one"));
                    }
                }
            }
        };
        Ok(if met { Progress::Met } else { Progress::NotYet })
    }
}

/// Pods tell their end by their phase, what runs them to an end by a condition; nothing else has one.
fn finished(object: &Value) -> Result<Progress, Failure> {
    let kind = object["kind"].as_str().unwrap_or_default();
    if !["Pod", "Job"].contains(&kind) {
        return Err(Failure::new(Exit::Failed, format!("a {kind} does not finish"))
            .help("--for=finished is for pods and jobs"));
    }
    let is_true = |name: &str| condition(object, name).is_some_and(|status| status == "True");
    Ok(match object.pointer("/status/phase").and_then(Value::as_str) {
        Some("Succeeded") => Progress::Met,
        Some("Failed") => Progress::Failed,
        Some(_) | None if is_true("Complete") => Progress::Met,
        Some(_) | None if is_true("Failed") => Progress::Failed,
        Some(_) | None => Progress::NotYet,
    })
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let of_name =
        |condition: &&Value| condition["type"].as_str().is_some_and(|type_| type_.eq_ignore_ascii_case(name));
    conditions.iter().find(of_name)?["status"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn progress(goal: &str) -> Option<Progress> {
        let pod = json!({
            "kind": "Pod",
            "metadata": {"name": "web"},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "False"}],
                "containerStatuses": [{"name": "a", "restartCount": 2}, {"name": "b", "restartCount": 0}],
            },
        });
        parse(goal).unwrap().progress(&pod).ok()
    }

    #[test]
    fn goals_are_met_as_kubectl_meets_them() {
        for goal in [
            "condition=Ready",
            "condition=ready=true",
            "condition=Initialized=False",
            "jsonpath={.status.phase}=Running",
            "jsonpath='{.status.phase}'=Running".trim_matches('\''),
            "jsonpath={.status.containerStatuses[?(@.name==\"a\")].restartCount}=2",
            "jsonpath=.status.phase=Running",
            "jsonpath={.status.phase}",
            "create",
        ] {
            let goal = goal.replace('\'', "");
            assert_eq!(progress(&goal), Some(Progress::Met), "{goal}");
        }
        for goal in [
            "condition=Ready=False",
            "condition=Nope",
            "jsonpath={.status.phase}=Failed",
            "jsonpath={.x}",
            "finished",
        ] {
            assert_eq!(progress(goal), Some(Progress::NotYet), "{goal}");
        }
        for goal in ["jsonpath={.status}=x", "jsonpath={.status.conditions[*].type}=Ready"] {
            assert_eq!(progress(goal), None, "{goal}");
        }
    }

    #[test]
    fn the_end_of_a_pod_is_its_phase_and_of_a_job_its_condition() {
        let end = |status: Value| finished(&json!({"kind": "Job", "status": status})).unwrap();
        assert_eq!(end(json!({"phase": "Succeeded"})), Progress::Met);
        assert_eq!(end(json!({"phase": "Failed"})), Progress::Failed);
        assert_eq!(end(json!({"conditions": [{"type": "Complete", "status": "True"}]})), Progress::Met);
        assert_eq!(end(json!({"conditions": [{"type": "Failed", "status": "True"}]})), Progress::Failed);
        assert_eq!(end(json!({"phase": "Pending"})), Progress::NotYet);
        let error = finished(&json!({"kind": "CronJob", "status": {}})).unwrap_err();
        assert!(error.to_string().starts_with("error: a CronJob does not finish\n"), "{error}");
    }

    #[test]
    fn what_is_no_goal_is_refused() {
        for goal in
            ["", "ready", "condition=", "jsonpath=", "jsonpath={.a}=", "jsonpath={.a", "phase=Running"]
        {
            assert!(parse(goal).is_err(), "{goal}");
        }
    }
}
