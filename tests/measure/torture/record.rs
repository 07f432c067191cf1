//! What droppod has written down, read as files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::census::list;

/// The records of one instance at about one moment.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// By UID, each that has a directory.
    pub(crate) pods: BTreeMap<String, Pod>,
    pub(crate) objects: BTreeMap<String, Object>,
    /// Address to UID.
    pub(crate) leases: BTreeMap<String, String>,
    /// What is remembered of a pod between its processes, by UID.
    pub(crate) starts: BTreeMap<String, Value>,
}

/// A pod's directory.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) state: Value,
    pub(crate) goal: Value,
    pub(crate) waiting: Value,
    pub(crate) exits: Vec<(Run, Value)>,
}

/// An object's directory.
#[derive(Debug)]
pub(crate) struct Object {
    /// Null in a directory without the record that makes it an object.
    pub(crate) record: Value,
    pub(crate) finished: Value,
    pub(crate) job: Value,
}

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) number: u64,
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "run {} of container {} of pod {}", self.number, self.container, self.pod)
    }
}

impl Records {
    pub(crate) fn read(run: &Path, state: &Path) -> Records {
        let by_name =
            |place: PathBuf| list(&place).into_iter().map(move |name| (name.clone(), place.join(name)));
        Records {
            pods: by_name(run.join("pods"))
                .map(|(uid, path)| (uid.clone(), Pod::read(&uid, &path)))
                .collect(),
            objects: by_name(state.join("objects")).map(|(uid, path)| (uid, Object::read(&path))).collect(),
            leases: by_name(run.join("leases"))
                .map(|(address, path)| (address, fs::read_to_string(path).unwrap_or_default()))
                .collect(),
            starts: by_name(run.join("starts"))
                .filter_map(|(name, path)| Some((name.strip_suffix(".json")?.to_owned(), json(&path))))
                .collect(),
        }
    }

    /// Objects of this name, and what controllers made of them.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let is_named = move |object: &Object| object.name() == name;
        self.objects.iter().filter_map(move |(uid, object)| {
            let owner = object.owner().and_then(|owner| self.objects.get(owner));
            (is_named(object) || owner.is_some_and(is_named)).then_some(uid.as_str())
        })
    }

    /// Every end that is told of anywhere, and where.
    pub(crate) fn ends(&self) -> Vec<(Run, &Value, &'static str)> {
        let mut ends = Vec::new();
        for (uid, pod) in &self.pods {
            ends.extend(pod.exits.iter().map(|(run, exit)| (run.clone(), exit, "an exit record")));
            ends.extend(told_by(uid, &pod.state).map(|(run, exit)| (run, exit, "state.json")));
        }
        for (uid, object) in &self.objects {
            let record = &object.finished["record"];
            ends.extend(told_by(uid, record).map(|(run, exit)| (run, exit, "finished.json")));
        }
        for (uid, start) in &self.starts {
            for (container, past) in start["past"].as_object().into_iter().flatten() {
                let runs = past["runs"].as_u64().unwrap_or(0);
                if !past["last"].is_null() && runs > 0 {
                    ends.push((
                        Run::of(uid, container, runs - 1),
                        &past["last"],
                        "the memory of earlier processes",
                    ));
                }
            }
        }
        ends
    }
}

/// Ends in a pod's state. Of a container that waits it is not told which run ended last: its number may have been
/// counted up already.
fn told_by<'a>(uid: &'a str, state: &'a Value) -> impl Iterator<Item = (Run, &'a Value)> {
    containers(state).flat_map(move |container| {
        let name = container["name"].as_str().unwrap_or_default();
        let number = container["restart_count"].as_u64().unwrap_or(0);
        let terminated = &container["state"]["Terminated"];
        let present = (!terminated.is_null()).then(|| (Run::of(uid, name, number), terminated));
        let waits = !container["state"]["Waiting"].is_null();
        let before = (!waits && number > 0 && !container["last"].is_null())
            .then(|| (Run::of(uid, name, number - 1), &container["last"]));
        present.into_iter().chain(before)
    })
}

pub(crate) fn containers(state: &Value) -> impl Iterator<Item = &Value> {
    state["containers"].as_array().into_iter().flatten()
}

impl Run {
    pub(crate) fn of(pod: &str, container: &str, number: u64) -> Run {
        Run { pod: pod.to_owned(), container: container.to_owned(), number }
    }
}

impl Pod {
    fn read(uid: &str, path: &Path) -> Pod {
        let exits = list(&path.join("exits")).into_iter().filter_map(|file| {
            let (container, number) = file.strip_suffix(".json")?.rsplit_once('.')?;
            Some((Run::of(uid, container, number.parse().ok()?), json(&path.join("exits").join(&file))))
        });
        // In this order: a goal tells whether what was read before it happened in a pod that was told to stop.
        Pod {
            exits: exits.filter(|(_, exit)| !exit.is_null()).collect(),
            state: json(&path.join("state.json")),
            waiting: json(&path.join("waiting.json")),
            goal: json(&path.join("goal.json")),
        }
    }

    pub(crate) fn is_told_to_stop(&self) -> bool {
        !self.goal["stop"].is_null() || !self.state["stopping"].is_null()
    }

    pub(crate) fn process(&self) -> Option<i32> {
        self.state["shim_pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())
    }
}

impl Object {
    fn read(path: &Path) -> Object {
        let read = |name: &str| json(&path.join(name));
        Object { record: read("object.json"), finished: read("finished.json"), job: read("job.json") }
    }

    pub(crate) fn name(&self) -> &str {
        self.record["key"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &str {
        self.record["key"]["kind"].as_str().unwrap_or_default()
    }

    pub(crate) fn owner(&self) -> Option<&str> {
        self.record["owner"]["uid"].as_str()
    }

    pub(crate) fn is_to_go(&self) -> bool {
        !self.record["deletion"].is_null()
    }
}

/// Null if there is none, or none any more.
pub(crate) fn json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}
