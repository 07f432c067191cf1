use std::sync::Arc;

use super::*;
use crate::api::Object;

/// A Job with lines added to its spec.
fn job(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: pi}}\nspec:\n{lines}  template:\n    spec:\n      restartPolicy: \
         Never\n      containers:\n      - {{name: main, image: perl}}\n"
    )
}

fn cron(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: tick}}\nspec:\n{lines}  jobTemplate:\n    spec:\n      \
         template:\n        spec:\n          restartPolicy: Never\n          containers:\n          - {{name: main, image: perl}}\n"
    )
}

#[test]
fn a_job_gets_the_defaults_of_the_server() {
    let Object::Job(one) = Arc::unwrap_or_clone(the(&job("")).object) else { panic!("no job") };
    let spec = one.spec.unwrap();
    assert_eq!((spec.completions, spec.parallelism, spec.backoff_limit), (Some(1), Some(1), Some(6)));
    assert_eq!(spec.completion_mode.as_deref(), Some("NonIndexed"));
    assert_eq!(spec.pod_replacement_policy.as_deref(), Some("TerminatingOrFailed"));
    assert_eq!(spec.template.spec.unwrap().dns_policy.as_deref(), Some("ClusterFirst"));
    let Object::Job(queue) = Arc::unwrap_or_clone(the(&job("parallelism: 3")).object) else {
        panic!("no job")
    };
    assert_eq!(queue.spec.unwrap().completions, None);
}

#[test]
fn a_cron_job_gets_the_defaults_of_the_server() {
    let Object::CronJob(one) = Arc::unwrap_or_clone(the(&cron("schedule: '@daily'")).object) else {
        panic!("no cronjob")
    };
    assert_eq!(one.spec.concurrency_policy.as_deref(), Some("Allow"));
    assert_eq!(
        (one.spec.successful_jobs_history_limit, one.spec.failed_jobs_history_limit),
        (Some(3), Some(1))
    );
    assert_eq!(one.spec.job_template.spec.unwrap().backoff_limit, Some(6));
}

#[test]
fn what_a_job_may_not_say_is_told() {
    let indexed = "completionMode: Indexed\ncompletions: 3\n";
    let cases = [
        (job("").replace("Never", "Always"), "a Job's pods end: they are never restarted always"),
        (
            job("").replace("restartPolicy: Never", "dnsPolicy: Default"),
            "a Job's pods end: they are never restarted always",
        ),
        (job("completionMode: Indexed"), "an Indexed Job needs `completions`"),
        (job("completions: -1"), "the number is out of range"),
        (job("backoffLimitPerIndex: 1"), "the field is for Indexed Jobs only"),
        (
            job(&format!("{indexed}maxFailedIndexes: 1")),
            "no index fails for good without `backoffLimitPerIndex`",
        ),
        (job("completionMode: Index"), "the value is not one that this field takes"),
        (
            job(&format!("{indexed}successPolicy: {{rules: [{{succeededIndexes: '0-3'}}]}}")),
            "not all of these are indexes of the Job",
        ),
        (
            job(&format!("{indexed}successPolicy: {{rules: [{{succeededIndexes: '2,1'}}]}}")),
            "the value is no list of indexes",
        ),
        (
            job(
                "podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [2, 1]}}]}",
            ),
            "the exit codes are not in order, or one is there twice",
        ),
        (
            job("podFailurePolicy: {rules: [{action: FailIndex, onExitCodes: {operator: In, values: [1]}}]}"),
            "an index fails by itself only with `backoffLimitPerIndex`",
        ),
        (
            job("podFailurePolicy: {rules: [{action: Ignore}]}"),
            "a rule is for exit codes or for conditions of the pod",
        ),
        (
            job("podFailurePolicy: {rules: []}").replace("Never", "OnFailure"),
            "with `podFailurePolicy`, containers must not be restarted inside of their pod",
        ),
        (
            job(&format!("{indexed}backoffLimitPerIndex: 1")).replace("Never", "OnFailure"),
            "with `backoffLimitPerIndex`, containers must not be restarted inside of their pod",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(messages(&text), [message], "{text}");
    }
}

#[test]
fn what_a_cron_job_may_not_say_is_told() {
    let cases = [
        (cron("schedule: '* * * *'"), "a schedule has five fields, not 4"),
        (cron("schedule: '@every 5'"), "the interval is not a span of time above zero"),
        (cron("schedule: '@daily'\ntimeZone: Europe/Nowhere"), "there is no such time zone"),
        (cron("schedule: '@daily'\nconcurrencyPolicy: Never"), "the value is not one that this field takes"),
        (cron("schedule: '@daily'\nstartingDeadlineSeconds: -1"), "the number is out of range"),
        (
            cron("schedule: '@daily'").replace("name: tick", &format!("name: {}", "a".repeat(53))),
            "the name of a CronJob has at most 52 characters",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(messages(&text), [message], "{text}");
    }
}

#[test]
fn a_time_zone_that_was_likely_meant_is_named() {
    for (given, meant) in [
        ("Europe/Berln", Some("did you mean `Europe/Berlin`?")),
        ("berlin", Some("did you mean `Europe/Berlin`?")),
        ("Mars/Olympus", None),
    ] {
        let mistakes = strict(&cron(&format!("schedule: '@daily'\ntimeZone: {given}"))).mistakes;
        let help = mistakes[0].help.as_deref().filter(|help| help.starts_with("did"));
        assert_eq!(help, meant, "{given}");
    }
}

#[test]
fn the_template_of_a_job_is_held_to_the_rules_of_a_pod() {
    let text = job("").replace("image: perl", "image: perl, command: 5");
    assert_eq!(messages(&text).len(), 1);
    let text = job("").replace("name: main", "name: Main");
    assert_eq!(messages(&text), ["the name is not valid: it has upper-case letters in it"]);
    let ignored =
        strict(&job("").replace("restartPolicy: Never", "restartPolicy: Never\n      nodeName: x")).ignored;
    assert_eq!(ignored[0].field, "spec.template.spec.nodeName");
}

#[test]
fn samples_are_what_they_should_be() {
    for text in [include_str!("../../../manifests/job.yaml"), include_str!("../../../manifests/cronjob.yaml")]
    {
        let declared = the(text);
        assert!(matches!(*declared.object, Object::Job(_) | Object::CronJob(_)));
        assert_eq!(strict(text).ignored, []);
        let again = revive(&declared.authored).unwrap();
        assert_eq!(again, *declared.object);
    }
}
