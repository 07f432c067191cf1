//! What every reading verb stands on: the objects and pods of an instance as their records tell, whether a watcher
//! runs or not.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use crate::api::{KindName, Object};
use crate::model::control::Controlled;
use crate::model::id::Uid;
use crate::paths::Places;
use crate::rundir::objects;
use crate::sandbox::host::host_ip;
use crate::status::{Stage, controls, event_objects, full_object, pod_status, stage};

use super::exit::Exit;
use super::failure::Failure;
use super::folder::NAMESPACE;
use super::selector::Selector;
use super::settings::Scope;
use shown::show;

mod shown;

pub(crate) use shown::Shown;

/// Everything that is declared, in the order of namespace and name.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) shown: Vec<Shown>,
    /// One line for each record that could not be read.
    pub(crate) unreadable: Vec<String>,
    /// Asked of the kernel by those that tell of it.
    host_ip: OnceCell<String>,
}

impl Records {
    pub(crate) fn load(places: &Places) -> Result<Records, Failure> {
        let loaded = objects::load(places).map_err(|error| {
            let failure =
                Failure::new(Exit::Failed, format!("cannot read the objects in {}", places.state.display()));
            let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
            let failure = failure.because(error);
            if denied {
                failure.help("run this as the user that runs `droppod watch`, usually root")
            } else {
                failure
            }
        })?;
        let mut unreadable: Vec<String> = loaded
            .unreadable
            .iter()
            .map(|(uid, error)| format!("the record of object {uid} cannot be read: {error}"))
            .collect();
        let mut shown = Vec::new();
        for record in loaded.objects {
            match show(places, record) {
                Ok(one) => shown.push(one),
                Err(line) => unreadable.push(line),
            }
        }
        tell_controls(places, &mut shown, &mut unreadable);
        // One that goes and its successor have one name: it stands first until it has gone.
        shown.sort_by(|a, b| {
            let (a, b) = (&a.known.record, &b.known.record);
            a.key.cmp(&b.key).then_with(|| a.deletion.is_none().cmp(&b.deletion.is_none()))
        });
        Ok(Records { shown, unreadable, host_ip: OnceCell::new() })
    }

    /// The namespace that is there without anybody's declaring it, unless somebody does.
    pub(crate) fn undeclared_default(&self) -> Option<Value> {
        let is_default = |shown: &Shown| {
            let key = &shown.known.record.key;
            key.kind == "Namespace" && key.name == NAMESPACE
        };
        if self.shown.iter().any(is_default) {
            return None;
        }
        let metadata = json!({"name": NAMESPACE, "labels": {"kubernetes.io/metadata.name": NAMESPACE}});
        let (version, status) = ("v1", json!({"phase": "Active"}));
        Some(json!({"apiVersion": version, "kind": "Namespace", "metadata": metadata, "status": status}))
    }

    /// Objects of one kind, within `scope` if the kind lives in namespaces.
    pub(crate) fn of<'a>(
        &'a self,
        kind: &'a KindName,
        scope: &'a Scope,
        selector: &'a Selector,
    ) -> impl Iterator<Item = &'a Shown> {
        let none = BTreeMap::new();
        self.shown.iter().filter(move |shown| {
            let key = &shown.known.record.key;
            key.kind == kind.kind
                && key.group == kind.group
                && (!kind.namespaced || scope.holds(&key.namespace))
                && selector.matches(shown.known.object.metadata().labels.as_ref().unwrap_or(&none))
        })
    }

    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Result<&Shown, Failure> {
        let of_name = |shown: &&Shown| {
            let key = &shown.known.record.key;
            key.kind == "Pod" && key.namespace == namespace && key.name == name
        };
        self.shown.iter().find(of_name).ok_or_else(|| not_found("pods", name))
    }

    /// A Job and its pods, in the order in which they were made.
    pub(crate) fn pods_of_job(&self, namespace: &str, name: &str) -> Result<(&Shown, Vec<&Shown>), Failure> {
        let of_name = |shown: &&Shown| {
            let key = &shown.known.record.key;
            key.kind == "Job" && key.namespace == namespace && key.name == name
        };
        let job = self.shown.iter().find(of_name).ok_or_else(|| not_found("jobs.batch", name))?;
        let number = |shown: &Shown| {
            let owner = shown.known.record.owner.as_ref();
            owner.filter(|owner| owner.uid == *job.uid()).map(|owner| owner.number)
        };
        let mut pods: Vec<&Shown> = self.shown.iter().filter(|shown| number(shown).is_some()).collect();
        pods.sort_by_key(|shown| number(shown));
        Ok((job, pods))
    }

    /// The object in full, status included: as an API server would tell it.
    pub(crate) fn full(&self, shown: &Shown) -> Value {
        let mut object = full_object(&shown.known, &shown.course, self.host_ip());
        match &*shown.known.object {
            Object::Pod(_) if shown.is_scheduled() => object["spec"]["nodeName"] = node().into(),
            Object::Namespace(_) => object["status"]["phase"] = "Active".into(),
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. } => {}
        }
        object
    }

    /// Events of one object, the oldest first.
    pub(crate) fn events_of(&self, shown: &Shown) -> Vec<Event> {
        event_objects(&shown.known, &shown.course, &node())
    }

    /// Events of all objects in `scope`, the oldest first.
    pub(crate) fn events(&self, scope: &Scope) -> Vec<Event> {
        let events = self.shown.iter().flat_map(|shown| self.events_of(shown));
        let within = |event: &Event| scope.holds(event.metadata.namespace.as_deref().unwrap_or_default());
        let mut events: Vec<Event> = events.filter(within).collect();
        events.sort_by(|a, b| {
            let last = |event: &Event| event.last_timestamp.as_ref().map(|time| time.0);
            last(a).cmp(&last(b))
        });
        events
    }

    /// Why a container does not run yet.
    pub(crate) fn waits_for(&self, shown: &Shown, container: &str) -> String {
        let Object::Pod(pod) = &*shown.known.object else { return String::new() };
        let status = pod_status(pod, &shown.course, self.host_ip());
        let init = status.init_container_statuses.into_iter().flatten();
        let mut all = init.chain(status.container_statuses.into_iter().flatten());
        let state = all.find(|status| status.name == container).and_then(|status| status.state);
        state.and_then(|state| state.waiting?.reason).unwrap_or_else(|| status.phase.unwrap_or_default())
    }

    pub(crate) fn host_ip(&self) -> &str {
        self.host_ip.get_or_init(|| host_ip().to_string())
    }
}

fn node() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// As kubectl words it.
pub(crate) fn not_found(plural: &str, name: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{plural} \"{name}\" not found"))
        .help(format!("droppod get {plural} -A shows what there is"))
}

/// What Jobs and CronJobs have come to.
fn tell_controls(places: &Places, shown: &mut [Shown], unreadable: &mut Vec<String>) {
    let mut controlled = Controlled::default();
    for Shown { known, .. } in &*shown {
        let uid = &known.record.uid;
        let read = match &*known.object {
            Object::Job(_) => objects::job_of(places, uid).map(|record| {
                controlled.jobs.extend(record.map(|record| (uid.clone(), record)));
            }),
            Object::CronJob(_) => objects::cron_of(places, uid).map(|record| {
                controlled.crons.extend(record.map(|record| (uid.clone(), record)));
            }),
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Unserved { .. } => Ok(()),
        };
        unreadable.extend(
            read.err().map(|error| format!("the state of {} cannot be read: {error}", known.record.key)),
        );
    }
    let stages: BTreeMap<&Uid, Stage> = shown
        .iter()
        .map(|one| {
            let reached = match (&one.course.finished, &one.course.record) {
                (Some(_), _) => Stage::Ended,
                (None, Some(record)) => stage(record),
                (None, None) => Stage::Unready,
            };
            (one.uid(), reached)
        })
        .collect();
    let all = shown.iter().map(|one| &one.known);
    let mut controls = controls(all, &controlled, |uid| stages.get(uid).copied().unwrap_or(Stage::Unready));
    for one in shown {
        one.course.control = controls.remove(&one.known.record.uid);
    }
}
