//! When probes are run, and what their verdicts do.

use super::*;
use ProbeKind::{Liveness, Readiness, Startup};
use RestartPolicy::{Always, Never, OnFailure};
use Verdict::Success;

fn liveness(probe: ProbePlan) -> Probes {
    Probes { liveness: Some(probe), ..Probes::default() }
}

fn readiness(probe: ProbePlan) -> Probes {
    Probes { readiness: Some(probe), ..Probes::default() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_probe_is_run_after_its_delay_and_then_once_each_period() {
    let mut pod = Script::ready(probed(Always, liveness(ProbePlan { initial_delay: seconds(5), ..probe() })));
    pod.started("x").runs(&[]).wakes_at(Some(5));
    pod.at(5).runs(&[Liveness]).wakes_at(Some(6));
    pod.probed(Liveness, Success).runs(&[]).wakes_at(Some(15));
    pod.at(15).runs(&[Liveness]);
}

#[test]
fn a_probe_that_lasts_longer_than_its_period_is_run_again_at_its_end_and_never_twice_at_once() {
    let slow = ProbePlan { timeout: seconds(25), ..probe() };
    let mut pod = Script::ready(probed(Always, liveness(slow)));
    pod.started("x").runs(&[Liveness]).wakes_at(Some(25));
    pod.at(12).runs(&[]).at(20).runs(&[]);
    pod.probed(Liveness, Success).runs(&[Liveness]);
}

#[test]
fn one_failure_does_nothing_and_the_third_in_a_row_ends_the_container() {
    let mut pod = Script::ready(probed(Always, liveness(probe())));
    pod.started("x").probed(Liveness, failure()).asks(&[]);
    pod.at(10).probed(Liveness, failure()).asks(&[]);
    pod.at(20).probed(Liveness, Success).asks(&[]);
    for at in [30, 40] {
        pod.at(at).probed(Liveness, failure()).asks(&[]);
    }
    pod.at(50).probed(Liveness, failure()).asks(&[signal("x", TERM)]).wakes_at(Some(80));
    pod.at(80).asks(&[kill("x")]).wakes_at(None);
    pod.exits("x", killed()).asks(&[start("x", 1)]);
    let unhealthy = pod.record().events.into_iter().find(|event| event.reason == "Unhealthy").unwrap();
    assert_eq!((unhealthy.message.as_str(), unhealthy.count), ("Liveness probe failed: no", 5));
    let killing = "Container x failed liveness probe, will be restarted".to_owned();
    assert!(pod.events().contains(&("Killing".to_owned(), killing)));
}

#[test]
fn a_new_run_is_judged_anew() {
    let mut pod = Script::ready(probed(Always, liveness(probe())));
    pod.started("x").probed(Liveness, failure()).at(10).probed(Liveness, failure());
    pod.exits("x", left_with(1)).asks(&[start("x", 1)]).started("x").runs(&[Liveness]);
    pod.probed(Liveness, failure()).asks(&[]).at(20).probed(Liveness, failure()).asks(&[]);
    pod.at(30).probed(Liveness, failure()).asks(&[signal("x", TERM)]);
}

#[test]
fn the_grace_of_a_probe_counts_over_that_of_the_pod() {
    let strict = ProbePlan { failure_threshold: 1, grace: Some(5), ..probe() };
    let mut pod = Script::ready(probed(Always, liveness(strict.clone())));
    pod.started("x").probed(Liveness, failure()).asks(&[signal("x", TERM)]).wakes_at(Some(5));
    let startup = Probes { startup: Some(strict), ..Probes::default() };
    let mut pod = Script::ready(probed(Always, startup));
    pod.started("x").probed(Startup, failure()).asks(&[signal("x", TERM)]).wakes_at(Some(5));
    let killing = "Container x failed startup probe, will be restarted".to_owned();
    assert!(pod.events().contains(&("Killing".to_owned(), killing)));
}

/// A server that ends well on SIGTERM has failed all the same.
#[test]
fn a_condemned_container_runs_again_unless_the_policy_is_never() {
    let strict = || liveness(ProbePlan { failure_threshold: 1, ..probe() });
    for (policy, again) in [(Always, true), (OnFailure, true), (Never, false)] {
        let mut pod = Script::ready(probed(policy, strict()));
        pod.started("x").probed(Liveness, failure()).exits("x", left_with(0));
        assert_eq!(pod.container("x").restart_count, u32::from(again), "{policy:?}");
    }
    let mut pod = Script::ready(probed(Never, strict()));
    pod.started("x").probed(Liveness, failure()).exits("x", left_with(143)).hears(Event::ToreDown);
    let killing = "Container x failed liveness probe".to_owned();
    assert!(pod.events().contains(&("Killing".to_owned(), killing)));
    assert!(matches!(pod.record().outcome, Some(crate::model::record::Outcome::Failed { .. })));
}

#[test]
fn a_probe_that_takes_too_long_is_ended_and_has_failed() {
    let strict = ProbePlan { failure_threshold: 1, ..probe() };
    let mut pod = Script::ready(probed(Always, liveness(strict)));
    pod.started("x").runs(&[Liveness]).wakes_at(Some(1));
    pod.at(1);
    assert_eq!(pod.handlers(), [("end", Purpose::Probe(Liveness))]);
    pod.asks(&[signal("x", TERM)]);
    let message = "Liveness probe failed: command timed out: \"true\" timed out after 1s".to_owned();
    assert!(pod.events().contains(&("Unhealthy".to_owned(), message)));
    pod.probed(Liveness, Success).asks(&[]);
}

#[test]
fn a_late_result_counts_for_nothing() {
    let mut pod = Script::ready(probed(Always, readiness(ProbePlan { period: seconds(1), ..probe() })));
    pod.started("x").runs(&[Readiness]).at(1);
    let run_again = [("end", Purpose::Probe(Readiness)), ("run", Purpose::Probe(Readiness))];
    assert_eq!(pod.handlers(), run_again);
    let late = Errand { container: "x".to_owned(), purpose: Purpose::Probe(Readiness), number: 1 };
    pod.hears(Event::HandlerEnded { errand: late, verdict: Success });
    assert!(!pod.container("x").ready);
    pod.probed(Readiness, Success);
    assert!(pod.container("x").ready);
}

#[test]
fn what_could_not_be_run_is_told_and_counts_for_nothing() {
    let strict = ProbePlan { failure_threshold: 1, ..probe() };
    let mut pod = Script::ready(probed(Always, liveness(strict)));
    pod.started("x").probed(Liveness, Verdict::Unknown("no such program".to_owned())).asks(&[]);
    let message = "Liveness probe errored and resulted in unknown state: no such program".to_owned();
    assert!(pod.events().contains(&("Unhealthy".to_owned(), message)));
}

#[test]
fn a_container_is_ready_when_its_probe_says_so_as_often_as_it_must() {
    let twice = ProbePlan { success_threshold: 2, failure_threshold: 2, ..probe() };
    let mut pod = Script::ready(probed(Always, readiness(twice)));
    pod.started("x");
    assert!(pod.container("x").started && !pod.container("x").ready);
    let mut ready = |at, verdict| {
        pod.at(at).probed(Readiness, verdict).asks(&[]);
        pod.container("x").ready
    };
    assert!(!ready(0, Success));
    assert!(ready(10, Success));
    assert!(ready(20, failure()));
    assert!(!ready(30, failure()));
    assert!(!ready(40, Success));
    assert!(ready(50, Verdict::Warning("moved".to_owned())));
    assert!(pod.events().contains(&("ProbeWarning".to_owned(), "Readiness probe warning: moved".to_owned())));
}

#[test]
fn until_the_startup_probe_succeeds_the_others_are_not_run() {
    let startup = ProbePlan { failure_threshold: 30, period: seconds(2), ..probe() };
    let all = Probes { startup: Some(startup), liveness: Some(probe()), readiness: Some(probe()) };
    let mut pod = Script::ready(probed(Always, all));
    pod.started("x").runs(&[Startup]).probed(Startup, failure()).runs(&[]);
    assert!(!pod.container("x").started && !pod.container("x").ready);
    pod.at(2).runs(&[Startup]).probed(Startup, Success).runs(&[Liveness, Readiness]);
    assert!(pod.container("x").started && !pod.container("x").ready);
    pod.at(1000);
    assert!(!pod.handlers().contains(&("run", Purpose::Probe(Startup))), "once is enough");
}

#[test]
fn a_delay_counts_from_the_containers_start_also_behind_a_startup_probe() {
    let later = |delay| ProbePlan { initial_delay: seconds(delay), ..probe() };
    let all = Probes { startup: Some(probe()), liveness: Some(later(4)), readiness: Some(later(20)) };
    let mut pod = Script::ready(probed(Always, all));
    pod.started("x").at(5);
    pod.at(10).probed(Startup, Success).runs(&[Liveness]).probed(Liveness, Success).wakes_at(Some(20));
}

#[test]
fn a_sidecars_startup_probe_holds_the_next_container_up_once() {
    let mut plan = pod(Always).sidecar("s").init("i").app("a");
    plan.init_containers[0].probes.startup = Some(probe());
    let mut pod = Script::ready(plan);
    pod.started("s").asks(&[]).comes_to("s", Purpose::Probe(Startup), failure()).asks(&[]);
    pod.at(10).comes_to("s", Purpose::Probe(Startup), Success).asks(&[start("i", 0)]);
    pod.started("i").exits("s", left_with(1)).asks(&[start("s", 1)]).started("s");
    assert!(!pod.container("s").started);
    pod.exits("i", left_with(0)).asks(&[start("a", 0)]);
}

#[test]
fn a_pod_that_stops_is_asked_whether_it_is_ready_and_not_whether_it_lives() {
    let strict = ProbePlan { failure_threshold: 1, ..probe() };
    let both = Probes { liveness: Some(strict.clone()), readiness: Some(strict), ..Probes::default() };
    let mut pod = Script::ready(probed(Always, both));
    pod.started("x").runs(&[Liveness, Readiness]).probed(Readiness, Success);
    pod.told_to_stop(StopReason::Deleted, None).asks(&[signal("x", TERM)]);
    assert_eq!(pod.handlers(), [("end", Purpose::Probe(Liveness))]);
    assert!(pod.container("x").ready);
    pod.at(10).runs(&[Readiness]).probed(Readiness, failure()).asks(&[]).wakes_at(Some(20));
    assert!(!pod.container("x").ready);
    pod.exits("x", left_with(0)).asks(&[Effect::TearDown]).wakes_at(None);
}

#[test]
fn a_pod_without_probes_never_wakes() {
    let mut pod = Script::ready(pod(Always).app("x"));
    pod.started("x").runs(&[]).wakes_at(None);
}
