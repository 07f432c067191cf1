//! Start order, restarts and how a pod ends by itself.

use super::*;
use crate::model::record::{Conditions, Outcome};
use RestartPolicy::{Always, Never, OnFailure};

fn failed() -> Option<Outcome> {
    Some(Outcome::Failed { reason: String::new(), message: String::new() })
}

#[test]
fn init_containers_run_one_by_one_and_app_containers_together() {
    let mut pod = Script::of(pod(Always).init("a").init("b").app("x").app("y"));
    pod.asks(&[Effect::MakeSandbox]).hears(Event::SandboxReady).asks(&[start("a", 0)]);
    assert_eq!(pod.waiting("x").0, "PodInitializing");
    pod.started("a").asks(&[]).exits("a", left_with(0)).asks(&[start("b", 0)]);
    assert!(pod.container("a").ready);
    pod.started("b").exits("b", left_with(0)).asks(&[start("x", 0), start("y", 0)]);
    pod.started("y").started("x").asks(&[]).wakes_at(None);
    assert!(pod.container("x").started && pod.container("x").ready);
}

#[test]
fn a_sidecar_holds_the_next_up_only_until_it_has_started() {
    let mut pod = Script::ready(pod(Never).sidecar("log").init("a").sidecar("net").app("x"));
    pod.asks(&[start("log", 0)]).started("log").asks(&[start("a", 0)]);
    pod.started("a").exits("log", left_with(0)).asks(&[start("log", 1)]);
    pod.exits("a", left_with(0)).asks(&[start("net", 0)]).started("net").asks(&[start("x", 0)]);
}

#[test]
fn a_pod_without_init_containers_waits_with_container_creating() {
    let mut pod = Script::of(pod(Always).app("x"));
    assert_eq!(pod.waiting("x"), ("ContainerCreating".to_owned(), String::new()));
    pod.hears(Event::SandboxReady).asks(&[start("x", 0)]);
    assert_eq!(pod.waiting("x").0, "ContainerCreating");
}

/// What runs again, by role, policy and exit code.
#[test]
fn restart_policy_decides_what_runs_again() {
    let cases = [
        (Role::App, Always, 0, true),
        (Role::App, Always, 1, true),
        (Role::App, OnFailure, 0, false),
        (Role::App, OnFailure, 1, true),
        (Role::App, Never, 0, false),
        (Role::App, Never, 1, false),
        (Role::Init, Always, 0, false),
        (Role::Init, Always, 1, true),
        (Role::Init, OnFailure, 1, true),
        (Role::Init, Never, 1, false),
        (Role::Sidecar, Never, 0, true),
        (Role::Sidecar, Never, 1, true),
    ];
    for (role, policy, code, again) in cases {
        let plan = match role {
            Role::Init => pod(policy).init("c").app("other"),
            Role::Sidecar => pod(policy).sidecar("c").app("other"),
            Role::App => pod(policy).app("c").app("other"),
        };
        let mut pod = Script::ready(plan);
        pod.started("c").exits("c", left_with(code));
        assert_eq!(
            pod.state.record(1).containers[0].restart_count,
            u32::from(again),
            "{role:?} {policy:?} {code}"
        );
    }
}

/// The conformance test "should run with the expected status": exit 1, then 0, then run.
#[test]
fn a_pod_ends_as_its_policy_says() {
    let mut always = Script::ready(pod(Always).app("x"));
    always.started("x").exits("x", left_with(1)).started("x").exits("x", left_with(0)).at(10).started("x");
    assert_eq!((always.container("x").restart_count, always.record().outcome), (2, None));

    let mut on_failure = Script::ready(pod(OnFailure).app("x"));
    on_failure.started("x").exits("x", left_with(1)).started("x").exits("x", left_with(0));
    on_failure.asks(&[Effect::TearDown]).hears(Event::ToreDown).asks(&[Effect::Leave]);
    assert_eq!(on_failure.container("x").restart_count, 1);
    assert_eq!(on_failure.record().outcome, Some(Outcome::Succeeded));

    let mut never = Script::ready(pod(Never).app("x"));
    never.started("x").exits("x", left_with(1)).asks(&[Effect::TearDown]);
    assert_eq!(never.record().outcome, None, "told only once nothing is left");
    never.hears(Event::ToreDown).asks(&[Effect::Leave]);
    assert_eq!((never.container("x").restart_count, never.record().outcome), (0, failed()));
}

#[test]
fn one_failed_app_container_fails_the_pod_once_all_have_ended() {
    let mut pod = Script::ready(pod(Never).app("x").app("y"));
    pod.started("x").started("y").exits("x", left_with(3)).asks(&[]);
    pod.exits("y", left_with(0)).asks(&[Effect::TearDown]).hears(Event::ToreDown);
    assert_eq!(pod.record().outcome, failed());
}

#[test]
fn an_init_container_that_fails_for_good_fails_the_pod() {
    let mut pod = Script::ready(pod(Never).sidecar("log").init("a").app("x"));
    pod.started("log").started("a").exits("a", left_with(1)).asks(&[signal("log", TERM)]);
    pod.exits("log", left_with(0)).asks(&[Effect::TearDown]).hears(Event::ToreDown);
    assert_eq!(pod.record().outcome, failed());
    assert_eq!(pod.waiting("x").0, "PodInitializing");
}

#[test]
fn an_init_container_that_fails_is_tried_again_under_always() {
    let mut pod = Script::ready(pod(Always).init("a").app("x"));
    pod.started("a").exits("a", left_with(1)).asks(&[start("a", 1)]);
    pod.started("a").exits("a", left_with(1)).asks(&[]).wakes_at(Some(10));
    assert_eq!(pod.waiting("a").0, "CrashLoopBackOff");
    pod.at(10).asks(&[start("a", 2)]).started("a").exits("a", left_with(0)).asks(&[start("x", 0)]);
}

#[test]
fn sidecars_are_stopped_when_the_work_is_done_and_never_decide() {
    let mut pod = Script::ready(pod(OnFailure).sidecar("log").sidecar("net").app("x"));
    pod.started("log").started("net").started("x");
    pod.exits("x", left_with(0)).asks(&[signal("net", TERM)]).wakes_at(Some(30));
    assert_eq!(pod.record().stopping, None);
    pod.exits("net", left_with(1)).asks(&[signal("log", TERM)]);
    pod.at(30).asks(&[kill("log")]).wakes_at(None);
    pod.exits("log", killed()).asks(&[Effect::TearDown]).hears(Event::ToreDown);
    assert_eq!(pod.record().outcome, Some(Outcome::Succeeded));
    assert_eq!(pod.end("log").code, 137);
}

#[test]
fn a_crash_loop_backs_off_to_five_minutes() {
    let mut pod = Script::ready(pod(Always).app("x"));
    let mut now = 0;
    for (restart, rest) in [0, 10, 20, 40, 80, 160, 300, 300].into_iter().enumerate() {
        pod.started("x").exits("x", left_with(1));
        if rest > 0 {
            pod.asks(&[]).wakes_at(Some(now + rest));
            assert_eq!(pod.container("x").last.map(|exit| exit.code), Some(1));
            now += rest;
            pod.at(now);
        }
        pod.asks(&[start("x", u32::try_from(restart).unwrap() + 1)]);
    }
}

#[test]
fn a_back_off_speaks_as_kubelet_does() {
    let uid = "abababab-abab-4bab-abab-abababababab";
    let mut pod = Script::ready(pod(Always).app("x"));
    pod.started("x").exits("x", left_with(1)).started("x").exits("x", left_with(1));
    let message = format!("back-off 10s restarting failed container=x pod=web_default({uid})");
    assert_eq!(pod.waiting("x"), ("CrashLoopBackOff".to_owned(), message));
    pod.at(10).started("x").exits("x", left_with(1)).at(30).started("x").exits("x", left_with(1));
    pod.at(70).started("x").exits("x", left_with(1));
    let message = format!("back-off 1m20s restarting failed container=x pod=web_default({uid})");
    assert_eq!(pod.waiting("x").1, message);
    let event = format!("Back-off restarting failed container x in pod web_default({uid})");
    assert!(pod.events().contains(&("BackOff".to_owned(), event)));
    assert_eq!(pod.record().events.iter().find(|event| event.reason == "BackOff").unwrap().count, 4);
    assert_eq!(pod.record().events.len(), 3, "Created, Started and BackOff are counted up");
}

#[test]
fn ten_minutes_of_running_make_crashes_forgotten() {
    let mut pod = Script::ready(pod(Always).app("x"));
    pod.started("x").exits("x", left_with(1)).started("x").exits("x", left_with(1));
    pod.at(10).started("x").at(609).exits("x", left_with(1)).asks(&[]).wakes_at(Some(629));
    pod.at(629).started("x").at(1229).exits("x", left_with(1)).asks(&[start("x", 4)]);
}

#[test]
fn time_alone_restarts_nothing() {
    let mut pod = Script::ready(pod(Always).sidecar("log").app("x"));
    pod.started("log").started("x");
    for seconds in [1, 600, 86_400, 10_000_000] {
        pod.at(seconds).asks(&[]).wakes_at(None);
    }
}

#[test]
fn a_container_that_cannot_start_waits_with_the_reason_and_is_tried_again() {
    let mut pod = Script::ready(pod(Always).app("x"));
    pod.not_started("x", "RunContainerError").asks(&[start("x", 1)]);
    pod.not_started("x", "RunContainerError").asks(&[]).wakes_at(Some(10));
    assert_eq!(pod.waiting("x"), ("RunContainerError".to_owned(), "no such file: /bin/tru".to_owned()));
    let last = pod.container("x").last.unwrap();
    assert_eq!((last.code, last.reason.as_str(), last.started_at), (128, "StartError", None));
    assert!(pod.events().contains(&("Failed".to_owned(), "Error: no such file: /bin/tru".to_owned())));
}

#[test]
fn under_never_a_container_that_cannot_start_fails_the_pod() {
    for (reason, ended) in [
        ("RunContainerError", "StartError"),
        ("CreateContainerError", "ContainerCannotRun"),
        ("CreateContainerConfigError", "ContainerCannotRun"),
    ] {
        let mut pod = Script::ready(pod(Never).app("x"));
        pod.not_started("x", reason).asks(&[Effect::TearDown]).hears(Event::ToreDown);
        assert_eq!((pod.end("x").code, pod.end("x").reason.as_str()), (128, ended));
        assert_eq!(pod.record().outcome, failed());
    }
}

#[test]
fn exits_are_named_as_kubelet_names_them() {
    let oom = |code, signal| RawEnd { code, signal, oom_killed: true, message: String::new() };
    let cases = [
        (left_with(0), "Completed"),
        (left_with(2), "Error"),
        (killed(), "Error"),
        (oom(137, Some(9)), "OOMKilled"),
        (oom(137, None), "OOMKilled"),
        (oom(1, None), "Error"),
        (oom(0, None), "Completed"),
    ];
    for (end, reason) in cases {
        let mut pod = Script::ready(pod(Never).app("x"));
        pod.started("x").at(7).exits("x", end.clone());
        let exit = pod.end("x");
        assert_eq!((exit.reason.as_str(), exit.code, exit.signal), (reason, end.code, end.signal), "{end:?}");
        assert_eq!((exit.started_at, exit.finished_at), (Some(at(0).wall), at(7).wall));
    }
}

#[test]
fn each_end_is_recorded_once_with_its_run() {
    let mut pod = Script::ready(pod(Always).app("x"));
    let end = RawEnd { message: "bye".to_owned(), ..left_with(1) };
    pod.started("x").exits("x", end.clone());
    let Effect::RecordExit { container, restart, exit, .. } = &pod.asked[0] else {
        panic!("{:?}", pod.asked)
    };
    assert_eq!((container.as_str(), *restart, exit.message.as_str()), ("x", 0, "bye"));
    pod.started("x").exits("x", end.clone());
    assert!(matches!(pod.asked[0], Effect::RecordExit { restart: 1, .. }));
    pod.exits("x", end);
    assert_eq!(pod.asked, [], "it does not run, so this is no end of it");
}

#[test]
fn a_sandbox_that_fails_is_undone_and_made_again() {
    let failed = || Event::SandboxFailed { message: "no bridge".to_owned() };
    let mut pod = Script::of(pod(Never).app("x"));
    pod.hears(failed()).asks(&[Effect::TearDown]).wakes_at(None);
    pod.hears(Event::ToreDown).asks(&[Effect::MakeSandbox]);
    pod.hears(failed()).hears(Event::ToreDown).asks(&[]).wakes_at(Some(10));
    assert_eq!(
        pod.record().sandbox,
        crate::model::record::SandboxState::Failed { message: "no bridge".to_owned() }
    );
    pod.at(10).asks(&[Effect::MakeSandbox]).hears(Event::SandboxReady).asks(&[start("x", 0)]);
    let message = "Failed to create pod sandbox: no bridge".to_owned();
    assert_eq!(pod.events(), [("FailedCreatePodSandBox".to_owned(), message)]);
}

/// Sandbox, initialized, ready: whether each is so, and since which second.
fn conditions(pod: &Script) -> [(bool, u64); 3] {
    let Conditions { sandbox, initialized, ready } = pod.record().conditions.unwrap();
    [sandbox, initialized, ready].map(|standing| {
        let since = standing.since.duration_since(at(0).wall);
        (standing.met, since.as_secs().try_into().unwrap())
    })
}

#[test]
fn a_condition_keeps_its_time_until_it_turns() {
    let readiness = Probes { readiness: Some(probe()), ..Probes::default() };
    let mut pod = Script::of(probed(Always, readiness).init("i"));
    assert_eq!(conditions(&pod), [(false, 0), (false, 0), (false, 0)]);
    pod.at(1).hears(Event::SandboxReady).at(2).started("i").at(3).exits("i", left_with(0));
    assert_eq!(conditions(&pod), [(true, 1), (true, 3), (false, 0)]);
    pod.at(5).started("x").probed(ProbeKind::Readiness, Verdict::Success);
    assert_eq!(conditions(&pod), [(true, 1), (true, 3), (true, 5)]);
    for second in [15, 25, 35] {
        pod.at(second).probed(ProbeKind::Readiness, failure());
    }
    assert_eq!(conditions(&pod)[2], (false, 35));
    pod.at(45).probed(ProbeKind::Readiness, Verdict::Success);
    assert_eq!(conditions(&pod)[2], (true, 45));
    pod.at(50).exits("x", left_with(1)).at(51).started("x");
    assert_eq!(conditions(&pod), [(true, 1), (true, 3), (false, 50)]);
    pod.at(60).told_to_stop(StopReason::Interrupted, None).exits("x", killed()).at(61).hears(Event::ToreDown);
    assert_eq!(conditions(&pod), [(false, 61), (true, 3), (false, 50)]);
}

#[test]
fn a_pod_that_has_done_its_work_is_unready_since_its_last_container_ended() {
    let mut pod = Script::ready(pod(Never).app("x"));
    pod.at(1).started("x").at(7).exits("x", left_with(0)).at(8).hears(Event::ToreDown);
    assert_eq!(conditions(&pod), [(false, 8), (true, 0), (false, 7)]);
}
