//! The cases of Kubernetes' own tests of Jobs, those named `should_…` by its names, and what its documentation promises.

use serde_json::json;

use crate::api::Object;
use crate::model::id::Uid;
use crate::workload::control::tests::world::{Ends, World, uid};

mod deleted;
mod indexes;
mod policy;

const OK: Ends = Ends::With(0);
const BAD: Ends = Ends::With(1);

#[test]
fn should_run_a_job_to_completion_when_tasks_succeed() {
    let mut world = World::job(json!({"completions": 5, "parallelism": 2}));
    world.settle();
    for done in 0..5 {
        assert_eq!(world.active().len(), 2.min(5 - done), "after {done}");
        let first = world.active()[0].clone();
        world.end(&first, OK);
        world.settle();
    }
    assert_eq!((world.ended(), world.made.len()), (Some("CompletionsReached"), 5));
}

#[test]
fn should_create_pods_for_an_indexed_job_with_completion_indexes_and_specified_hostname() {
    let mut world = World::job(json!({"completions": 2, "completionMode": "Indexed"}));
    world.settle();
    let pod = &world.objects[&world.active()[0]];
    let Object::Pod(spec) = &*pod.object else { panic!("not a pod") };
    let metadata = &spec.metadata;
    let labels = metadata.labels.as_ref().unwrap();
    let owner = uid(1).to_string();
    for (name, value) in [
        ("app", "x"),
        ("batch.kubernetes.io/job-name", "pi"),
        ("job-name", "pi"),
        ("batch.kubernetes.io/controller-uid", owner.as_str()),
        ("controller-uid", owner.as_str()),
        ("batch.kubernetes.io/job-completion-index", "0"),
    ] {
        assert_eq!(labels[name], value, "{name}");
    }
    let name = pod.record.key.name.as_str();
    assert!(name.starts_with("pi-0-") && name.len() == "pi-0-".len() + 5, "{name}");
    let reference = &metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(
        (reference.kind.as_str(), reference.name.as_str(), reference.uid.as_str()),
        ("Job", "pi", owner.as_str())
    );
    let spec = spec.spec.as_ref().unwrap();
    assert_eq!(spec.hostname.as_deref(), Some("pi-0"));
    let env = &spec.containers[0].env.as_ref().unwrap()[0];
    assert_eq!(env.name, "JOB_COMPLETION_INDEX");
}

#[test]
fn each_index_has_its_pod_until_it_has_succeeded() {
    let mut world = World::job(json!({"completions": 4, "parallelism": 2, "completionMode": "Indexed"}));
    world.settle();
    assert_eq!(world.indexes(), [0, 1]);
    let pods = world.active();
    world.end(&pods[1], OK);
    world.wait(1).end(&pods[0], BAD);
    world.settle();
    // Back-off holds for all indexes as long as none has a limit of its own.
    assert_eq!(world.indexes(), [0; 0]);
    world.wait(10).settle();
    assert_eq!(world.indexes(), [0, 2]);
    world.end_all(OK).settle();
    world.end_all(OK).settle();
    assert_eq!(world.ended(), Some("CompletionsReached"));
    assert_eq!(world.record().completed.to_string(), "0-3");
}

#[test]
fn failures_are_answered_later_and_later_and_a_success_forgives_them() {
    let mut world = World::job(json!({"completions": 2, "backoffLimit": 20}));
    world.settle();
    for wait in [10, 20, 40, 80, 160, 320, 600, 600] {
        world.end_all(BAD).settle();
        world.wait(wait - 1).settle();
        assert!(world.active().is_empty(), "before {wait}");
        world.wait(1).settle();
        assert_eq!(world.active().len(), 1, "at {wait}");
    }
    world.end_all(OK).settle();
    assert_eq!(world.active().len(), 1);
}

#[test]
fn the_next_try_is_told_with_its_number_and_its_time() {
    let told = |world: &World| {
        let Object::Job(job) = &*world.objects[&uid(1)].object else { panic!("not a Job") };
        let boot = crate::model::time::Moment(std::time::Duration::from_secs(world.boot));
        let now = crate::model::time::Now { wall: world.wall, boot };
        let present = crate::model::job::Present { now, boot_id: &world.boot_id };
        let next = super::retry(job.spec.as_ref().unwrap(), &world.record(), present);
        next.map(|next| ((next.due - boot).as_secs(), next.number, next.limit))
    };
    let mut world = World::job(json!({"backoffLimit": 2}));
    assert_eq!(told(world.settle()), None);
    world.end_all(BAD).settle();
    assert_eq!(told(world.wait(3)), Some((7, Some(1), 2)));
    world.wait(7).settle().end_all(BAD).settle();
    assert_eq!(told(&world), Some((20, Some(2), 2)));
    world.wait(20).settle().end_all(BAD).settle();
    assert_eq!((told(&world), world.ended()), (None, Some("BackoffLimitExceeded")));
    let spec =
        json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1});
    let mut world = World::job(spec);
    world.settle();
    let first = world.active()[0].clone();
    world.end(&first, BAD);
    assert_eq!(told(world.settle()), Some((10, Some(1), 1)));
}

#[test]
fn more_failures_than_the_limit_fail_the_job() {
    let mut world = World::job(json!({"backoffLimit": 1}));
    world.settle().end_all(BAD).settle();
    assert_eq!(world.ended(), None);
    world.wait(10).settle().end_all(BAD).settle();
    assert_eq!(world.ended(), Some("BackoffLimitExceeded"));
    assert_eq!(world.record().failed, 2);
}

#[test]
fn should_run_a_job_to_completion_when_tasks_sometimes_fail_and_are_locally_restarted() {
    let mut world = World::job(
        json!({"completions": 4, "parallelism": 2, "template": {"spec": {"restartPolicy": "OnFailure"}}}),
    );
    for round in 0..2 {
        world.settle();
        let pods = world.active();
        assert_eq!(pods.len(), 2, "in round {round}");
        pods.iter().for_each(|pod| world.run(pod, 1));
        assert_eq!(world.settle().active(), pods, "a restarted task keeps its pod");
        world.end_all(OK);
    }
    assert_eq!(world.settle().ended(), Some("CompletionsReached"));
    assert_eq!((world.made.len(), world.record().failed, world.record().succeeded), (4, 0, 4));
}

#[test]
fn a_job_whose_tasks_are_restarted_in_their_pods_fails_by_the_restarts() {
    let on_failure = json!({"backoffLimit": 3, "template": {"spec": {"restartPolicy": "OnFailure"}}});
    let mut world = World::job(on_failure);
    world.settle();
    let pod = world.active()[0].clone();
    world.run(&pod, 2);
    world.settle();
    assert_eq!(world.ended(), None);
    world.run(&pod, 3);
    world.settle();
    assert_eq!((world.ended(), world.record().failed), (Some("BackoffLimitExceeded"), 1));
}

#[test]
fn a_job_that_is_active_for_too_long_fails_and_its_pods_go() {
    let mut world = World::job(json!({"activeDeadlineSeconds": 60, "parallelism": 2, "completions": 2}));
    world.settle();
    assert_eq!(world.wake_in.map(|wait| wait.as_secs()), Some(60));
    world.wait(59).settle();
    assert_eq!(world.active().len(), 2);
    world.wait(1).pass();
    assert!(world.active().is_empty());
    assert_eq!((world.ended(), world.record().verdict.is_some()), (None, true));
    world.settle();
    assert_eq!((world.ended(), world.record().failed), (Some("DeadlineExceeded"), 2));
}

#[test]
fn many_that_fail_together_wait_for_their_back_off_together() {
    let mut world = World::job(json!({"completions": 60, "parallelism": 60, "backoffLimit": 100}));
    assert_eq!(world.settle().active().len(), 60);
    world.end_all(BAD).settle();
    assert_eq!((world.active().len(), world.wake_in.map(|wait| wait.as_secs())), (0, Some(600)));
    assert_eq!(world.wait(600).settle().active().len(), 60);
}

#[test]
fn a_clock_that_is_set_moves_no_deadline() {
    let mut world = World::job(json!({"activeDeadlineSeconds": 60}));
    world.settle();
    world.wall = "2040-01-01T00:00:00Z".parse().unwrap();
    world.settle();
    assert_eq!(world.ended(), None);
    world.boot += 60;
    assert_eq!(world.settle().ended(), Some("DeadlineExceeded"));
}

#[test]
fn a_job_without_completions_is_done_with_the_first_success_and_the_last_pod() {
    let mut world = World::job(json!({"parallelism": 3}));
    world.settle();
    let pods = world.active();
    assert_eq!(pods.len(), 3);
    world.end(&pods[0], OK);
    world.settle();
    world.edit(1, json!({"parallelism": 1}));
    world.settle();
    assert_eq!((world.ended(), world.active().len()), (None, 2), "what runs is left to run");
    world.end(&pods[1], OK);
    world.end(&pods[2], BAD);
    world.settle();
    assert_eq!((world.ended(), world.made.len()), (Some("CompletionsReached"), 3));
}

#[test]
fn should_manage_the_lifecycle_of_a_job_that_is_suspended_and_resumed() {
    let mut world =
        World::job(json!({"suspend": true, "completions": 2, "parallelism": 2, "activeDeadlineSeconds": 60}));
    world.settle().wait(100).settle();
    assert!(world.made.is_empty() && world.record().started.is_none());
    world.edit(1, json!({"suspend": false}));
    world.settle();
    let pods = world.active();
    world.end(&pods[0], OK);
    world.settle();
    world.edit(1, json!({"suspend": true}));
    world.settle().wait(100).settle();
    assert!(world.active().is_empty());
    assert_eq!((world.record().failed, world.record().succeeded), (0, 1));
    world.edit(1, json!({"suspend": false}));
    world.settle().wait(59).settle();
    assert_eq!((world.ended(), world.active().len()), (None, 1));
    world.end_all(OK).settle();
    assert_eq!(world.ended(), Some("CompletionsReached"));
}

#[test]
fn another_parallelism_makes_or_ends_pods() {
    let mut world = World::job(json!({"completions": 9, "parallelism": 2}));
    world.settle();
    world.edit(1, json!({"parallelism": 4}));
    assert_eq!(world.settle().active().len(), 4);
    let oldest = world.active()[0].clone();
    world.edit(1, json!({"parallelism": 1}));
    assert_eq!(world.settle().active(), [oldest]);
    world.edit(1, json!({"parallelism": 0}));
    assert!(world.settle().active().is_empty());
    assert_eq!(world.record().failed, 0);
}

#[test]
fn a_job_with_nothing_to_complete_is_complete() {
    assert_eq!(World::job(json!({"completions": 0})).settle().ended(), Some("CompletionsReached"));
}

#[test]
fn a_finished_job_keeps_its_word_and_loses_its_pods_when_its_time_is_over() {
    let mut world = World::job(json!({"ttlSecondsAfterFinished": 100}));
    world.settle().end_all(OK).settle();
    assert_eq!((world.ended(), world.objects.len()), (Some("CompletionsReached"), 2));
    assert_eq!(world.wait(99).settle().objects.len(), 2);
    assert_eq!(world.wait(1).settle().objects.len(), 1);
    world.wait(10_000).settle();
    assert_eq!((world.made.len(), world.ended()), (1, Some("CompletionsReached")));
}

#[test]
fn what_is_edited_after_the_end_is_in_vain() {
    let mut world = World::job(json!({"parallelism": 2, "completions": 2}));
    world.settle();
    let in_vain =
        |world: &World| super::edited_in_vain(&world.objects[&uid(1)].record.authored, &world.record());
    world.edit(1, json!({"parallelism": 1}));
    world.settle().end_all(OK).settle().end_all(OK).settle();
    assert_eq!((world.ended(), in_vain(&world)), (Some("CompletionsReached"), vec![]));
    world.edit(1, json!({"parallelism": 3, "suspend": true, "ttlSecondsAfterFinished": 1000}));
    world.settle();
    assert_eq!(in_vain(&world), ["parallelism", "suspend"]);
}

#[test]
fn an_end_that_is_counted_is_not_counted_again_after_a_restart_of_the_watcher() {
    let mut world = World::job(json!({"completions": 3, "parallelism": 3}));
    world.settle();
    let pods = world.active();
    world.end(&pods[0], OK);
    world.end(&pods[1], BAD);
    world.settle();
    // All that a watcher has is what is on disc.
    let text = serde_json::to_string(&world.record()).unwrap();
    world.controlled.jobs.insert(uid(1), serde_json::from_str(&text).unwrap());
    world.settle();
    assert_eq!((world.record().succeeded, world.record().failed), (1, 1));
}

#[test]
fn back_off_goes_on_over_a_restart_of_the_machine() {
    let mut world = World::job(json!({}));
    world.settle().end_all(BAD).settle();
    world.boot = 5;
    world.boot_id = "next boot".to_owned();
    world.wall += std::time::Duration::from_secs(4);
    world.settle();
    assert!(world.active().is_empty());
    world.wait(6).settle();
    assert_eq!(world.active().len(), 1);
}

#[test]
fn should_delete_a_job() {
    let mut world = World::job(json!({}));
    world.settle();
    world.delete(&uid(1), Some(5));
    world.declare(2, "Job", "pi", json!({}), crate::workload::control::tests::world::job_spec(json!({})));
    world.pass();
    assert_eq!((world.made.len(), world.active().len()), (1, 0));
    world.pass();
    assert_eq!(world.made.len(), 1, "the old pod is there still");
    world.leave();
    world.settle();
    assert!(!world.objects.contains_key(&uid(1)));
    assert_eq!((world.made.len(), world.active().len()), (2, 1));
}
