//! The Pod Security Standards, <https://kubernetes.io/docs/concepts/security/pod-security-standards/>: what a pod may
//! ask for at each level. Works on what was written, so that each objection stands at the field it is about.

mod baseline;
mod restricted;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Policy;
use super::fault::Fault;
use super::node::{At, Node};

/// How much a pod may ask for (`--pod-security`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Level {
    #[default]
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }
}

/// One control of the standard.
struct Rule {
    at: Levels,
    /// What the standard says of it.
    sentence: &'static str,
    help: &'static str,
    find: fn(&At<'_>, &mut Broken<'_>),
}

/// The levels that a rule counts at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Levels {
    Both,
    /// A stricter rule takes its place at the next level.
    BaselineOnly,
    RestrictedOnly,
    /// Any, for a folder that others can write to.
    Scoped,
}

/// Where a rule puts what breaks it.
struct Broken<'a> {
    rule: &'a Rule,
    level: Level,
    faults: &'a mut Vec<Fault>,
}

impl Broken<'_> {
    /// By a value that is there.
    fn at(&mut self, at: &At<'_>) {
        self.push(Fault::at(at, self.message(), "not allowed"));
    }

    /// By one that is not.
    fn missing(&mut self, at: &At<'_>) {
        self.push(Fault::at(at, self.message(), "missing here"));
    }

    fn message(&self) -> String {
        format!("pod security {}: {}", self.level.word(), self.rule.sentence)
    }

    fn push(&mut self, fault: Fault) {
        self.faults.push(fault.help(self.rule.help));
    }
}

/// Every objection to the pods that a document asks for, itself or by a template.
pub(super) fn check(kind: &str, root: &At<'_>, policy: &Policy) -> Vec<Fault> {
    let mut faults = Vec::new();
    let spec = root.key("spec");
    let job_template = spec.key("jobTemplate");
    let job_spec = job_template.key("spec");
    let pod = match kind {
        "Pod" => *root,
        "PodTemplate" => root.key("template"),
        "CronJob" => job_spec.key("template"),
        kind if TEMPLATED.contains(&kind) => spec.key("template"),
        _ => return faults,
    };
    let level = policy.level;
    let rules = baseline::RULES.iter().chain(restricted::RULES).filter(|rule| match (rule.at, level) {
        (Levels::Scoped, _) => policy.scope.is_some(),
        (_, Level::Privileged) => false,
        (Levels::Both, Level::Baseline | Level::Restricted)
        | (Levels::BaselineOnly, Level::Baseline)
        | (Levels::RestrictedOnly, Level::Restricted) => true,
        (Levels::BaselineOnly, Level::Restricted) | (Levels::RestrictedOnly, Level::Baseline) => false,
    });
    for rule in rules {
        (rule.find)(&pod, &mut Broken { rule, level, faults: &mut faults });
    }
    faults
}

/// As [`check`], of an object that was kept: every objection, and the field it is about.
pub(crate) fn objection(authored: &Value, policy: &Policy) -> Option<String> {
    let root = Node::from_value(authored);
    let kind = root.get("kind").and_then(Node::text).unwrap_or_default();
    let faults = check(kind, &At::root("", &root), policy);
    let told = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message));
    Some(told.collect::<Vec<_>>().join("; ")).filter(|told| !told.is_empty())
}

/// Kinds whose pods are described under `spec.template`.
const TEMPLATED: [&str; 6] =
    ["DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"];

const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Every container of a pod.
fn each_container(pod: &At<'_>, mut look: impl FnMut(&At<'_>)) {
    let spec = pod.key("spec");
    for list in CONTAINERS {
        spec.key(list).each_item().for_each(|container| look(&container));
    }
}

/// The security context of the pod and those of its containers.
fn each_context(pod: &At<'_>, mut look: impl FnMut(&At<'_>)) {
    let spec = pod.key("spec");
    look(&spec.key("securityContext"));
    each_container(pod, |container| look(&container.key("securityContext")));
}

fn truth(at: &At<'_>) -> Option<bool> {
    at.node.and_then(|node| node.truth())
}
