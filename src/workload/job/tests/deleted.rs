//! Pods that are told to go, by a person or by their Job.

use super::*;

#[test]
fn a_pod_that_a_person_deletes_has_failed_and_is_replaced() {
    let mut world = World::job(json!({}));
    world.settle();
    let pod = world.active()[0].clone();
    world.stop(&pod);
    world.settle();
    assert_eq!((world.record().failed, world.active().len()), (1, 0));
    world.wait(10).settle();
    assert_eq!(world.active().len(), 1);
}

#[test]
fn a_pod_is_replaced_before_or_after_it_has_gone_as_the_policy_says() {
    for (policy, while_it_goes) in [("TerminatingOrFailed", 1), ("Failed", 0)] {
        let mut world = World::job(json!({"podReplacementPolicy": policy}));
        world.settle();
        let pod = world.active()[0].clone();
        world.stop(&pod);
        world.pass();
        world.wait(10).pass();
        assert_eq!(world.active().len(), while_it_goes, "{policy}");
        world.settle().wait(10).settle();
        assert_eq!((world.active().len(), world.record().failed), (1, 1), "{policy}");
    }
}

#[test]
fn a_pod_that_is_deleted_and_waited_for_counts_as_it_ends() {
    for (code, succeeded, failed) in [(0, 1, 0), (3, 0, 1)] {
        let mut world = World::job(json!({"podReplacementPolicy": "Failed"}));
        world.settle();
        let pod = world.active()[0].clone();
        world.stop(&pod);
        world.pass();
        world.pass();
        assert_eq!((world.record().failed, world.record().counted.len()), (0, 0), "it goes");
        world.depart(&pod, code);
        world.settle();
        assert_eq!((world.record().succeeded, world.record().failed), (succeeded, failed));
        assert_eq!(world.ended(), (code == 0).then_some("CompletionsReached"));
    }
    // One that has ended before anybody saw it stop is not run again, and one that never ran has failed.
    let mut world = World::job(json!({"podReplacementPolicy": "Failed"}));
    world.settle();
    let pod = world.active()[0].clone();
    world.depart(&pod, 0);
    assert_eq!(world.settle().ended(), Some("CompletionsReached"));
    let mut world = World::job(json!({"podReplacementPolicy": "Failed", "backoffLimit": 0}));
    world.settle();
    let pod = world.active()[0].clone();
    world.delete(&pod, None);
    assert_eq!(world.settle().ended(), Some("BackoffLimitExceeded"));
}

#[test]
fn a_failure_policy_judges_a_pod_that_was_deleted_by_how_it_ended() {
    let rule = json!({"action": "Ignore", "onExitCodes": {"operator": "In", "values": [143]}});
    let spec = json!({
        "backoffLimit": 0, "podReplacementPolicy": "Failed", "podFailurePolicy": {"rules": [rule]},
    });
    for (code, ended, failed) in [(143, None, 0), (3, Some("BackoffLimitExceeded"), 1)] {
        let mut world = World::job(spec.clone());
        world.settle();
        let pod = world.active()[0].clone();
        world.stop(&pod);
        world.pass();
        assert_eq!(world.record().failed, 0);
        world.depart(&pod, code);
        world.settle().wait(10).settle();
        assert_eq!((world.ended(), world.record().failed), (ended, failed), "{code}");
        assert_eq!(world.active().len(), usize::from(ended.is_none()), "{code}");
    }
}

#[test]
fn what_the_job_itself_has_dismissed_does_not_count() {
    let mut world = World::job(json!({"completions": 9, "parallelism": 3, "podReplacementPolicy": "Failed"}));
    world.settle();
    world.active().iter().for_each(|pod| world.run(pod, 0));
    world.edit(1, json!({"parallelism": 1}));
    world.pass();
    world.going().iter().for_each(|pod| world.depart(pod, 0));
    world.settle();
    world.edit(1, json!({"suspend": true}));
    world.pass();
    world.going().iter().for_each(|pod| world.depart(pod, 3));
    world.settle();
    assert_eq!((world.record().succeeded, world.record().failed), (0, 0));
}
