use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::daemon::folder::trust::Trust;
use crate::daemon::observe::{Memory, observe};
use crate::daemon::tests::ground::Ground;
use crate::image::store::Store;
use crate::model::desired::{Blocked, Waiting};
use crate::model::network::InstanceNetwork;
use crate::model::object::{ObjectKey, ObjectRecord, Source};
use crate::model::observed::Finished;
use crate::model::pod_plan::{ContainerPlan, NetworkPlan, PodPlan, RestartPolicy, Revision, Role, sample};
use crate::model::record::{
    ContainerRecord, ContainerState, Exit, FORMAT, Outcome, Past, PodRecord, SandboxState, StopReason,
};
use crate::model::time::{Moment, Timestamp};
use crate::paths::PodDir;
use crate::rundir::exits::{self, ExitRecord};
use crate::rundir::{lock, pods};

fn now() -> Now {
    Now { wall: Timestamp::from_second(1_000_000).unwrap(), boot: Moment(Duration::from_secs(60)) }
}

fn id() -> PodId {
    PodId { namespace: "default".into(), name: "web".into(), uid: Uid::from_random([7; 16]) }
}

fn plan(ground: &Ground) -> PodPlan {
    let places = ground.places();
    std::fs::create_dir_all(places.leases()).unwrap();
    declare(&places);
    let network = InstanceNetwork {
        bridge: "dp0".into(),
        network: [10, 77, 0, 0].into(),
        prefix: 22,
        gateway: [10, 77, 0, 1].into(),
    };
    PodPlan {
        id: id(),
        restart_policy: RestartPolicy::Never,
        network: NetworkPlan::Bridge {
            bridge: network.bridge,
            address: [10, 77, 0, 2].into(),
            prefix: network.prefix,
            gateway: network.gateway,
        },
        ..sample::pod()
    }
}

fn declare(places: &Places) {
    let record = ObjectRecord {
        format: FORMAT,
        uid: id().uid,
        key: ObjectKey {
            group: String::new(),
            kind: "Pod".into(),
            namespace: "default".into(),
            name: "web".into(),
        },
        source: Source { root: "/m".into(), path: "web.yaml".into() },
        authored: serde_json::json!({}).into(),
        generation: 1,
        created_at: now().wall,
        deletion: None,
        owner: None,
    };
    objects::save(places, &record).unwrap();
}

/// A pod that is declared, and the directory that its process finds.
fn launched(ground: &Ground) -> (Places, PodDir) {
    let places = ground.places();
    declare(&places);
    let directory = places.pod(&id().uid);
    std::fs::create_dir_all(directory.exits()).unwrap();
    (places, directory)
}

fn container(name: &str, state: ContainerState) -> ContainerRecord {
    ContainerRecord {
        name: name.into(),
        role: Role::App,
        image: "busybox".into(),
        image_id: String::new(),
        state,
        last: None,
        restart_count: 0,
        started: true,
        ready: true,
    }
}

fn record(containers: Vec<ContainerRecord>) -> PodRecord {
    PodRecord {
        format: FORMAT,
        binary: "0.1.0".into(),
        id: id(),
        revision: Revision { pod: "p1".into(), live: "l1".into() },
        shim_pid: 4_000_000,
        address: None,
        started_at: now().wall,
        sandbox: SandboxState::Ready,
        containers,
        stopping: None,
        outcome: None,
        conditions: None,
        events: Vec::new(),
    }
}

fn exit(code: i32) -> Exit {
    Exit {
        code,
        signal: None,
        reason: "Completed".into(),
        message: String::new(),
        started_at: None,
        finished_at: now().wall,
    }
}

fn ended(code: i32) -> ExitRecord {
    ExitRecord { exit: exit(code), again: Some(false) }
}

fn running() -> ContainerState {
    ContainerState::Running { pid: 4_000_001, since: now().wall }
}

#[test]
fn what_a_pod_process_needs_is_written_before_it_starts() {
    let ground = Ground::new();
    let (places, plan) = (ground.places(), plan(&ground));
    let lock = launch::write_down(&places, &plan).unwrap();
    let directory = places.pod(&plan.id.uid);
    assert!(lock::is_held(&directory.lock()).unwrap());
    assert_eq!(goal::read(&directory).unwrap().unwrap().plan, plan);
    assert_eq!(objects::launched_in(&places, &plan.id.uid).unwrap(), None, "no container has been started");
    assert_eq!(lease::all(&places).unwrap(), BTreeMap::from([([10, 77, 0, 2].into(), id().uid)]));
    assert!(directory.exits().is_dir());
    let again = launch::write_down(&places, &plan).unwrap();
    assert!(again.is_none(), "a pod that lives is not started again");
    drop(lock);
}

#[test]
fn an_address_of_another_pod_is_not_taken() {
    let ground = Ground::new();
    let (places, plan) = (ground.places(), plan(&ground));
    lease::take(&places, [10, 77, 0, 2].into(), &Uid::from_random([9; 16])).unwrap();
    let error = launch::write_down(&places, &plan).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_pod_that_was_told_to_stop_is_not_told_to_go_on() {
    let ground = Ground::new();
    let (places, mut plan) = (ground.places(), plan(&ground));
    let lock = launch::write_down(&places, &plan).unwrap();
    let directory = places.pod(&plan.id.uid);
    let order = StopOrder { why: StopReason::Interrupted, grace: None };
    goal::order_stop(&directory, order.clone()).unwrap();
    plan.live.grace = 5;
    assert_eq!(tell(&places, &plan).unwrap(), Acted::Done);
    assert_eq!(tell(&places, &plan).unwrap(), Acted::AlreadySo);
    let goal = goal::read(&directory).unwrap().unwrap();
    assert_eq!((goal.plan, goal.stop), (plan, Some(order)));
    drop(lock);
}

#[test]
fn a_wait_of_many_passes_is_one_event_and_keeps_its_beginning() {
    let ground = Ground::new();
    let places = ground.places();
    let blocked = |reason: &str| Blocked {
        containers: BTreeMap::from([("main".to_owned(), Waiting::passing(reason, "why".into()))]),
        pod: None,
    };
    let later = Now { wall: Timestamp::from_second(1_000_050).unwrap(), ..now() };
    assert_eq!(wait::write(&places, &id(), &blocked("ErrImagePull"), now()).unwrap(), Acted::Done);
    assert_eq!(wait::write(&places, &id(), &blocked("ErrImagePull"), later).unwrap(), Acted::AlreadySo);
    assert_eq!(wait::write(&places, &id(), &blocked("ImagePullBackOff"), later).unwrap(), Acted::Done);
    let written = pods::read_waiting(&places.pod(&id().uid)).unwrap().unwrap();
    assert_eq!(written.since, now().wall);
    let told = starts::read(&places, &id().uid).unwrap().unwrap().events;
    let reasons: Vec<_> = told.iter().map(|event| (event.reason.as_str(), event.count)).collect();
    assert_eq!(reasons, [("Failed", 1), ("BackOff", 1), ("Failed", 1)]);
}

#[test]
fn an_end_nobody_saw_is_recorded_as_unknown_and_one_on_disc_as_it_was() {
    let ground = Ground::new();
    let (places, directory) = launched(&ground);
    pods::write_record(&directory, &record(vec![container("a", running()), container("b", running())]))
        .unwrap();
    exits::write(&directory, "a", 0, &ended(3)).unwrap();
    sweep::record_loss(&places, &id(), &Objects::default(), now()).unwrap();
    let finished = objects::finished_of(&places, &id().uid).unwrap().unwrap();
    let codes: Vec<_> = finished
        .record
        .containers
        .iter()
        .map(|container| match &container.state {
            ContainerState::Terminated(exit) => (exit.code, exit.reason.as_str()),
            ContainerState::Running { .. } | ContainerState::Waiting { .. } => panic!("not ended"),
        })
        .collect();
    assert_eq!(codes, [(3, "Completed"), (137, "ContainerStatusUnknown")]);
    assert!(matches!(finished.outcome, Outcome::Failed { .. }));
}

#[test]
fn a_pod_whose_containers_all_ended_well_has_succeeded_though_its_process_died() {
    let ground = Ground::new();
    let (places, directory) = launched(&ground);
    pods::write_record(&directory, &record(vec![container("a", running())])).unwrap();
    exits::write(&directory, "a", 0, &ended(0)).unwrap();
    sweep::record_loss(&places, &id(), &Objects::default(), now()).unwrap();
    let finished = objects::finished_of(&places, &id().uid).unwrap().unwrap();
    assert_eq!(finished.outcome, Outcome::Succeeded);
}

#[test]
fn an_end_that_every_container_told_itself_is_not_called_unknown() {
    let ground = Ground::new();
    let (places, directory) = launched(&ground);
    pods::write_record(&directory, &record(vec![container("a", running())])).unwrap();
    exits::write(&directory, "a", 0, &ended(7)).unwrap();
    let again = exits::write(&directory, "a", 0, &ended(0)).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_dir(directory.exits()).unwrap().count(), 1);
    sweep::record_loss(&places, &id(), &Objects::default(), now()).unwrap();
    let finished = objects::finished_of(&places, &id().uid).unwrap().unwrap();
    assert_eq!(finished.outcome, Outcome::Failed { reason: String::new(), message: String::new() });
}

#[test]
fn ends_that_the_state_has_told_of_take_no_room() {
    let ground = Ground::new();
    let (_, directory) = launched(&ground);
    for restart in 0..5 {
        exits::write(&directory, "a", restart, &ended(1)).unwrap();
    }
    exits::write(&directory, "b", 0, &ended(1)).unwrap();
    let kept: Vec<_> =
        (0..5).filter(|restart| exits::read(&directory, "a", *restart).unwrap().is_some()).collect();
    assert_eq!(kept, [3, 4]);
    assert_eq!(exits::read(&directory, "b", 0).unwrap(), Some(ended(1)));
}

#[test]
fn a_pod_lost_to_a_restart_of_the_machine_says_so() {
    let ground = Ground::new();
    let places = ground.places();
    declare(&places);
    sweep::lose(&places, &id(), &Objects::default(), now()).unwrap();
    let finished = objects::finished_of(&places, &id().uid).unwrap().unwrap();
    assert!(matches!(finished.outcome, Outcome::Failed { reason, .. } if reason == "NodeLost"));
}

#[test]
fn a_pod_that_leaves_while_it_is_looked_at_has_told_how_it_ended() {
    let ground = Ground::new();
    let places = ground.places();
    declare(&places);
    std::fs::create_dir_all(places.leases()).unwrap();
    let last = Finished { outcome: Outcome::Deleted, record: record(Vec::new()) };
    objects::depart(&places, &id().uid, &last).unwrap();
    let look = || {
        let (store, children) = (Store::at(&places.images), Children::default());
        let (nothing, mut memory) = (Objects::default(), Memory::default());
        let seen = observe(&places, &store, &nothing, &children, Trust::Checked, &mut memory).unwrap();
        seen.observed.pods.get(&id().uid).and_then(|pod| pod.departed.as_deref().cloned())
    };
    // Its directory is the last that goes, and its lock goes right before.
    std::fs::create_dir_all(places.pod(&id().uid).0).unwrap();
    assert_eq!(look(), Some(last));
    pods::write_record(&places.pod(&id().uid), &record(Vec::new())).unwrap();
    assert_eq!(look(), None, "it is there again");
}

/// The state says that nothing has run yet, as it does for a moment after something has.
#[test]
fn what_ran_is_known_before_the_state_tells_of_it() {
    let ground = Ground::new();
    let (_, directory) = launched(&ground);
    let creating = ContainerState::Waiting { reason: "ContainerCreating".to_owned(), message: String::new() };
    let state = record(vec![container("main", creating)]);
    let planned = |policy| ContainerPlan { restart_policy: policy, ..sample::container("main") };
    let image = planned(RestartPolicy::Never).image.authored;
    let are_final = |image: &str| {
        let mut state = state.clone();
        state.containers[0].image = image.to_owned();
        [RestartPolicy::Never, RestartPolicy::OnFailure, RestartPolicy::Always].map(|policy| {
            let plan = PodPlan { restart_policy: policy, containers: vec![planned(policy)], ..sample::pod() };
            ends::are_final(&directory, &plan, Some(&state)).unwrap()
        })
    };
    let end = || ends::of(&directory, &state.containers[0], now()).unwrap();
    let witnessed = |code| ExitRecord { exit: exit(code), again: None };

    assert_eq!((end(), are_final(&image)), (None, [false, false, false]));
    exits::begin(&directory, "main", 0).unwrap();
    assert_eq!(end().map(|end| end.code), Some(137));
    assert_eq!(are_final(&image), [true, false, false]);
    exits::write(&directory, "main", 0, &witnessed(0)).unwrap();
    assert_eq!((end(), are_final(&image)), (Some(exit(0)), [true, true, false]));
    assert_eq!(are_final("another"), [true, false, false], "that is to run in its place");
    assert!(!exits::has_begun(&directory, "main", 0).unwrap());
}

/// A probe has condemned it, or it makes room for another image: what it exits with does not count.
#[test]
fn an_end_that_another_run_was_to_follow_is_not_the_last() {
    let ground = Ground::new();
    let (_, directory) = launched(&ground);
    exits::write(&directory, "main", 0, &ExitRecord { exit: exit(0), again: Some(true) }).unwrap();
    let state = record(vec![container("main", running())]);
    for policy in [RestartPolicy::OnFailure, RestartPolicy::Never] {
        let main = ContainerPlan { restart_policy: policy, ..sample::container("main") };
        let plan = PodPlan { restart_policy: policy, containers: vec![main], ..sample::pod() };
        assert!(!ends::are_final(&directory, &plan, Some(&state)).unwrap());
    }
}

#[test]
fn a_sweep_that_is_done_again_forgets_nothing_that_the_first_knew() {
    let ground = Ground::new();
    let places = ground.places();
    let keep = |runs, is_over| {
        let past = BTreeMap::from([("main".to_owned(), Past { runs, last: None, is_over })]);
        memory::keep(&places, &id(), None, past).unwrap();
        starts::read(&places, &id().uid).unwrap().unwrap().past["main"].is_over
    };
    assert!(keep(1, true));
    assert!(keep(1, false), "what told of its end had gone with the first");
    assert!(!keep(2, false), "it has run since");
}
