//! What a Job says its pods' failures mean.

use super::*;

#[test]
fn should_allow_to_use_the_pod_failure_policy_on_exit_code_to_fail_job_early() {
    let rule = json!({"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [3, 42]}});
    let mut world =
        World::job(json!({"parallelism": 2, "completions": 5, "podFailurePolicy": {"rules": [rule]}}));
    world.settle();
    let pods = world.active();
    world.end(&pods[0], Ends::With(42));
    let name = world.objects[&pods[0]].record.key.name.clone();
    world.settle();
    assert_eq!(world.ended(), Some("PodFailurePolicy"));
    let expected = format!(
        "Container main for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"
    );
    assert_eq!(world.record().verdict.unwrap().message, expected);
    assert!(world.active().is_empty());
}

#[test]
fn should_allow_to_use_a_pod_failure_policy_to_ignore_failure_matching_on_disruption_target_condition() {
    let rule = json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]});
    let mut world = World::job(json!({"backoffLimit": 0, "podFailurePolicy": {"rules": [rule]}}));
    world.settle().end_all(Ends::Lost).settle();
    assert_eq!((world.ended(), world.record().failed), (None, 0));
    world.wait(10).settle().end_all(BAD).settle();
    assert_eq!((world.ended(), world.record().failed), (Some("BackoffLimitExceeded"), 1));
}

#[test]
fn a_condition_matches_only_what_the_pod_says_of_itself() {
    let cases = [
        ("DisruptionTarget", "False", BAD, 1),
        ("DisruptionTarget", "True", BAD, 1),
        ("DisruptionTarget", "True", Ends::Lost, 0),
        ("Ready", "False", BAD, 0),
        ("Ready", "True", BAD, 1),
        ("PodScheduled", "True", BAD, 0),
        ("Initialized", "True", BAD, 0),
        ("Initialized", "False", BAD, 1),
        ("example.com/Sick", "False", BAD, 1),
    ];
    for (kind, status, end, failed) in cases {
        let rule = json!({"action": "Ignore", "onPodConditions": [{"type": kind, "status": status}]});
        let mut world = World::job(json!({"podFailurePolicy": {"rules": [rule]}}));
        world.settle().end_all(end).settle();
        assert_eq!(world.record().failed, failed, "{kind}={status} of {end:?}");
    }
}

#[test]
fn not_in_and_the_first_rule_that_fits_decide() {
    let rules = json!([
        {"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}},
        {"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [5]}},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [5, 6]}},
    ]);
    for (code, failed, ended) in [(1, 1, None), (6, 0, None), (5, 1, Some("PodFailurePolicy"))] {
        let mut world = World::job(json!({"podFailurePolicy": {"rules": rules}}));
        world.settle().end_all(Ends::With(code)).settle();
        assert_eq!((world.record().failed, world.ended()), (failed, ended), "{code}");
    }
}
