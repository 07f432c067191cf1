//! What a changed plan does to a living pod.

use super::*;
use RestartPolicy::{Always, Never};

fn with_image(mut plan: PodPlan, container: usize, image: &str) -> PodPlan {
    image.clone_into(&mut plan.containers[container].image.authored);
    plan
}

#[test]
fn a_new_image_restarts_that_container_alone() {
    let plan = pod(Never).app("x").app("y");
    let mut pod = Script::ready(plan.clone());
    pod.started("x").started("y").told(with_image(plan, 0, "busybox:2")).asks(&[signal("x", TERM)]);
    assert_eq!(pod.container("x").image, "busybox:1", "the old one still runs");
    let message = "Container x definition changed, will be restarted".to_owned();
    assert!(pod.events().contains(&("Killing".to_owned(), message)));
    pod.exits("x", left_with(143)).asks(&[start("x", 1)]).started("x").asks(&[]);
    assert_eq!((pod.container("x").image.as_str(), pod.container("x").restart_count), ("busybox:2", 1));
    assert_eq!(pod.container("y").restart_count, 0);
    pod.at(100).asks(&[]);
}

#[test]
fn a_container_that_does_not_make_way_for_its_new_image_is_killed() {
    let plan = pod(Always).app("x");
    let mut pod = Script::ready(plan.clone());
    pod.started("x").told(with_image(plan, 0, "busybox:2")).wakes_at(Some(30));
    pod.at(30).asks(&[kill("x")]).exits("x", killed()).asks(&[start("x", 1)]);
}

#[test]
fn a_new_image_ends_a_back_off() {
    let plan = pod(Always).app("x");
    let mut pod = Script::ready(plan.clone());
    pod.started("x").exits("x", left_with(1)).started("x").exits("x", left_with(1)).wakes_at(Some(10));
    pod.told(with_image(plan, 0, "busybox:2")).asks(&[start("x", 2)]);
    pod.started("x").exits("x", left_with(1)).asks(&[start("x", 3)]);
}

#[test]
fn a_new_image_reaches_a_container_that_is_being_started() {
    let plan = pod(Always).app("x");
    let mut pod = Script::ready(plan.clone());
    pod.told(with_image(plan, 0, "busybox:2")).asks(&[]).started("x").asks(&[signal("x", TERM)]);
}

#[test]
fn a_new_image_does_not_wake_what_has_ended_for_good() {
    let plan = pod(Never).app("x").app("y");
    let mut pod = Script::ready(plan.clone());
    pod.started("x").started("y").exits("x", left_with(0));
    pod.told(with_image(plan, 0, "busybox:2")).asks(&[]);
    assert_eq!(pod.end("x").code, 0);
}

#[test]
fn a_stop_outruns_a_new_image() {
    let plan = pod(Always).app("x");
    let mut pod = Script::ready(plan.clone());
    pod.started("x").told(with_image(plan, 0, "busybox:2"));
    pod.told_to_stop(StopReason::Deleted, Some(5)).asks(&[]).wakes_at(Some(5));
    pod.exits("x", left_with(143)).asks(&[Effect::TearDown]);
}

#[test]
fn labels_and_revision_are_taken_over_quietly() {
    let mut plan = pod(Always).app("x");
    let mut pod = Script::ready(plan.clone());
    plan.live.labels.insert("tier".to_owned(), "front".to_owned());
    plan.revision.live = "l2".to_owned();
    pod.started("x").told(plan.clone()).asks(&[]);
    assert_eq!(pod.state.plan(), &plan);
    assert_eq!(pod.record().revision.live, "l2");
}

#[test]
fn changed_limits_and_files_are_written() {
    let mut plan = pod(Always).app("x");
    let files = |text: &str| VolumePlan::Files {
        files: vec![ProjectedFile { path: "a".to_owned(), content: text.into(), mode: 0o644 }],
        medium: Medium::Disk,
    };
    plan.volumes.insert("config".to_owned(), files("one"));
    let mut pod = Script::ready(plan.clone());
    plan.containers[0].resources.memory_limit = Some(1 << 20);
    pod.started("x").told(plan.clone()).asks(&[Effect::ApplyResources]);
    plan.volumes.insert("config".to_owned(), files("two"));
    pod.told(plan.clone()).asks(&[Effect::RefreshVolumes]).told(plan).asks(&[]);
}

#[test]
fn what_changes_while_the_sandbox_is_made_is_done_once_it_is_there() {
    let mut plan = pod(Always).app("x");
    let mut pod = Script::of(plan.clone());
    plan.live.resources.pids_limit = Some(10);
    pod.told(plan.clone()).asks(&[]);
    plan.live.resources.pids_limit = Some(20);
    pod.told(plan).asks(&[]).hears(Event::SandboxReady).asks(&[Effect::ApplyResources, start("x", 0)]);
}

#[test]
fn what_the_author_did_not_change_stays_as_it_was_resolved() {
    let plan = pod(Always).app("x");
    let mut pod = Script::ready(plan.clone());
    let mut newer = plan.clone();
    newer.hostname = "other".to_owned();
    newer.containers[0].argv = vec!["/other".to_owned()];
    pod.started("x").told(newer).asks(&[]);
    assert_eq!(pod.state.plan(), &plan);
}

#[test]
fn a_plan_of_another_shape_is_not_for_this_pod() {
    let plan = pod(Always).app("x");
    let mut pod = Script::ready(plan.clone());
    pod.started("x").told(self::pod(Always).app("x").app("y")).asks(&[]).told(self::pod(Always).app("z"));
    assert_eq!(pod.state.plan(), &plan);
}

#[test]
fn a_deadline_can_be_shortened_and_grace_changed() {
    let plan = pod(Always).app("x").deadline(600);
    let mut pod = Script::ready(plan.clone());
    let mut shorter = plan.deadline(50);
    shorter.live.grace = 7;
    pod.started("x").told(shorter).wakes_at(Some(50));
    pod.at(50).asks(&[signal("x", TERM)]).wakes_at(Some(57));
}
