//! postStart and preStop.

use super::*;
use RestartPolicy::{Always, Never};
use Verdict::Success;

fn exec() -> Option<Hook> {
    Some(Hook::Exec(vec!["true".to_owned()]))
}

fn sleep(seconds: u64) -> Option<Hook> {
    Some(Hook::Sleep(Duration::from_secs(seconds)))
}

fn hooked(policy: RestartPolicy, post_start: Option<Hook>, pre_stop: Option<Hook>) -> PodPlan {
    let mut plan = pod(policy).app("x");
    plan.containers[0].hooks = Hooks { post_start, pre_stop };
    plan
}

#[test]
fn a_container_runs_once_its_post_start_hook_is_done() {
    let mut plan = hooked(Always, exec(), None).app("y");
    plan.containers[0].probes.liveness = Some(probe());
    let mut pod = Script::ready(plan);
    pod.asks(&[start("x", 0)]).started("x");
    assert_eq!(pod.handlers(), [("run", Purpose::PostStart)]);
    assert_eq!(pod.waiting("x").0, "ContainerCreating");
    assert!(!pod.container("x").started && !pod.container("x").ready);
    pod.comes_to("x", Purpose::PostStart, Success).asks(&[start("y", 0)]);
    assert!(pod.container("x").started && pod.container("x").ready);
    assert!(pod.handlers().contains(&("run", Purpose::Probe(ProbeKind::Liveness))));
}

#[test]
fn a_post_start_hook_that_fails_ends_the_container_which_waits_with_the_reason() {
    let mut pod = Script::ready(hooked(Always, exec(), None).app("y"));
    pod.started("x").comes_to("x", Purpose::PostStart, failure());
    pod.asks(&[signal("x", TERM)]).wakes_at(Some(30));
    pod.exits("x", left_with(143)).asks(&[start("x", 1), start("y", 0)]);
    pod.started("x").comes_to("x", Purpose::PostStart, failure()).exits("x", left_with(143)).asks(&[]);
    assert_eq!(pod.waiting("x"), ("PostStartHookError".to_owned(), "no".to_owned()));
    let told = |reason: &str, message: &str| pod.events().contains(&(reason.to_owned(), message.to_owned()));
    assert!(told("FailedPostStartHook", "PostStartHook failed"));
    assert!(told("Killing", "FailedPostStartHook"));
}

#[test]
fn a_container_that_ends_during_its_hook_is_not_waited_for() {
    let mut pod = Script::ready(hooked(Never, exec(), None));
    pod.started("x").exits("x", left_with(0)).asks(&[Effect::TearDown]);
    pod.comes_to("x", Purpose::PostStart, failure()).asks(&[]);
}

#[test]
fn a_pre_stop_hook_comes_before_the_signal_and_within_the_grace() {
    let mut pod = Script::ready(hooked(Always, None, exec()));
    pod.started("x").told_to_stop(StopReason::Deleted, None).asks(&[]).wakes_at(Some(30));
    assert_eq!(pod.handlers(), [("run", Purpose::PreStop)]);
    pod.at(7).comes_to("x", Purpose::PreStop, Success).asks(&[signal("x", TERM)]).wakes_at(Some(30));
    pod.at(30).asks(&[kill("x")]);
}

#[test]
fn a_pre_stop_hook_that_takes_all_the_grace_leaves_two_seconds_to_end_in() {
    let mut pod = Script::ready(hooked(Always, None, exec()));
    pod.started("x").told_to_stop(StopReason::Deleted, Some(10)).wakes_at(Some(10));
    pod.at(10).asks(&[signal("x", TERM)]).wakes_at(Some(12));
    assert_eq!(pod.handlers(), [("end", Purpose::PreStop)]);
    pod.at(12).asks(&[kill("x")]);
}

#[test]
fn a_pre_stop_hook_that_fails_is_told_and_keeps_nobody() {
    let mut pod = Script::ready(hooked(Always, None, exec()));
    pod.started("x").told_to_stop(StopReason::Deleted, None);
    pod.comes_to("x", Purpose::PreStop, failure()).asks(&[signal("x", TERM)]);
    assert!(pod.events().contains(&("FailedPreStopHook".to_owned(), "PreStopHook failed".to_owned())));
}

#[test]
fn a_hook_may_sleep() {
    let mut pod = Script::ready(hooked(Always, sleep(3), sleep(4)));
    pod.started("x").wakes_at(Some(3));
    assert!(!pod.container("x").started);
    pod.at(3).wakes_at(None);
    assert!(pod.container("x").started);
    pod.told_to_stop(StopReason::Deleted, None).asks(&[]).wakes_at(Some(7));
    pod.at(7).asks(&[signal("x", TERM)]).wakes_at(Some(33));
}

#[test]
fn a_sleep_of_no_time_and_a_stop_without_grace_are_at_once() {
    let mut pod = Script::ready(hooked(Always, sleep(0), sleep(0)));
    pod.started("x");
    assert!(pod.container("x").started);
    pod.told_to_stop(StopReason::Deleted, None).asks(&[signal("x", TERM)]);
    let mut pod = Script::ready(hooked(Always, None, exec()));
    pod.started("x").told_to_stop(StopReason::Deleted, Some(0)).asks(&[kill("x")]);
    assert_eq!(pod.handlers(), []);
}

#[test]
fn a_condemned_container_and_one_with_a_new_image_have_their_pre_stop_hook() {
    let mut plan = hooked(Always, None, exec());
    plan.containers[0].probes.liveness = Some(ProbePlan { failure_threshold: 1, ..probe() });
    let mut pod = Script::ready(plan.clone());
    pod.started("x").probed(ProbeKind::Liveness, failure());
    assert_eq!(pod.handlers(), [("run", Purpose::PreStop)]);
    pod.comes_to("x", Purpose::PreStop, Success).asks(&[signal("x", TERM)]);

    plan.containers[0].probes = Probes::default();
    let mut pod = Script::ready(plan.clone());
    plan.containers[0].image.authored = "busybox:2".to_owned();
    pod.started("x").told(plan).asks(&[]);
    assert_eq!(pod.handlers(), [("run", Purpose::PreStop)]);
}

#[test]
fn a_stop_during_the_post_start_hook_ends_the_hook() {
    let mut pod = Script::ready(hooked(Always, exec(), None));
    pod.started("x").told_to_stop(StopReason::Deleted, None).asks(&[signal("x", TERM)]);
    assert_eq!(pod.handlers(), [("end", Purpose::PostStart)]);
}
