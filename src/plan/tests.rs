mod laws;
mod world;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::desired::{Blocked, Waiting};
use crate::model::image::StoredImage;
use crate::model::observed::{Finished, PullError};
use crate::model::pod_plan::{Revision, Role, sample};
use crate::model::record::{Exit, FORMAT, PodRecord, SandboxState, Stopping};
use crate::model::time::Timestamp;
use world::{World, moves};

const THIS_BOOT: &str = "this-boot";
const LAST_BOOT: &str = "last-boot";

fn at(seconds: u64) -> Now {
    let wall = Timestamp::from_second(1_700_000_000).unwrap() + Duration::from_secs(seconds);
    Now { wall, boot: Moment(Duration::from_secs(seconds)) }
}

fn uid(number: u8) -> Uid {
    Uid::from_random([number; 16])
}

fn id(name: &str, number: u8) -> PodId {
    PodId { namespace: "default".to_owned(), name: name.to_owned(), uid: uid(number) }
}

fn revision(pod: &str, live: &str) -> Revision {
    Revision { pod: pod.to_owned(), live: live.to_owned() }
}

fn plan_of(id: PodId, policy: RestartPolicy) -> PodPlan {
    PodPlan { id, revision: revision("a", "a"), restart_policy: policy, ..sample::pod() }
}

fn told_of(revision: Revision, stop: Option<StopReason>) -> Told {
    Told { plan: Arc::new(PodPlan { revision, ..sample::pod() }), stop }
}

fn exit(code: i32) -> Exit {
    Exit {
        code,
        signal: None,
        reason: "Error".to_owned(),
        message: String::new(),
        started_at: None,
        finished_at: at(0).wall,
    }
}

fn record(id: PodId, state: ContainerState, outcome: Option<Outcome>) -> PodRecord {
    PodRecord {
        format: FORMAT,
        binary: "0.1.0".to_owned(),
        id,
        revision: revision("a", "a"),
        shim_pid: 7,
        address: Some(Ipv4Addr::new(10, 77, 0, 2)),
        started_at: at(0).wall,
        sandbox: SandboxState::Ready,
        containers: vec![ContainerRecord {
            name: "c".to_owned(),
            role: Role::App,
            image: "i".to_owned(),
            image_id: String::new(),
            state,
            last: None,
            restart_count: 0,
            started: true,
            ready: true,
        }],
        stopping: None,
        outcome,
        conditions: None,
        events: Vec::new(),
    }
}

fn running() -> ContainerState {
    ContainerState::Running { pid: 8, since: at(0).wall }
}

fn creating() -> ContainerState {
    ContainerState::Waiting { reason: "ContainerCreating".to_owned(), message: String::new() }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: reason.to_owned(), message: String::new() }
}

fn blocked() -> Blocked {
    let why = Waiting::passing("ImagePullBackOff", String::new());
    Blocked { containers: BTreeMap::from([("c".to_owned(), why)]), pod: None }
}

fn only_action(world: &World) -> Action {
    let [action] = <[Action; 1]>::try_from(world.plan().actions).unwrap();
    action
}

#[test]
fn a_changed_label_is_told_and_a_changed_port_makes_the_pod_anew() {
    let web = id("web", 1);
    let mut plan = plan_of(web.clone(), RestartPolicy::Always);
    let world = |plan: &PodPlan| {
        let want = Want::Run(Box::new(plan.clone()));
        World::empty().want(web.clone(), RestartPolicy::Always, want).see(&web, |_| {})
    };
    assert_eq!(world(&plan).plan(), Plan::default());
    plan.revision = revision("a", "b");
    assert_eq!(only_action(&world(&plan)), Action::Tell(Box::new(plan.clone())));
    plan.revision = revision("b", "b");
    let stop = Action::Stop { pod: web.clone(), why: StopReason::Deleted, grace: None };
    assert_eq!(only_action(&world(&plan)), stop);
}

#[test]
fn a_successor_waits_until_nothing_is_left_of_its_predecessor() {
    let (old, new) = (id("web", 1), id("web", 2));
    let world = World::empty().run(new, RestartPolicy::Always).want(
        old.clone(),
        RestartPolicy::Always,
        Want::Gone { grace: Some(5) },
    );
    let stop = Action::Stop { pod: old.clone(), why: StopReason::Deleted, grace: Some(5) };
    assert_eq!(only_action(&world.clone().see(&old, |_| {})), stop);
    let dead = world.clone().see(&old, |seen| seen.process = ProcessObservation::Dead);
    assert_eq!(only_action(&dead), sweep(&old, AfterSweep::Nothing));
    let launches = world.plan().actions.iter().filter(|action| matches!(action, Action::Launch(_))).count();
    assert_eq!(launches, 1);
}

#[test]
fn a_dead_pod_process_is_followed_by_what_the_restart_policy_says() {
    let job = id("job", 1);
    let cases = [
        (RestartPolicy::Always, running(), None, AfterSweep::StartLater),
        (RestartPolicy::OnFailure, running(), None, AfterSweep::StartLater),
        (RestartPolicy::OnFailure, ContainerState::Terminated(exit(0)), None, AfterSweep::RecordLoss),
        (RestartPolicy::Never, running(), None, AfterSweep::RecordLoss),
        (RestartPolicy::Never, creating(), None, AfterSweep::StartLater),
        (RestartPolicy::Never, running(), Some(Outcome::Interrupted), AfterSweep::StartAgain),
        (RestartPolicy::Always, running(), Some(failed("DeadlineExceeded")), AfterSweep::Nothing),
        (RestartPolicy::Never, running(), Some(Outcome::Succeeded), AfterSweep::Nothing),
    ];
    for (policy, state, outcome, then) in cases {
        let world = World::empty().run(job.clone(), policy).see(&job, |seen| {
            seen.process = ProcessObservation::Dead;
            seen.record = Some(record(job.clone(), state.clone(), outcome.clone()).into());
        });
        assert_eq!(only_action(&world), sweep(&job, then), "{policy:?} {state:?} {outcome:?}");
    }
}

#[test]
fn a_pod_process_that_dies_while_it_stops_leaves_the_pod_as_the_stop_would_have() {
    let job = id("job", 1);
    let cases = [
        (RestartPolicy::Never, StopReason::Interrupted, AfterSweep::StartAgain),
        (RestartPolicy::Always, StopReason::DeadlineExceeded, AfterSweep::RecordLoss),
    ];
    for (policy, why, then) in cases {
        let world = World::empty().run(job.clone(), policy).see(&job, |seen| {
            seen.process = ProcessObservation::Dead;
            let stopping = Some(Stopping { since: at(0).wall, why });
            seen.record = Some(PodRecord { stopping, ..record(job.clone(), running(), None) }.into());
        });
        assert_eq!(only_action(&world), sweep(&job, then), "{policy:?} {why:?}");
    }
}

#[test]
fn a_reboot_loses_a_pod_that_never_restarts_unless_it_asks_to_be_rerun() {
    let job = id("job", 1);
    let rebooted = |seen: &mut PodObservation| {
        seen.process = ProcessObservation::Dead;
        (seen.told, seen.record) = (None, None);
        seen.launched_in = Some(LAST_BOOT.to_owned());
    };
    let world = World::empty().run(job.clone(), RestartPolicy::Never).see(&job, rebooted);
    assert_eq!(only_action(&world), Action::Lose { pod: job.clone() });
    let world = World::empty().run(job.clone(), RestartPolicy::OnFailure).see(&job, rebooted);
    assert!(matches!(only_action(&world), Action::Launch(_)));
    let mut plan = plan_of(job.clone(), RestartPolicy::Never);
    plan.live.annotations.insert(RERUN_INTERRUPTED.to_owned(), "true".to_owned());
    let want = Want::Run(Box::new(plan));
    let world = World::empty().want(job.clone(), RestartPolicy::Never, want).see(&job, rebooted);
    assert!(matches!(only_action(&world), Action::Launch(_)));
}

#[test]
fn a_living_pod_runs_on_while_what_it_refers_to_is_missing() {
    let web = id("web", 1);
    let world = World::empty().want(web.clone(), RestartPolicy::Always, Want::wait(blocked()));
    let waits = Action::Wait { pod: web.clone(), why: blocked() };
    assert_eq!(only_action(&world.clone().see(&web, |_| {})), waits);
    assert_eq!(only_action(&world), waits);
}

#[test]
fn a_living_pod_takes_over_what_it_can_once_and_then_waits_for_the_rest() {
    let web = id("web", 1);
    let mut plan = plan_of(web.clone(), RestartPolicy::Always);
    let world = |plan: &PodPlan| {
        let want = Want::Wait { why: blocked(), meanwhile: Some(Box::new(plan.clone())) };
        World::empty().want(web.clone(), RestartPolicy::Always, want)
    };
    let waits = Action::Wait { pod: web.clone(), why: blocked() };
    plan.revision = revision("a", "b");
    let mut living = world(&plan).see(&web, |_| {});
    assert_eq!(only_action(&living), Action::Tell(Box::new(plan.clone())));
    living.act(&living.plan());
    living.pass();
    assert_eq!(only_action(&living), waits);
    assert_eq!(only_action(&world(&plan)), waits, "one that does not live is told nothing");
    plan.revision = revision("b", "b");
    assert_eq!(only_action(&world(&plan).see(&web, |_| {})), waits, "it is another pod");
}

#[test]
fn the_next_look_is_when_a_failed_pull_is_due() {
    let mut world = World::empty();
    for (name, retry) in [("past", 50), ("soon", 110), ("late", 300)] {
        let failed = ImageObservation::Failed {
            error: PullError {
                message: "no route".to_owned(),
                tries: 2,
                outlook: crate::model::observed::Outlook::MayPass,
            },
            retry_at: at(retry).boot,
            stale: None,
        };
        world.observed.images.insert(ImageRef::parse(name, std::path::Path::new("/")).unwrap(), failed);
    }
    assert_eq!(world.plan().wake_at, Some(at(110).boot));
    world.seconds = 300;
    assert_eq!(world.plan().wake_at, None);
}

#[test]
fn a_second_delete_is_quiet_and_overrules_an_interruption() {
    let web = id("web", 1);
    let gone = || World::empty().want(web.clone(), RestartPolicy::Always, Want::Gone { grace: None });
    let told = |why| {
        gone().see(&web, |seen| {
            seen.told = Some(told_of(revision("a", "a"), Some(why)));
            Arc::make_mut(seen.record.as_mut().unwrap()).stopping = Some(Stopping { since: at(1).wall, why });
        })
    };
    assert_eq!(told(StopReason::Deleted).plan(), Plan::default());
    let stop = Action::Stop { pod: web.clone(), why: StopReason::Deleted, grace: None };
    assert_eq!(only_action(&told(StopReason::Interrupted)), stop);
    assert_eq!(only_action(&gone()), Action::Forget { pod: web.clone() });
}

#[test]
fn what_a_pod_was_told_by_one_that_died_before_it_knocked_is_brought_to_its_notice() {
    let web = id("web", 1);
    let mut plan = plan_of(web.clone(), RestartPolicy::Always);
    plan.revision = revision("a", "b");
    let edited = |stop| move |seen: &mut PodObservation| seen.told = Some(told_of(revision("a", "b"), stop));
    let remind = Action::Remind { pod: web.clone() };
    for want in [
        Want::Run(Box::new(plan.clone())),
        Want::Wait { why: blocked(), meanwhile: Some(Box::new(plan)) },
        Want::Wait { why: blocked(), meanwhile: None },
    ] {
        let mut world = World::empty().want(web.clone(), RestartPolicy::Always, want).see(&web, edited(None));
        assert_eq!(only_action(&world), remind);
        let seen = world.observed.pods.get_mut(&web.uid).unwrap();
        Arc::make_mut(seen.record.as_mut().unwrap()).revision = revision("a", "b");
        assert_eq!(moves(&world.plan()), 0);
    }
    let stops = edited(Some(StopReason::Deleted));
    assert_eq!(only_action(&World::empty().see(&web, stops)), remind, "nobody wants it");
    let starts = World::empty().run(web.clone(), RestartPolicy::Always);
    let starts = starts.see(&web, |seen| seen.record = None);
    assert_eq!(starts.plan(), Plan::default(), "it has yet to read what it was told");
}

#[test]
fn a_pod_whose_process_dies_at_every_start_is_started_ever_more_seldom() {
    let web = id("web", 1);
    let mut world = World::empty().run(web.clone(), RestartPolicy::Always);
    let mut starts = Vec::new();
    while starts.len() < 9 {
        let plan = world.plan();
        world.act(&plan);
        if plan.actions.iter().any(|action| matches!(action, Action::Launch(_))) {
            starts.push(world.seconds);
            let seen = world.observed.pods.get_mut(&web.uid).unwrap();
            (seen.process, seen.record) = (ProcessObservation::Dead, None);
        } else if let Some(wake_at) = plan.wake_at {
            let waits = matches!(&plan.actions[..], [Action::Wait { why, .. }] if why.pod.is_some());
            assert!(waits, "{plan:?}");
            world.seconds = wake_at.0.as_secs();
        }
    }
    let rests: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(rests, [0, 10, 20, 40, 80, 160, 300, 300]);
}
