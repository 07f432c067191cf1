//! `podFailurePolicy` and `successPolicy`: the first rule that fits counts.

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule, SuccessPolicy,
};

use crate::model::indexes::Indexes;
use crate::model::record::ContainerState;

use super::pods::Ended;

/// What the failure of a pod comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Counted,
    Ignored,
    FailsIndex,
    /// With why.
    FailsJob(String),
}

pub(super) fn failure(policy: Option<&PodFailurePolicy>, pod: &Ended<'_>) -> Taken {
    let rules = policy.map_or(&[][..], |policy| &policy.rules);
    let fitting =
        rules.iter().enumerate().find_map(|(at, rule)| fits(rule, pod).map(|what| (at, rule, what)));
    let Some((at, rule, what)) = fitting else { return Taken::Counted };
    match rule.action.as_str() {
        "Ignore" => Taken::Ignored,
        "FailIndex" => Taken::FailsIndex,
        "FailJob" => Taken::FailsJob(format!("{what} matching FailJob rule at index {at}")),
        _ => Taken::Counted,
    }
}

/// What of the pod a rule fits, in Kubernetes' words.
fn fits(rule: &PodFailurePolicyRule, pod: &Ended<'_>) -> Option<String> {
    let key = &pod.child.known.record.key;
    if let Some(wanted) = &rule.on_exit_codes {
        let exits = pod.record.into_iter().flat_map(|record| &record.containers).filter_map(|container| {
            match &container.state {
                ContainerState::Terminated(exit) => Some((&container.name, exit.code)),
                ContainerState::Running { .. } | ContainerState::Waiting { .. } => None,
            }
        });
        let mut failed = exits.filter(|(name, code)| *code != 0 && fits_code(wanted, name, *code));
        let (name, code) = failed.next()?;
        return Some(format!(
            "Container {name} for pod {}/{} failed with exit code {code}",
            key.namespace, key.name
        ));
    }
    let mut conditions = rule.on_pod_conditions.iter().flatten();
    let condition = conditions.find(|it| has(pod, &it.type_) == it.status.as_deref().or(Some("True")))?;
    Some(format!("Pod {}/{} has condition {}", key.namespace, key.name, condition.type_))
}

/// What a condition says of a pod that has failed; `None` where it says nothing. As the pod's status has them.
fn has(pod: &Ended<'_>, condition: &str) -> Option<&'static str> {
    match condition {
        "DisruptionTarget" => pod.outcome.is_disruption().then_some("True"),
        "PodReadyToStartContainers" | "Ready" | "ContainersReady" => Some("False"),
        "Initialized" => pod.record.map(|record| if record.is_initialized() { "True" } else { "False" }),
        "PodScheduled" => Some("True"),
        _ => None,
    }
}

fn fits_code(wanted: &PodFailurePolicyOnExitCodesRequirement, container: &str, code: i32) -> bool {
    let of_container = wanted.container_name.as_deref().is_none_or(|name| name == container);
    of_container && wanted.values.contains(&code) == (wanted.operator != "NotIn")
}

/// The rule that is reached, by its position.
pub(super) fn success(policy: Option<&SuccessPolicy>, completed: &Indexes) -> Option<usize> {
    let rules = policy.map_or(&[][..], |policy| &policy.rules);
    rules.iter().position(|rule| {
        let count = rule.succeeded_count.and_then(|count| u64::try_from(count).ok());
        let indexes = rule.succeeded_indexes.as_deref().and_then(|text| Indexes::parse(text).ok());
        match (indexes, count) {
            (Some(indexes), Some(count)) => completed.common(&indexes) >= count,
            (Some(indexes), None) => completed.common(&indexes) == indexes.len(),
            (None, Some(count)) => completed.len() >= count,
            (None, None) => false,
        }
    })
}
