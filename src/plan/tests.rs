use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};

use super::*;
use crate::model::desired::{Blocked, Waiting};
use crate::model::image::StoredImage;
use crate::model::observed::{Finished, PullError};
use crate::model::pod_plan::{IpcMode, Live, NetworkPlan, PidMode, QosClass, Resources, Revision, Role};
use crate::model::record::{Exit, FORMAT, PodRecord, SandboxState, Stopping};
use crate::model::time::Timestamp;

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
    PodPlan {
        id,
        revision: revision("a", "a"),
        live: Live {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            grace: 30,
            active_deadline: None,
            resources: Resources::default(),
        },
        restart_policy: policy,
        hostname: "web".to_owned(),
        host_ports: Vec::new(),
        network: NetworkPlan::Loopback,
        pid: PidMode::Container,
        ipc: IpcMode::Pod,
        host_aliases: Vec::new(),
        resolv_conf: String::new(),
        sysctls: BTreeMap::new(),
        volumes: BTreeMap::new(),
        init_containers: Vec::new(),
        containers: Vec::new(),
        fs_group: None,
        qos: QosClass::BestEffort,
    }
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

/// A world small enough to try all of it, and what acting on a plan does to it.
#[derive(Debug, Clone)]
struct World {
    desired: Desired,
    observed: Observed,
    seconds: u64,
}

impl World {
    fn empty() -> World {
        World { desired: Desired::default(), observed: Observed::default(), seconds: 100 }
    }

    fn want(mut self, id: PodId, policy: RestartPolicy, want: Want) -> World {
        self.desired.pods.insert(id.uid.clone(), DesiredPod { id, restart_policy: policy, want });
        self
    }

    fn run(self, id: PodId, policy: RestartPolicy) -> World {
        let plan = plan_of(id.clone(), policy);
        self.want(id, policy, Want::Run(Box::new(plan)))
    }

    fn see(mut self, id: &PodId, change: impl FnOnce(&mut PodObservation)) -> World {
        let seen = self.observed.pods.entry(id.uid.clone()).or_insert_with(|| PodObservation {
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            told: Some(Told { revision: revision("a", "a"), stop: None }),
            process: ProcessObservation::Alive,
            record: Some(record(id.clone(), running(), None)),
            finished: None,
            launched_in: Some(THIS_BOOT.to_owned()),
        });
        change(seen);
        self
    }

    fn plan(&self) -> Plan {
        diff(&self.desired, &self.observed, THIS_BOOT, at(self.seconds))
    }

    /// Does what a plan says, the way the daemon does.
    fn act(&mut self, plan: &Plan) {
        for action in &plan.actions {
            match action {
                Action::Pull(PullRequest::Image(image)) => {
                    self.observed.images.insert(image.clone(), ImageObservation::Pulling);
                }
                Action::Pull(PullRequest::Archive(archive)) => {
                    self.observed.preloads.insert(archive.clone(), Preload::UnderWay);
                }
                Action::Launch(plan) => self.launch(plan),
                Action::Tell(plan) => {
                    let seen = self.observed.pods.get_mut(&plan.id.uid).unwrap();
                    let stop = seen.told.as_ref().and_then(|told| told.stop);
                    seen.told = Some(Told { revision: plan.revision.clone(), stop });
                }
                Action::Stop { pod, why, .. } => {
                    let seen = self.observed.pods.get_mut(&pod.uid).unwrap();
                    let told = Told { revision: revision("?", "?"), stop: None };
                    seen.told.get_or_insert(told).stop = Some(*why);
                }
                Action::Wait { .. } => {}
                Action::Sweep { pod, then } => self.sweep(pod, *then),
                Action::Forget { pod } => {
                    self.desired.pods.remove(&pod.uid);
                    self.observed.pods.remove(&pod.uid);
                }
                Action::Lose { pod } => {
                    let end = record(pod.clone(), running(), Some(failed("NodeLost")));
                    let finished = Finished { outcome: failed("NodeLost"), record: end };
                    self.observed.pods.get_mut(&pod.uid).unwrap().finished = Some(finished);
                }
            }
        }
    }

    fn launch(&mut self, plan: &PodPlan) {
        let name_taken = self
            .observed
            .pods
            .values()
            .any(|seen| seen.name == plan.id.name && seen.process == ProcessObservation::Alive);
        assert!(!name_taken, "two pods of one name at once");
        let seen = PodObservation {
            namespace: plan.id.namespace.clone(),
            name: plan.id.name.clone(),
            told: Some(Told { revision: plan.revision.clone(), stop: None }),
            process: ProcessObservation::Alive,
            record: Some(record(plan.id.clone(), running(), None)),
            finished: None,
            launched_in: Some(THIS_BOOT.to_owned()),
        };
        self.observed.pods.insert(plan.id.uid.clone(), seen);
    }

    fn sweep(&mut self, pod: &PodId, then: AfterSweep) {
        let seen = self.observed.pods.get_mut(&pod.uid).unwrap();
        assert_eq!(seen.process, ProcessObservation::Dead, "swept alive");
        seen.told = None;
        let record = seen.record.take();
        let outcome = match (then, record.as_ref().and_then(|record| record.outcome.clone())) {
            (AfterSweep::Nothing, Some(Outcome::Succeeded)) => Some(Outcome::Succeeded),
            (AfterSweep::Nothing, Some(outcome @ Outcome::Failed { .. })) => Some(outcome),
            (AfterSweep::RecordLoss, _) => Some(failed("")),
            (AfterSweep::Nothing | AfterSweep::StartAgain, _) => None,
        };
        if let (None, Some(outcome), Some(record)) = (&seen.finished, outcome, record) {
            seen.finished = Some(Finished { outcome, record });
        }
        if !self.desired.pods.contains_key(&pod.uid) {
            self.observed.pods.remove(&pod.uid);
        }
    }

    /// What happens without anybody's doing: pulls end, pods told to stop end, pods that have ended leave.
    fn pass(&mut self) {
        self.seconds += 10;
        for (reference, image) in &mut self.observed.images {
            if matches!(image, ImageObservation::Pulling) {
                let stored =
                    StoredImage { digest: String::new(), layers: Vec::new(), config: Default::default() };
                *image = ImageObservation::Present { image: stored, resolved_at: at(self.seconds).wall };
                self.desired.pulls.remove(reference);
            }
        }
        for seen in self.observed.pods.values_mut() {
            let stop = seen.told.as_ref().and_then(|told| told.stop);
            if stop.is_some() || seen.finished.is_some() {
                seen.process = ProcessObservation::Dead;
            }
            if let (Some(_), Some(record)) = (stop, &mut seen.record) {
                record.outcome.get_or_insert(Outcome::Deleted);
            }
        }
    }

    fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..20 {
            let plan = self.plan();
            self.act(&plan);
            let before = self.observed.clone();
            self.pass();
            if moves(&plan) == 0 && self.observed == before {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("twenty passes do not settle it"))
    }
}

/// A `Wait` only repeats what is known.
fn moves(plan: &Plan) -> usize {
    plan.actions.iter().filter(|action| !matches!(action, Action::Wait { .. })).count()
}

fn uid_of(action: &Action) -> Option<&Uid> {
    match action {
        Action::Pull(_) => None,
        Action::Launch(plan) | Action::Tell(plan) => Some(&plan.id.uid),
        Action::Stop { pod, .. }
        | Action::Wait { pod, .. }
        | Action::Sweep { pod, .. }
        | Action::Forget { pod }
        | Action::Lose { pod } => Some(&pod.uid),
    }
}

fn policies() -> impl Strategy<Value = RestartPolicy> {
    prop_oneof![Just(RestartPolicy::Always), Just(RestartPolicy::OnFailure), Just(RestartPolicy::Never)]
}

fn blocked() -> Blocked {
    let why = Waiting { reason: "ImagePullBackOff".to_owned(), message: String::new() };
    Blocked { containers: BTreeMap::from([("c".to_owned(), why)]), pod: None }
}

/// What is wanted of a pod, and of its revision.
fn wants(id: PodId) -> impl Strategy<Value = Option<DesiredPod>> {
    let revisions = prop_oneof![Just(("a", "a")), Just(("a", "b")), Just(("b", "a"))];
    (policies(), revisions, any::<bool>(), 0..6).prop_map(move |(policy, (pod, live), rerun, kind)| {
        let mut plan = plan_of(id.clone(), policy);
        plan.revision = revision(pod, live);
        if rerun {
            plan.live.annotations.insert(RERUN_INTERRUPTED.to_owned(), "true".to_owned());
        }
        let want = match kind {
            0..=2 => Want::Run(Box::new(plan)),
            3 => Want::Wait(blocked()),
            4 => Want::Gone { grace: Some(1) },
            _ => return None,
        };
        Some(DesiredPod { id: id.clone(), restart_policy: policy, want })
    })
}

fn outcomes() -> impl Strategy<Value = Option<Outcome>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Outcome::Succeeded)),
        1 => Just(Some(failed("Error"))),
        1 => Just(Some(Outcome::Interrupted)),
        1 => Just(Some(Outcome::Deleted)),
    ]
}

fn sights(id: PodId) -> impl Strategy<Value = Option<PodObservation>> {
    let stops = prop_oneof![Just(None), Just(Some(StopReason::Interrupted)), Just(Some(StopReason::Deleted))];
    let told = prop_oneof![Just(None), stops.prop_map(Some)];
    let states = prop_oneof![Just(creating()), Just(running()), Just(ContainerState::Terminated(exit(1)))];
    let recorded = prop_oneof![Just(None), (states, outcomes()).prop_map(Some)];
    let boots = prop_oneof![Just(None), Just(Some(THIS_BOOT)), Just(Some(LAST_BOOT))];
    let seen = (any::<bool>(), told, recorded, any::<bool>(), boots);
    proptest::option::of(seen.prop_map(move |(alive, told, recorded, ended, boot)| PodObservation {
        namespace: id.namespace.clone(),
        name: id.name.clone(),
        told: told.map(|stop| Told { revision: revision("a", "a"), stop }),
        process: if alive { ProcessObservation::Alive } else { ProcessObservation::Dead },
        record: recorded.map(|(state, outcome)| record(id.clone(), state, outcome)),
        finished: ended.then(|| Finished {
            outcome: Outcome::Succeeded,
            record: record(id.clone(), ContainerState::Terminated(exit(0)), Some(Outcome::Succeeded)),
        }),
        launched_in: boot.map(str::to_owned),
    }))
}

/// Two names; under each a pod, and perhaps an earlier one that is to go or that nobody knows of.
fn worlds() -> impl Strategy<Value = World> {
    let pods = |name: &'static str, first: u8| {
        let (now, before) = (id(name, first), id(name, first + 1));
        let gone = DesiredPod {
            id: before.clone(),
            restart_policy: RestartPolicy::Always,
            want: Want::Gone { grace: None },
        };
        let pods = [now.uid.clone(), before.uid.clone()];
        let wanted = (wants(now.clone()), proptest::option::of(Just(gone)));
        (wanted, sights(now), sights(before)).prop_map(move |((now, gone), seen, seen_before)| {
            let desired: Vec<DesiredPod> = now.into_iter().chain(gone).collect();
            let seen = [(pods[0].clone(), seen), (pods[1].clone(), seen_before)];
            (desired, seen)
        })
    };
    let images = proptest::collection::btree_set(0u8..6, 0..6);
    (pods("a", 1), pods("b", 3), images.clone(), images).prop_map(|(a, b, wanted, pulling)| {
        let mut world = World::empty();
        for (desired, seen) in [a, b] {
            for pod in desired {
                world.desired.pods.insert(pod.id.uid.clone(), pod);
            }
            world.observed.pods.extend(seen.into_iter().filter_map(|(uid, seen)| Some((uid, seen?))));
        }
        let image = |number: u8| ImageRef::Registry(number.to_string());
        world.desired.pulls = wanted.into_iter().map(image).collect();
        let pulling =
            pulling.into_iter().take(PULLS).map(|number| (image(number), ImageObservation::Pulling));
        world.observed.images = pulling.collect();
        world
    })
}

/// Beside this file, to be committed.
fn regressions() -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::WithSource("regressions")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: regressions(), ..ProptestConfig::default() })]

    #[test]
    fn acting_on_plans_settles_any_world(mut world in worlds()) {
        world.settle()?;
        for (uid, pod) in &world.desired.pods {
            let seen = world.observed.pods.get(uid);
            match &pod.want {
                Want::Run(plan) => {
                    let seen = seen.unwrap();
                    let told = seen.told.as_ref().map(|told| &told.revision);
                    let runs = seen.process == ProcessObservation::Alive && told == Some(&plan.revision);
                    prop_assert!(runs || seen.finished.is_some(), "{seen:?}");
                }
                Want::Wait(_) => {}
                Want::Gone { .. } => prop_assert!(false, "{pod:?} is still there"),
            }
        }
        for (uid, seen) in &world.observed.pods {
            let lives = seen.process == ProcessObservation::Alive;
            prop_assert!(!lives || world.desired.pods.contains_key(uid), "{seen:?} lives unwanted");
        }
        prop_assert!(world.desired.pulls.is_empty());
    }

    #[test]
    fn time_alone_moves_nothing_in_a_settled_world(mut world in worlds(), seconds in 0u64..1_000_000) {
        world.settle()?;
        world.seconds += seconds;
        prop_assert_eq!(moves(&world.plan()), 0);
    }

    #[test]
    fn a_pod_unwanted_is_never_launched(mut world in worlds()) {
        for _ in 0..6 {
            let plan = world.plan();
            for action in &plan.actions {
                if let Action::Launch(plan) | Action::Tell(plan) = action {
                    let wanted = world.desired.pods.get(&plan.id.uid).map(|pod| &pod.want);
                    prop_assert!(matches!(wanted, Some(Want::Run(_))));
                }
            }
            world.act(&plan);
            world.pass();
        }
    }

    #[test]
    fn a_recorded_end_is_never_run_again(world in worlds()) {
        for action in world.plan().actions {
            if let Action::Launch(plan) = action {
                let seen = world.observed.pods.get(&plan.id.uid);
                prop_assert!(seen.is_none_or(|seen| seen.finished.is_none()));
            }
        }
    }

    #[test]
    fn no_pod_is_twice_in_a_plan(world in worlds()) {
        let plan = world.plan();
        let uids: Vec<&Uid> = plan.actions.iter().filter_map(uid_of).collect();
        let once: BTreeSet<&Uid> = uids.iter().copied().collect();
        prop_assert_eq!(uids.len(), once.len());
    }

    #[test]
    fn what_makes_room_comes_first_and_pulls_are_three_at_most(world in worlds()) {
        let plan = world.plan();
        prop_assert!(plan.actions.is_sorted_by_key(turn));
        let pulling = world.observed.images.values().filter(|image| matches!(image, ImageObservation::Pulling));
        let starting = plan.actions.iter().filter(|action| matches!(action, Action::Pull(_)));
        prop_assert!(pulling.count() + starting.count() <= PULLS);
    }
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
        (RestartPolicy::Always, running(), None, AfterSweep::StartAgain),
        (RestartPolicy::OnFailure, running(), None, AfterSweep::StartAgain),
        (RestartPolicy::OnFailure, ContainerState::Terminated(exit(0)), None, AfterSweep::RecordLoss),
        (RestartPolicy::Never, running(), None, AfterSweep::RecordLoss),
        (RestartPolicy::Never, creating(), None, AfterSweep::StartAgain),
        (RestartPolicy::Never, running(), Some(Outcome::Interrupted), AfterSweep::StartAgain),
        (RestartPolicy::Always, running(), Some(failed("DeadlineExceeded")), AfterSweep::Nothing),
        (RestartPolicy::Never, running(), Some(Outcome::Succeeded), AfterSweep::Nothing),
    ];
    for (policy, state, outcome, then) in cases {
        let world = World::empty().run(job.clone(), policy).see(&job, |seen| {
            seen.process = ProcessObservation::Dead;
            seen.record = Some(record(job.clone(), state.clone(), outcome.clone()));
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
            seen.record = Some(PodRecord { stopping, ..record(job.clone(), running(), None) });
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
    let world = World::empty().want(web.clone(), RestartPolicy::Always, Want::Wait(blocked()));
    let waits = Action::Wait { pod: web.clone(), why: blocked() };
    assert_eq!(only_action(&world.clone().see(&web, |_| {})), waits);
    assert_eq!(only_action(&world), waits);
}

#[test]
fn the_next_look_is_when_a_failed_pull_is_due() {
    let mut world = World::empty();
    for (name, retry) in [("past", 50), ("soon", 110), ("late", 300)] {
        let failed = ImageObservation::Failed {
            error: PullError { message: "no route".to_owned(), tries: 2 },
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
        gone().see(&web, |seen| seen.told = Some(Told { revision: revision("a", "a"), stop: Some(why) }))
    };
    assert_eq!(told(StopReason::Deleted).plan(), Plan::default());
    let stop = Action::Stop { pod: web.clone(), why: StopReason::Deleted, grace: None };
    assert_eq!(only_action(&told(StopReason::Interrupted)), stop);
    assert_eq!(only_action(&gone()), Action::Forget { pod: web.clone() });
}
