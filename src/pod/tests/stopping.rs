//! How a pod is stopped: by its object's end, by an interrupt, by its deadline.

use super::*;
use crate::model::record::Outcome;
use RestartPolicy::{Always, Never, OnFailure};
use StopReason::{DeadlineExceeded, Deleted, Interrupted};

fn running() -> Script {
    let mut plan = pod(Always).sidecar("log").sidecar("net").app("x").app("y");
    plan.containers[1].stop_signal = 3;
    let mut pod = Script::ready(plan);
    pod.started("log").started("net").started("x").started("y");
    pod
}

#[test]
fn app_containers_are_stopped_first_then_sidecars_in_reverse_order() {
    let mut pod = running();
    pod.told_to_stop(Deleted, None).asks(&[signal("x", TERM), signal("y", 3)]).wakes_at(Some(30));
    assert!(pod.events().contains(&("Killing".to_owned(), "Stopping container x".to_owned())));
    assert_eq!(pod.record().stopping.map(|stopping| stopping.why), Some(Deleted));
    pod.exits("x", left_with(0)).asks(&[]).exits("y", left_with(143)).asks(&[signal("net", TERM)]);
    pod.exits("net", left_with(0)).asks(&[signal("log", TERM)]);
    pod.exits("log", left_with(0)).asks(&[Effect::TearDown]).wakes_at(None);
    pod.hears(Event::ToreDown).asks(&[Effect::Leave]);
    assert_eq!(pod.record().outcome, Some(Outcome::Deleted));
}

#[test]
fn what_is_left_at_the_end_of_the_grace_is_killed_once() {
    let mut pod = running();
    pod.at(100).told_to_stop(Deleted, None).at(129).asks(&[]).exits("x", left_with(0));
    pod.at(130).asks(&[kill("y"), kill("net"), kill("log")]).wakes_at(None).at(140).asks(&[]);
    pod.exits("net", killed()).exits("log", killed()).exits("y", killed()).asks(&[Effect::TearDown]);
}

#[test]
fn the_grace_is_one_for_the_whole_pod() {
    let mut pod = running();
    pod.told_to_stop(Deleted, Some(20)).at(15).exits("x", left_with(0)).exits("y", left_with(0));
    pod.asks(&[signal("net", TERM)]).at(20).asks(&[kill("net"), kill("log")]);
}

#[test]
fn no_grace_kills_at_once() {
    let mut pod = running();
    pod.told_to_stop(Deleted, Some(0)).asks(&[kill("x"), kill("y"), kill("net"), kill("log")]);
}

#[test]
fn a_second_request_hurries_but_never_slows() {
    let mut pod = running();
    pod.told_to_stop(Deleted, None).at(5).told_to_stop(Deleted, Some(60)).asks(&[]).wakes_at(Some(30));
    pod.told_to_stop(Deleted, Some(2)).asks(&[]).wakes_at(Some(7));
    pod.told_to_stop(Deleted, Some(0)).asks(&[kill("x"), kill("y"), kill("net"), kill("log")]);
}

#[test]
fn the_first_reason_stands_but_for_a_deletion_that_follows_an_interrupt() {
    let cases = [
        (Interrupted, Deleted, Outcome::Deleted),
        (Interrupted, Interrupted, Outcome::Interrupted),
        (Deleted, Interrupted, Outcome::Deleted),
    ];
    for (first, second, outcome) in cases {
        let mut pod = Script::ready(pod(Always).app("x"));
        pod.started("x").told_to_stop(first, None).told_to_stop(second, None);
        pod.exits("x", left_with(143)).hears(Event::ToreDown);
        assert_eq!(pod.record().outcome, Some(outcome), "{first:?} {second:?}");
    }
}

#[test]
fn a_pod_whose_work_was_done_keeps_its_end_when_interrupted() {
    let mut done = Script::ready(pod(OnFailure).sidecar("log").app("x"));
    done.started("log").started("x").exits("x", left_with(0)).told_to_stop(Interrupted, Some(0));
    done.asks(&[kill("log")]).exits("log", killed()).hears(Event::ToreDown);
    assert_eq!(done.record().outcome, Some(Outcome::Succeeded));

    let mut torn = Script::ready(pod(Never).app("x"));
    torn.started("x").exits("x", left_with(1)).told_to_stop(Deleted, None).hears(Event::ToreDown);
    assert!(matches!(torn.record().outcome, Some(Outcome::Failed { .. })));
}

#[test]
fn a_container_that_was_being_started_is_stopped_once_it_runs() {
    let mut pod = Script::ready(pod(Always).sidecar("log").app("x"));
    pod.started("log").told_to_stop(Deleted, None).asks(&[]).started("x").asks(&[signal("x", TERM)]);

    let mut late = Script::ready(self::pod(Always).sidecar("log").app("x"));
    late.started("log").told_to_stop(Deleted, None).at(31).asks(&[]).wakes_at(None);
    late.started("x").asks(&[kill("x"), kill("log")]);

    let mut failing = Script::ready(self::pod(Always).app("x"));
    failing.told_to_stop(Deleted, None).not_started("x", "RunContainerError").asks(&[Effect::TearDown]);
}

#[test]
fn a_container_that_rests_is_not_started_for_a_stop() {
    let mut pod = Script::ready(pod(Always).app("x"));
    pod.started("x").exits("x", left_with(1)).started("x").exits("x", left_with(4));
    pod.told_to_stop(Interrupted, None).asks(&[Effect::TearDown]);
    assert_eq!((pod.end("x").code, pod.container("x").last.map(|exit| exit.code)), (4, Some(1)));
}

#[test]
fn containers_whose_turn_had_not_come_stay_waiting() {
    let mut pod = Script::ready(pod(Always).init("a").app("x"));
    pod.started("a").told_to_stop(Deleted, None).asks(&[signal("a", TERM)]);
    pod.exits("a", left_with(0)).asks(&[Effect::TearDown]).hears(Event::ToreDown);
    assert_eq!(pod.waiting("x").0, "PodInitializing");
}

#[test]
fn a_stop_ends_a_pod_whose_sandbox_is_not_there_yet() {
    let failed = || Event::SandboxFailed { message: String::new() };
    let mut making = Script::of(pod(Always).app("x"));
    making.told_to_stop(Deleted, None).asks(&[]).hears(Event::SandboxReady).asks(&[Effect::TearDown]);
    making.hears(Event::ToreDown).asks(&[Effect::Leave]);

    let mut undoing = Script::of(pod(Always).app("x"));
    undoing.hears(failed()).told_to_stop(Interrupted, None).asks(&[]);
    undoing.hears(Event::ToreDown).asks(&[Effect::Leave]);

    let mut retrying = Script::of(pod(Always).app("x"));
    retrying.hears(failed()).hears(Event::ToreDown).hears(failed()).hears(Event::ToreDown);
    retrying.told_to_stop(Interrupted, None).asks(&[Effect::Leave]).wakes_at(None);
    assert_eq!(retrying.record().outcome, Some(Outcome::Interrupted));
}

#[test]
fn a_deadline_counts_from_the_pods_begin_and_fails_it() {
    let mut pod = Script::ready(pod(Always).app("x").deadline(60));
    pod.at(20).started("x").wakes_at(Some(60)).at(59).asks(&[]);
    pod.at(60).asks(&[signal("x", TERM)]).wakes_at(Some(90));
    assert_eq!(pod.record().stopping.map(|stopping| stopping.why), Some(DeadlineExceeded));
    pod.told_to_stop(Interrupted, None).exits("x", left_with(0)).hears(Event::ToreDown);
    let message = "Pod was active on the node longer than the specified deadline".to_owned();
    let reason = "DeadlineExceeded".to_owned();
    assert_eq!(
        pod.record().outcome,
        Some(Outcome::Failed { reason: reason.clone(), message: message.clone() })
    );
    assert!(pod.events().contains(&(reason, message)));
}

#[test]
fn a_deadline_holds_before_anything_runs() {
    let mut pod = Script::of(pod(Always).app("x").deadline(5));
    pod.wakes_at(Some(5)).at(5).asks(&[]).hears(Event::SandboxReady).asks(&[Effect::TearDown]);
    pod.hears(Event::ToreDown).asks(&[Effect::Leave]);
    assert!(matches!(pod.record().outcome, Some(Outcome::Failed { .. })));
}

#[test]
fn work_that_ends_with_the_deadline_is_done() {
    let mut pod = Script::ready(pod(Never).app("x").deadline(5));
    pod.started("x");
    pod.seconds = 5;
    pod.exits("x", left_with(0)).asks(&[Effect::TearDown]).hears(Event::ToreDown);
    assert_eq!(pod.record().outcome, Some(Outcome::Succeeded));
}

#[test]
fn nothing_follows_the_end() {
    let mut pod = Script::ready(pod(Never).app("x").deadline(5));
    pod.started("x").exits("x", left_with(0)).hears(Event::ToreDown).asks(&[Effect::Leave]);
    pod.hears(Event::ToreDown).asks(&[]).hears(Event::SandboxReady).asks(&[]);
    pod.told_to_stop(Deleted, Some(0)).asks(&[]).at(1000).asks(&[]).wakes_at(None);
    assert_eq!(pod.record().outcome, Some(Outcome::Succeeded));
}
