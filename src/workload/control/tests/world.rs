//! A world small enough to try all of it: Jobs and CronJobs, what controllers make for them, and how that ends.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::api::Object;
use crate::manifest::revive;
use crate::model::control::{Controlled, Step, Steps};
use crate::model::id::{PodId, Uid};
use crate::model::job::{JobRecord, Present};
use crate::model::object::{Deletion, Known, ObjectKey, ObjectRecord, Source};
use crate::model::objects::Objects;
use crate::model::observed::{Finished, Observed, PodObservation, ProcessObservation, Told};
use crate::model::pod_plan::{Revision, Role, sample};
use crate::model::record::{
    ContainerRecord, ContainerState, Exit, FORMAT, Outcome, PodRecord, SandboxState, StopReason,
};
use crate::model::time::{Moment, Now, Timestamp};
use crate::workload::{Agenda, control};

/// How a pod ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    With(i32),
    /// A restart of the machine cut it off.
    Lost,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) objects: Objects,
    agenda: Agenda,
    pub(crate) controlled: Controlled,
    pub(crate) observed: Observed,
    pub(crate) wall: Timestamp,
    pub(crate) boot: u64,
    pub(crate) boot_id: String,
    /// Pods and Jobs made in all, by name.
    pub(crate) made: Vec<String>,
    pub(crate) wake_in: Option<Duration>,
}

pub(crate) fn uid(number: u8) -> Uid {
    Uid::from_random([number; 16])
}

/// What a Job's `spec` says beside these.
pub(crate) fn job_spec(more: Value) -> Value {
    let mut spec = json!({"template": {"metadata": {"labels": {"app": "x"}}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "command": ["true"]}],
    }}});
    merge(&mut spec, more);
    spec
}

pub(crate) fn merge(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, more) in more {
                merge(fields.entry(name).or_insert(Value::Null), more);
            }
        }
        (value, more) => *value = more,
    }
}

impl World {
    pub(crate) fn at(wall: &str) -> World {
        World {
            objects: Objects::default(),
            agenda: Agenda::default(),
            controlled: Controlled::default(),
            observed: Observed::default(),
            wall: wall.parse().unwrap(),
            boot: 1000,
            boot_id: "this boot".to_owned(),
            made: Vec::new(),
            wake_in: None,
        }
    }

    pub(crate) fn job(more: Value) -> World {
        let mut world = World::at("2026-05-04T12:00:00Z");
        world.declare(1, "Job", "pi", json!({}), job_spec(more));
        world
    }

    pub(crate) fn declare(&mut self, number: u8, kind: &str, name: &str, metadata: Value, spec: Value) {
        let mut metadata = metadata;
        merge(&mut metadata, json!({"name": name, "namespace": "default"}));
        let mut authored = json!({"apiVersion": "batch/v1", "kind": kind, "metadata": metadata});
        authored["spec"] = spec;
        let before = self.objects.get(&uid(number)).map(|known| known.record.created_at);
        let record = ObjectRecord {
            format: FORMAT,
            uid: uid(number),
            key: ObjectKey {
                group: "batch".into(),
                kind: kind.into(),
                namespace: "default".into(),
                name: name.into(),
            },
            source: Source { root: PathBuf::from("/m"), path: PathBuf::from("a.yaml") },
            authored: authored.clone().into(),
            generation: 1,
            created_at: before.unwrap_or(self.wall),
            deletion: None,
            owner: None,
        };
        self.objects.put(Known { record, object: revive(&authored).unwrap().into() });
    }

    /// The file is edited.
    pub(crate) fn edit(&mut self, number: u8, more: Value) {
        let known = &self.objects[&uid(number)];
        let mut authored = Value::clone(&known.record.authored);
        let mut edit = json!({});
        edit["spec"] = more;
        merge(&mut authored, edit);
        let object = revive(&authored).unwrap();
        let record = ObjectRecord { authored: authored.into(), ..known.record.clone() };
        self.objects.put(Known { record, object: object.into() });
    }

    pub(crate) fn delete(&mut self, uid: &Uid, grace: Option<u32>) {
        let at = self.wall;
        self.objects.change(uid, |known| known.record.deletion = Some(Deletion { at, grace }));
    }

    fn now(&self) -> Now {
        Now { wall: self.wall, boot: Moment(Duration::from_secs(self.boot)) }
    }

    /// Jobs and CronJobs that do not rest.
    pub(crate) fn due(&mut self) -> BTreeSet<Uid> {
        self.agenda.wake(self.objects.take_stirred());
        self.agenda.due(&self.objects, self.now())
    }

    /// What a look at all gives; whoever rests must have no part in it.
    pub(crate) fn steps(&mut self) -> Steps {
        let (due, now) = (self.due(), self.now());
        let present = Present { now, boot_id: &self.boot_id };
        let steps =
            |due| control(&self.objects, &self.controlled, &self.observed, &TimeZone::UTC, present, due);
        let of_due = steps(&due);
        let mut all = steps(&self.objects.makers().map(|known| known.record.uid.clone()).collect());
        assert_eq!(of_due.steps, all.steps, "of {due:?}");
        for (uid, until) in &of_due.rests {
            self.agenda.rest(uid, until.map(|until| now.boot + until));
        }
        for (_, until) in all.rests.clone() {
            all.wake_in(until);
        }
        all
    }

    /// Pods that have ended and been counted come to rest.
    fn let_rest(&mut self) {
        let ended = self.observed.pods.iter().filter(|(_, seen)| seen.finished.is_some());
        let counted = ended.filter(|(uid, _)| {
            let owner = self.objects.get(*uid).and_then(|known| known.record.owner.as_ref());
            owner.is_some_and(|owner| {
                let job = self.controlled.jobs.get(&owner.uid);
                job.is_some_and(|job| job.finished.is_some() || job.counted.contains(owner.number))
            })
        });
        for uid in counted.map(|(uid, _)| uid.clone()).collect::<Vec<_>>() {
            self.objects.rest(&uid);
        }
    }

    /// One pass; tells how many steps there were.
    pub(crate) fn pass(&mut self) -> usize {
        let steps = self.steps();
        self.wake_in = steps.wake_in;
        let count = steps.steps.len();
        assert!(count > 0 || self.wake_in != Some(Duration::ZERO), "it looks again at once for nothing");
        for step in steps.steps {
            self.take(step);
        }
        self.let_rest();
        count
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Job(uid, record) => {
                self.objects.stir(&uid);
                self.controlled.jobs.insert(uid, *record);
            }
            Step::Cron(uid, record) => drop(self.controlled.crons.insert(uid, *record)),
            Step::Make(record) => {
                assert!(!self.objects.contains_key(&record.uid), "{} was made twice", record.key);
                self.made.push(record.key.name.clone());
                let object = revive(&record.authored).unwrap();
                self.objects.put(Known { record: *record, object: object.into() });
            }
            Step::End { uid, grace } => {
                let record = &self.objects[&uid].record;
                assert!(record.deletion.is_none(), "{} was ended twice", record.key);
                self.delete(&uid, grace);
            }
            Step::Forget(uid) => {
                self.objects.remove(&uid);
                self.controlled.jobs.remove(&uid);
                self.controlled.crons.remove(&uid);
            }
        }
    }

    /// Passes until nothing is left to do. What is told to go ends after one and has gone after the next.
    pub(crate) fn settle(&mut self) -> &mut World {
        for _ in 0..100 {
            let count = self.pass();
            let leaving = self.leave();
            if count + leaving == 0 {
                return self;
            }
        }
        panic!("the world does not settle");
    }

    /// Pods that were told to go end, those that had ended before are forgotten.
    pub(crate) fn leave(&mut self) -> usize {
        let is_pod = |known: &&Known| matches!(*known.object, Object::Pod(_));
        let to_go = self.objects.values().filter(is_pod).filter(|known| known.record.deletion.is_some());
        let to_go: Vec<Uid> = to_go.map(|known| known.record.uid.clone()).collect();
        for uid in &to_go {
            if self.is_alive(uid) {
                self.depart(uid, 143);
            } else {
                self.objects.remove(uid);
                self.observed.pods.remove(uid);
            }
        }
        to_go.len()
    }

    pub(crate) fn is_alive(&self, pod: &Uid) -> bool {
        self.observed.pods.get(pod).is_some_and(|seen| seen.process == ProcessObservation::Alive)
    }

    /// Pods on their way out, by whosever wish.
    pub(crate) fn going(&self) -> Vec<Uid> {
        let stopped = |uid: &Uid| {
            let told = self.observed.pods.get(uid).and_then(|seen| seen.told.as_ref());
            told.is_some_and(|told| told.stop == Some(StopReason::Deleted))
        };
        let going = self.objects.values().filter(|known| {
            let uid = &known.record.uid;
            self.is_alive(uid) && (known.record.deletion.is_some() || stopped(uid))
        });
        going.map(|known| known.record.uid.clone()).collect()
    }

    /// A pod that was told to go ends so.
    pub(crate) fn depart(&mut self, pod: &Uid, code: i32) {
        let mut seen = self.look(pod, ContainerState::Terminated(self.exit(code)), 0);
        let record = seen.record.take().unwrap();
        seen.departed =
            Some(Arc::new(Finished { outcome: Outcome::Deleted, record: Arc::unwrap_or_clone(record) }));
        seen.told = None;
        seen.process = ProcessObservation::Dead;
        self.observed.pods.insert(pod.clone(), seen);
    }

    fn exit(&self, code: i32) -> Exit {
        Exit {
            code,
            signal: None,
            reason: String::new(),
            message: String::new(),
            started_at: None,
            finished_at: self.wall,
        }
    }

    pub(crate) fn wait(&mut self, seconds: u64) -> &mut World {
        self.wall += Duration::from_secs(seconds);
        self.boot += seconds;
        self
    }

    /// Pods that have neither ended nor been told to, in the order in which they were made.
    pub(crate) fn active(&self) -> Vec<Uid> {
        let mut active: Vec<&Known> = self
            .objects
            .values()
            .filter(|known| matches!(*known.object, Object::Pod(_)) && known.record.deletion.is_none())
            .filter(|known| {
                self.observed.pods.get(&known.record.uid).is_none_or(|seen| seen.finished.is_none())
            })
            .collect();
        active.sort_by_key(|known| known.record.owner.as_ref().unwrap().number);
        active.iter().map(|known| known.record.uid.clone()).collect()
    }

    pub(crate) fn index(&self, pod: &Uid) -> u64 {
        let annotations = self.objects[pod].object.metadata().annotations.as_ref().unwrap();
        annotations["batch.kubernetes.io/job-completion-index"].parse().unwrap()
    }

    pub(crate) fn indexes(&self) -> Vec<u64> {
        self.active().iter().map(|pod| self.index(pod)).collect()
    }

    pub(crate) fn end(&mut self, pod: &Uid, ends: Ends) {
        let (code, outcome) = match ends {
            Ends::With(0) => (0, Outcome::Succeeded),
            Ends::With(code) => (code, Outcome::Failed { reason: String::new(), message: String::new() }),
            Ends::Lost => (137, Outcome::Failed { reason: "NodeLost".into(), message: String::new() }),
        };
        let mut seen = self.look(pod, ContainerState::Terminated(self.exit(code)), 0);
        let record = seen.record.take().unwrap();
        seen.finished = Some(Arc::new(Finished { outcome, record: Arc::unwrap_or_clone(record) }));
        seen.process = ProcessObservation::Dead;
        self.observed.pods.insert(pod.clone(), seen);
    }

    /// Every active pod ends so.
    pub(crate) fn end_all(&mut self, ends: Ends) -> &mut World {
        for pod in self.active() {
            self.end(&pod, ends);
        }
        self
    }

    pub(crate) fn run(&mut self, pod: &Uid, restarts: u32) {
        let state = ContainerState::Running { pid: 7, since: self.wall };
        let seen = self.look(pod, state, restarts);
        self.observed.pods.insert(pod.clone(), seen);
    }

    /// A person deletes the pod.
    pub(crate) fn stop(&mut self, pod: &Uid) {
        self.run(pod, 0);
        let seen = self.observed.pods.get_mut(pod).unwrap();
        seen.told.as_mut().unwrap().stop = Some(StopReason::Deleted);
    }

    fn look(&self, pod: &Uid, state: ContainerState, restart_count: u32) -> PodObservation {
        let name = self.objects[pod].record.key.name.clone();
        let revision = || Revision { pod: String::new(), live: String::new() };
        let record = PodRecord {
            format: FORMAT,
            binary: String::new(),
            id: PodId { namespace: "default".into(), name: name.clone(), uid: pod.clone() },
            revision: revision(),
            shim_pid: 7,
            address: None,
            started_at: self.wall,
            sandbox: SandboxState::Ready,
            containers: vec![ContainerRecord {
                name: "main".into(),
                role: Role::App,
                image: String::new(),
                image_id: String::new(),
                state,
                last: None,
                restart_count,
                started: true,
                ready: true,
            }],
            stopping: None,
            outcome: None,
            conditions: None,
            events: Vec::new(),
        };
        PodObservation {
            namespace: "default".into(),
            name,
            told: Some(Told { plan: Arc::new(sample::pod()), stop: None }),
            process: ProcessObservation::Alive,
            record: Some(record.into()),
            finished: None,
            launched_in: None,
            departed: None,
            deaths: None,
        }
    }

    pub(crate) fn record(&self) -> JobRecord {
        self.controlled.jobs.get(&uid(1)).cloned().unwrap_or_default()
    }

    /// Kubernetes' reason for the end of the Job, once it has ended.
    pub(crate) fn ended(&self) -> Option<&'static str> {
        let record = self.controlled.jobs.get(&uid(1))?;
        record.finished.as_ref()?;
        record.verdict.as_ref().map(|verdict| verdict.reason.word())
    }
}
