//! Indexed Jobs whose indexes fail, are given up, or are enough.

use super::*;

fn indexed(more: serde_json::Value) -> World {
    let mut spec = json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"});
    crate::workload::control::tests::world::merge(&mut spec, more);
    let mut world = World::job(spec);
    world.settle();
    world
}

fn of_index(world: &World, index: u64) -> Uid {
    world.active().into_iter().find(|pod| world.index(pod) == index).unwrap()
}

#[test]
fn an_index_that_fails_too_often_fails_alone() {
    let mut world = indexed(json!({"backoffLimitPerIndex": 1}));
    world.end(&of_index(&world, 1), BAD);
    world.settle();
    assert_eq!(world.indexes(), [0, 2]);
    world.wait(10).settle();
    world.end(&of_index(&world, 1), BAD);
    world.settle().wait(1000).settle();
    assert_eq!((world.indexes(), world.record().failed_indexes.to_string()), (vec![0, 2], "1".to_owned()));
    world.end_all(OK).settle();
    assert_eq!(
        (world.ended(), world.record().completed.to_string()),
        (Some("FailedIndexes"), "0,2".to_owned())
    );
}

#[test]
fn a_pod_tells_how_often_its_index_has_failed_before() {
    let rule = json!({"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}});
    let mut world = indexed(json!({"backoffLimitPerIndex": 3, "podFailurePolicy": {"rules": [rule]}}));
    let told = |world: &World, index: u64| {
        let pod = &world.objects[&of_index(world, index)];
        let annotations = pod.object.metadata().annotations.clone().unwrap();
        ["failure", "ignored-failure"]
            .map(|kind| annotations.get(&format!("batch.kubernetes.io/job-index-{kind}-count")).cloned())
    };
    let some = |count: &str| Some(count.to_owned());
    assert_eq!(told(&world, 1), [some("0"), None]);
    world.end(&of_index(&world, 1), BAD);
    world.settle().wait(10).settle();
    assert_eq!((told(&world, 0), told(&world, 1)), ([some("0"), None], [some("1"), None]));
    world.end(&of_index(&world, 1), Ends::With(42));
    world.settle().wait(19).settle();
    assert_eq!(world.indexes(), [0, 2], "what does not count is answered later all the same");
    world.wait(1).settle();
    assert_eq!(told(&world, 1), [some("1"), some("1")]);
    let mut plain = World::job(json!({"completions": 1, "completionMode": "Indexed"}));
    assert_eq!(told(plain.settle(), 0), [None, None]);
}

#[test]
fn a_pod_that_a_person_deletes_is_a_failure_of_its_index() {
    let mut world = indexed(json!({"backoffLimitPerIndex": 0}));
    world.stop(&of_index(&world, 1));
    world.settle().wait(1000).settle();
    assert_eq!((world.indexes(), world.record().failed_indexes.to_string()), (vec![0, 2], "1".to_owned()));
}

#[test]
fn too_many_failed_indexes_fail_the_job() {
    let mut world = indexed(json!({"backoffLimitPerIndex": 0, "maxFailedIndexes": 1}));
    world.end(&of_index(&world, 0), BAD);
    assert_eq!(world.settle().ended(), None);
    world.end(&of_index(&world, 2), BAD);
    assert_eq!(world.settle().ended(), Some("MaxFailedIndexesExceeded"));
    assert!(world.active().is_empty());
}

#[test]
fn an_exit_code_fails_an_index_at_once() {
    let rule = json!({"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}});
    let mut world = indexed(json!({"backoffLimitPerIndex": 5, "podFailurePolicy": {"rules": [rule]}}));
    world.end(&of_index(&world, 1), Ends::With(42));
    world.settle().wait(1000).settle();
    assert_eq!((world.indexes(), world.record().failed_indexes.to_string()), (vec![0, 2], "1".to_owned()));
}

#[test]
fn a_success_policy_ends_the_job_before_all_indexes_have() {
    let rules = json!([{"succeededIndexes": "0,2", "succeededCount": 2}, {"succeededIndexes": "1"}]);
    let mut world = indexed(json!({"successPolicy": {"rules": rules}}));
    world.end(&of_index(&world, 2), OK);
    assert_eq!(world.settle().ended(), None);
    world.end(&of_index(&world, 0), OK);
    world.settle();
    assert_eq!((world.ended(), world.record().failed), (Some("SuccessPolicy"), 0));
    assert_eq!(world.record().verdict.unwrap().message, "Matched rules at index 0");
    assert!(world.active().is_empty());
}

#[test]
fn indexes_that_are_taken_away_lose_their_pods_and_do_not_count() {
    let mut world = indexed(json!({}));
    world.end(&of_index(&world, 2), OK);
    world.edit(1, json!({"completions": 2, "parallelism": 2}));
    world.settle();
    assert_eq!(world.indexes(), [0, 1]);
    world.end_all(OK).settle();
    assert_eq!(world.ended(), Some("CompletionsReached"));
    for (more, end) in [
        (json!({"backoffLimitPerIndex": 0}), BAD),
        (json!({"backoffLimitPerIndex": 0, "maxFailedIndexes": 0}), OK),
        (json!({"successPolicy": {"rules": [{"succeededCount": 2}]}}), OK),
    ] {
        let mut world = indexed(more.clone());
        world.end(&of_index(&world, 2), end);
        world.edit(1, json!({"completions": 2, "parallelism": 2}));
        world.settle();
        world.end(&of_index(&world, 0), OK);
        world.settle();
        assert_eq!((world.ended(), world.indexes()), (None, vec![1]), "{more}");
        world.end_all(OK).settle();
        assert!(matches!(world.ended(), Some("CompletionsReached" | "SuccessPolicy")), "{more}");
    }
}

#[test]
fn many_indexes_that_are_given_up_leave_the_others_in_peace() {
    let many = json!({"completions": 60, "parallelism": 60, "backoffLimitPerIndex": 0});
    let mut world = indexed(many);
    for index in 0..55 {
        world.end(&of_index(&world, index), BAD);
    }
    world.settle();
    assert_eq!((world.active().len(), world.wake_in), (5, None));
}
