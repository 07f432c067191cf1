//! A world in which plans are acted on, the way the daemon does.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::test_runner::TestCaseError;

use super::*;

/// A world small enough to try all of it, and what acting on a plan does to it.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) desired: Desired,
    pub(super) observed: Observed,
    pub(super) seconds: u64,
    /// Pod processes that were told something by whoever died before they were knocked up.
    pub(super) asleep: BTreeSet<Uid>,
}

impl World {
    pub(super) fn empty() -> World {
        World {
            desired: Desired::default(),
            observed: Observed::default(),
            seconds: 100,
            asleep: BTreeSet::new(),
        }
    }

    pub(super) fn want(mut self, id: PodId, policy: RestartPolicy, want: Want) -> World {
        self.desired.pods.insert(id.uid.clone(), DesiredPod { id, restart_policy: policy, want });
        self
    }

    pub(super) fn run(self, id: PodId, policy: RestartPolicy) -> World {
        let plan = plan_of(id.clone(), policy);
        self.want(id, policy, Want::Run(Box::new(plan)))
    }

    pub(super) fn see(mut self, id: &PodId, change: impl FnOnce(&mut PodObservation)) -> World {
        let seen = self.observed.pods.entry(id.uid.clone()).or_insert_with(|| PodObservation {
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            told: Some(told_of(revision("a", "a"), None)),
            process: ProcessObservation::Alive,
            record: Some(record(id.clone(), running(), None).into()),
            finished: None,
            launched_in: Some(THIS_BOOT.to_owned()),
            departed: None,
            deaths: None,
        });
        change(seen);
        self
    }

    pub(super) fn plan(&self) -> Plan {
        diff(&self.desired, &self.observed, THIS_BOOT, at(self.seconds))
    }

    /// Does what a plan says, the way the daemon does.
    pub(super) fn act(&mut self, plan: &Plan) {
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
                    seen.told = Some(told_of(plan.revision.clone(), stop));
                    self.asleep.remove(&plan.id.uid);
                }
                Action::Remind { pod } => {
                    self.asleep.remove(&pod.uid);
                }
                Action::Stop { pod, why, .. } => {
                    let seen = self.observed.pods.get_mut(&pod.uid).unwrap();
                    let told = told_of(revision("?", "?"), None);
                    seen.told.get_or_insert(told).stop = Some(*why);
                    self.asleep.remove(&pod.uid);
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
                    self.observed.pods.get_mut(&pod.uid).unwrap().finished = Some(Arc::new(finished));
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
        self.asleep.remove(&plan.id.uid);
        let before = self.observed.pods.get(&plan.id.uid).and_then(|seen| seen.deaths.clone());
        let launched = Some(at(self.seconds).boot);
        let seen = PodObservation {
            namespace: plan.id.namespace.clone(),
            name: plan.id.name.clone(),
            told: Some(told_of(plan.revision.clone(), None)),
            process: ProcessObservation::Alive,
            record: Some(Arc::new(PodRecord {
                revision: plan.revision.clone(),
                ..record(plan.id.clone(), running(), None)
            })),
            finished: None,
            departed: None,
            launched_in: Some(THIS_BOOT.to_owned()),
            deaths: before.map(|deaths| Deaths { launched, ..deaths }),
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
            (AfterSweep::Nothing | AfterSweep::StartAgain | AfterSweep::StartLater, _) => None,
        };
        if then == AfterSweep::StartLater {
            let count = seen.deaths.as_ref().map_or(0, |deaths| deaths.count) + 1;
            let last = at(self.seconds).boot;
            seen.deaths = Some(Deaths { count, last, launched: None, words: String::new() });
        }
        if let (None, Some(outcome), Some(record)) = (&seen.finished, outcome, record) {
            seen.finished = Some(Arc::new(Finished { outcome, record: Arc::unwrap_or_clone(record) }));
        }
        if !self.desired.pods.contains_key(&pod.uid) {
            self.observed.pods.remove(&pod.uid);
        }
    }

    /// What happens without anybody's doing: pulls end, pods told to stop end, pods that have ended leave.
    pub(super) fn pass(&mut self) {
        self.seconds += 10;
        for (reference, image) in &mut self.observed.images {
            if matches!(image, ImageObservation::Pulling) {
                let stored =
                    StoredImage { digest: String::new(), layers: Vec::new(), config: Default::default() };
                *image = ImageObservation::Present { image: stored, resolved_at: at(self.seconds).wall };
                self.desired.pulls.remove(reference);
            }
        }
        for (uid, seen) in &mut self.observed.pods {
            if self.asleep.contains(uid) {
                continue;
            }
            if let (Some(told), Some(record)) = (&seen.told, &mut seen.record) {
                Arc::make_mut(record).revision = told.plan.revision.clone();
            }
            let stop = seen.told.as_ref().and_then(|told| told.stop);
            if stop.is_some() || seen.finished.is_some() {
                seen.process = ProcessObservation::Dead;
            }
            if let (Some(_), Some(record)) = (stop, &mut seen.record) {
                Arc::make_mut(record).outcome.get_or_insert(Outcome::Deleted);
            }
        }
    }

    pub(super) fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..20 {
            let plan = self.plan();
            self.act(&plan);
            let before = self.observed.clone();
            self.pass();
            if moves(&plan) == 0 && self.observed == before && plan.wake_at.is_none() {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("twenty passes do not settle it"))
    }
}

/// A `Wait` only repeats what is known.
pub(super) fn moves(plan: &Plan) -> usize {
    plan.actions.iter().filter(|action| !matches!(action, Action::Wait { .. })).count()
}
