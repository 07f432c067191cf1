//! A Job's fields (kubernetes `ValidateJobSpec`).

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::PodFailurePolicyRule;

use crate::api::{Job, JobSpec, PodSpec};
use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::model::indexes::Indexes;

use super::Rules;
use super::names::LABEL;
use super::{metadata, pod, security};

/// Pods of an Indexed Job at once.
const MOST_PARALLEL: i64 = 100_000;
const MOST_RULES: usize = 20;
/// A label's value.
const LONGEST_NAME: usize = 63;

pub(super) fn check(job: &Job, at: &At<'_>, rules: &mut Rules) {
    let spec_at = at.key("spec");
    let Some(spec) = &job.spec else { return rules.required(&spec_at) };
    check_spec(spec, &spec_at, rules);
    // The last index makes the longest host name.
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let last = spec.completions.unwrap_or(1).saturating_sub(1);
    let metadata_at = at.key("metadata");
    let name_at = metadata_at.key("name");
    if !is_indexed(spec) && name.len() > LONGEST_NAME {
        let message = format!("the name of a Job has at most {LONGEST_NAME} characters");
        rules.push(
            Fault::at(&name_at, message, "too long")
                .help("shorten it: its pods have it as the value of a label"),
        );
    }
    if is_indexed(spec) && !name.is_empty() {
        rules.name(&name_at, &format!("{name}-{last}"), &LABEL);
    }
}

fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// Of a Job, or of what a CronJob makes. `at` is its place.
pub(super) fn check_spec(spec: &JobSpec, at: &At<'_>, rules: &mut Rules) {
    let any = |given: Option<i32>| given.map(i64::from);
    let numbers = [
        ("completions", any(spec.completions)),
        ("backoffLimit", any(spec.backoff_limit)),
        ("ttlSecondsAfterFinished", any(spec.ttl_seconds_after_finished)),
        ("backoffLimitPerIndex", any(spec.backoff_limit_per_index)),
        ("maxFailedIndexes", any(spec.max_failed_indexes)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
    ];
    for (name, given) in numbers {
        rules.within(&at.key(name), given, 0..=i64::MAX);
    }
    let most = if is_indexed(spec) { MOST_PARALLEL } else { i64::MAX };
    rules.within(&at.key("parallelism"), any(spec.parallelism), 0..=most);
    rules.one_of(&at.key("completionMode"), &["", "NonIndexed", "Indexed"]);
    rules.one_of(&at.key("podReplacementPolicy"), &["", "TerminatingOrFailed", "Failed"]);
    indexes(spec, at, rules);
    failure_policy(spec, at, rules);
    success_policy(spec, at, rules);
    template(spec, at, rules);
}

/// Fields that only indexes give a meaning.
fn indexes(spec: &JobSpec, at: &At<'_>, rules: &mut Rules) {
    if is_indexed(spec) && spec.completions.is_none() {
        let fault = Fault::at(&at.key("completionMode"), "an Indexed Job needs `completions`", "how many?");
        rules.push(fault.help("say with `completions` how many indexes there are"));
    }
    let needs_indexes = [
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.is_some()),
        ("successPolicy", spec.success_policy.is_some()),
    ];
    for (name, given) in needs_indexes {
        if given && !is_indexed(spec) {
            let fault = Fault::at_key(&at.key(name), "the field is for Indexed Jobs only", "no indexes here");
            rules.push(fault.help("add `completionMode: Indexed` and `completions`"));
        }
    }
    let pod = spec.template.spec.as_ref();
    let restarts = pod.is_some_and(|pod| pod.restart_policy.as_deref() == Some("OnFailure"));
    if spec.backoff_limit_per_index.is_some() && restarts {
        let message = "with `backoffLimitPerIndex`, containers must not be restarted inside of their pod";
        let fault = Fault::at_key(&at.key("backoffLimitPerIndex"), message, "needs `restartPolicy: Never`");
        rules.push(fault.help("write `restartPolicy: Never` in the template"));
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        let fault = Fault::at_key(
            &at.key("maxFailedIndexes"),
            "no index fails for good without `backoffLimitPerIndex`",
            "needs `backoffLimitPerIndex`",
        );
        rules.push(fault);
    }
    let completions = spec.completions.map_or(i64::MAX, i64::from);
    rules.within(&at.key("maxFailedIndexes"), spec.max_failed_indexes.map(i64::from), 0..=completions);
}

fn failure_policy(spec: &JobSpec, at: &At<'_>, rules: &mut Rules) {
    let Some(policy) = &spec.pod_failure_policy else { return };
    let nothing = PodSpec::default();
    let pod = spec.template.spec.as_ref().unwrap_or(&nothing);
    let policy_at = at.key("podFailurePolicy");
    if pod.restart_policy.as_deref() != Some("Never") {
        let message = "with `podFailurePolicy`, containers must not be restarted inside of their pod";
        let fault = Fault::at_key(&policy_at, message, "needs `restartPolicy: Never`");
        rules.push(fault.help("write `restartPolicy: Never` in the template"));
    }
    if spec.pod_replacement_policy.as_deref() == Some("TerminatingOrFailed") {
        let message = "with `podFailurePolicy`, a pod is replaced only once it has failed";
        rules.wrong(&at.key("podReplacementPolicy"), message, "write `Failed`, or remove the field");
    }
    let rules_at = policy_at.key("rules");
    few(policy.rules.len(), &rules_at, rules);
    let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
    let names: BTreeSet<&str> = containers.map(|container| container.name.as_str()).collect();
    for (number, rule) in policy.rules.iter().enumerate() {
        failure_rule(rule, spec, &names, &rules_at.index(number), rules);
    }
}

fn few(count: usize, at: &At<'_>, rules: &mut Rules) {
    if count > MOST_RULES {
        rules.push(Fault::at_key(at, format!("there are more than {MOST_RULES} rules"), "too many"));
    }
}

fn failure_rule(
    rule: &PodFailurePolicyRule,
    spec: &JobSpec,
    names: &BTreeSet<&str>,
    at: &At<'_>,
    rules: &mut Rules,
) {
    let action = at.key("action");
    rules.required(&action);
    if !rule.action.is_empty() {
        rules.one_of(&action, &["FailJob", "FailIndex", "Ignore", "Count"]);
    }
    if rule.action == "FailIndex" && spec.backoff_limit_per_index.is_none() {
        rules.wrong(
            &action,
            "an index fails by itself only with `backoffLimitPerIndex`",
            "add `backoffLimitPerIndex`, or choose another action",
        );
    }
    let conditions = rule.on_pod_conditions.as_ref().is_some_and(|conditions| !conditions.is_empty());
    if rule.on_exit_codes.is_some() == conditions {
        let message = "a rule is for exit codes or for conditions of the pod";
        rules.wrong(at, message, "give either `onExitCodes` or `onPodConditions`");
    }
    if let Some(wanted) = &rule.on_exit_codes {
        let codes = at.key("onExitCodes");
        rules.one_of(&codes.key("operator"), &["In", "NotIn"]);
        if wanted.container_name.as_deref().is_some_and(|name| !names.contains(name)) {
            rules.wrong(
                &codes.key("containerName"),
                "the template has no such container",
                "name one of its containers",
            );
        }
        let values = codes.key("values");
        if wanted.values.is_empty() || wanted.values.len() > 255 {
            rules.wrong(
                &values,
                "from 1 to 255 exit codes are needed",
                "list the exit codes that the rule is for",
            );
        }
        if !wanted.values.is_sorted_by(|a, b| a < b) {
            rules.wrong(&values, "the exit codes are not in order, or one is there twice", "sort them");
        }
        if wanted.operator == "In" && wanted.values.contains(&0) {
            rules.wrong(&values, "a pod whose containers exit with 0 has not failed", "remove the 0");
        }
    }
    let conditions_at = at.key("onPodConditions");
    for condition in conditions_at.each_item() {
        rules.required(&condition.key("type"));
        rules.one_of(&condition.key("status"), &["", "True", "False", "Unknown"]);
    }
}

fn success_policy(spec: &JobSpec, at: &At<'_>, rules: &mut Rules) {
    let Some(policy) = &spec.success_policy else { return };
    let policy_at = at.key("successPolicy");
    let rules_at = policy_at.key("rules");
    few(policy.rules.len(), &rules_at, rules);
    if policy.rules.is_empty() {
        rules.required(&rules_at);
    }
    let completions = u64::try_from(spec.completions.unwrap_or(0)).unwrap_or(0);
    for (number, rule) in policy.rules.iter().enumerate() {
        let at = rules_at.index(number);
        if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
            rules.wrong(&at, "the rule says nothing", "give `succeededCount`, `succeededIndexes` or both");
        }
        let mut most = completions;
        if let Some(text) = &rule.succeeded_indexes {
            let indexes_at = at.key("succeededIndexes");
            match Indexes::parse(text) {
                Ok(indexes) if indexes.len_below(completions) == indexes.len() && !indexes.is_empty() => {
                    most = indexes.len();
                }
                Ok(_) => rules.wrong(
                    &indexes_at,
                    "not all of these are indexes of the Job",
                    "indexes go from 0 to `completions` - 1",
                ),
                Err(_) => rules.wrong(
                    &indexes_at,
                    "the value is no list of indexes",
                    "write one such as 0-3,5, in order",
                ),
            }
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX).max(1);
        rules.within(&at.key("succeededCount"), rule.succeeded_count.map(i64::from), 1..=most);
    }
}

fn template(spec: &JobSpec, at: &At<'_>, rules: &mut Rules) {
    let template = at.key("template");
    metadata::labels(&template.key("metadata"), rules);
    security::annotations(&template.key("metadata"), rules);
    let spec_at = template.key("spec");
    let Some(pod) = &spec.template.spec else { return rules.required(&spec_at) };
    let policy = spec_at.key("restartPolicy");
    match pod.restart_policy.as_deref() {
        Some("Never" | "OnFailure") => {}
        Some("Always") | None => {
            let message = "a Job's pods end: they are never restarted always";
            let unsaid = "`Always`, which is what is taken where nothing is said";
            let label = if policy.is_set() { "not for a Job" } else { unsaid };
            let fault = Fault::at(&policy, message, label);
            rules.push(fault.help("write `restartPolicy: Never` or `restartPolicy: OnFailure`"));
        }
        Some(_) => rules.one_of(&policy, &["Never", "OnFailure"]),
    }
    pod::check_spec(pod, &spec_at, rules);
}
