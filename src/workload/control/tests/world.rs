//! A world small enough to try all of it: Jobs and CronJobs, what controllers make for them, and how that ends.

use std::collections::BTreeMap;
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
use crate::model::observed::{Finished, Observed, PodObservation, ProcessObservation, Told};
use crate::model::pod_plan::{Revision, Role};
use crate::model::record::{
    ContainerRecord, ContainerState, Exit, FORMAT, Outcome, PodRecord, SandboxState, StopReason,
};
use crate::model::time::{Moment, Now, Timestamp};
use crate::workload::control;

/// How a pod ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    With(i32),
    /// A restart of the machine cut it off.
    Lost,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) objects: BTreeMap<Uid, Known>,
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
            objects: BTreeMap::new(),
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
            authored: authored.clone(),
            generation: 1,
            created_at: before.unwrap_or(self.wall),
            deletion: None,
            owner: None,
        };
        self.objects.insert(uid(number), Known { record, object: revive(&authored).unwrap() });
    }

    /// The file is edited.
    pub(crate) fn edit(&mut self, number: u8, more: Value) {
        let known = &self.objects[&uid(number)];
        let mut authored = known.record.authored.clone();
        let mut edit = json!({});
        edit["spec"] = more;
        merge(&mut authored, edit);
        let object = revive(&authored).unwrap();
        let record = ObjectRecord { authored, ..known.record.clone() };
        self.objects.insert(uid(number), Known { record, object });
    }

    pub(crate) fn steps(&self) -> Steps {
        let now = Now { wall: self.wall, boot: Moment(Duration::from_secs(self.boot)) };
        let present = Present { now, boot_id: &self.boot_id };
        control(&self.objects, &self.controlled, &self.observed, &TimeZone::UTC, present)
    }

    /// One pass; tells how many steps there were.
    pub(crate) fn pass(&mut self) -> usize {
        let steps = self.steps();
        self.wake_in = steps.wake_in;
        let count = steps.steps.len();
        for step in steps.steps {
            self.take(step);
        }
        count
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Job(uid, record) => drop(self.controlled.jobs.insert(uid, *record)),
            Step::Cron(uid, record) => drop(self.controlled.crons.insert(uid, *record)),
            Step::Make(record) => {
                assert!(!self.objects.contains_key(&record.uid), "{} was made twice", record.key);
                self.made.push(record.key.name.clone());
                let object = revive(&record.authored).unwrap();
                self.objects.insert(record.uid.clone(), Known { record: *record, object });
            }
            Step::End { uid, grace } => {
                let known = self.objects.get_mut(&uid).unwrap();
                assert!(known.record.deletion.is_none(), "{} was ended twice", known.record.key);
                known.record.deletion = Some(Deletion { at: self.wall, grace });
            }
            Step::Forget(uid) => {
                self.objects.remove(&uid);
                self.controlled.jobs.remove(&uid);
                self.controlled.crons.remove(&uid);
            }
        }
    }

    /// Passes until nothing is left to do. What is told to go has gone after each.
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

    /// Pods that were told to go have gone.
    pub(crate) fn leave(&mut self) -> usize {
        let gone: Vec<Uid> = self
            .objects
            .values()
            .filter(|known| known.record.deletion.is_some() && matches!(known.object, Object::Pod(_)))
            .map(|known| known.record.uid.clone())
            .collect();
        for uid in &gone {
            self.objects.remove(uid);
            self.observed.pods.remove(uid);
        }
        gone.len()
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
            .filter(|known| matches!(known.object, Object::Pod(_)) && known.record.deletion.is_none())
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
        let exit = Exit {
            code,
            signal: None,
            reason: String::new(),
            message: String::new(),
            started_at: None,
            finished_at: self.wall,
        };
        let mut seen = self.look(pod, ContainerState::Terminated(exit), 0);
        let record = seen.record.take().unwrap();
        seen.finished = Some(Arc::new(Finished { outcome, record }));
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
            told: Some(Told { revision: revision(), stop: None }),
            process: ProcessObservation::Alive,
            record: Some(record),
            finished: None,
            launched_in: None,
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
