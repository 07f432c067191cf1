//! What really happened, by what containers told outside of droppod and by what was killed here, and whether the
//! records say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;

use crate::record::{Object, Records, Run, containers};

/// kubelet's word for an end that nobody saw.
const LOST: &str = "ContainerStatusUnknown";

pub(crate) struct Truth {
    path: PathBuf,
    read: u64,
    /// How often it was started: a run that nobody heard of has its number used again.
    starts: BTreeMap<Run, u32>,
    /// Codes that it was about to end with.
    ends: BTreeMap<Run, BTreeSet<i64>>,
    /// Of containers that do not end by themselves.
    lasting: BTreeMap<(String, String), u32>,
    names: BTreeMap<String, String>,
    /// Of a Job's index.
    tries: BTreeMap<(String, String), u32>,
    /// Tries of an index when its success was on record.
    done: BTreeMap<(String, String), u32>,
    deeds: Deeds,
    /// Code, signal and reason of each end that was told of.
    told: BTreeMap<Run, [Value; 3]>,
    counts: BTreeMap<(String, String), u64>,
}

/// What was done here that ends containers.
#[derive(Default)]
struct Deeds {
    processes: BTreeMap<String, u32>,
    containers: BTreeMap<(String, String), u32>,
    /// Pods that were told to stop, or belong to a command that was.
    stopped: BTreeSet<String>,
    /// Changes of the image, by the pod's name.
    images: BTreeMap<String, u32>,
}

impl Truth {
    pub(crate) fn new(path: PathBuf) -> Truth {
        Truth {
            path,
            read: 0,
            starts: BTreeMap::new(),
            ends: BTreeMap::new(),
            lasting: BTreeMap::new(),
            names: BTreeMap::new(),
            tries: BTreeMap::new(),
            done: BTreeMap::new(),
            deeds: Deeds::default(),
            told: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn kills_process_of(&mut self, pod: &str) {
        *self.deeds.processes.entry(pod.to_owned()).or_default() += 1;
    }

    pub(crate) fn kills_container(&mut self, pod: &str, container: &str) {
        *self.deeds.containers.entry((pod.to_owned(), container.to_owned())).or_default() += 1;
    }

    pub(crate) fn stops(&mut self, pod: &str) {
        self.deeds.stopped.insert(pod.to_owned());
    }

    pub(crate) fn changes_image_of(&mut self, name: &str) {
        *self.deeds.images.entry(name.to_owned()).or_default() += 1;
    }

    /// Runs that started, and ends on record.
    pub(crate) fn figures(&self) -> (usize, usize) {
        (self.starts.values().map(|times| *times as usize).sum(), self.told.len())
    }

    /// Compares records with what is known, and remembers them. The records were read before this is called.
    pub(crate) fn judge(&mut self, records: &Records) -> Result<(), String> {
        self.hear();
        let stopped = records.pods.iter().filter(|(_, pod)| pod.is_told_to_stop());
        self.deeds.stopped.extend(stopped.map(|(uid, _)| uid.clone()));
        for (run, exit, place) in records.ends() {
            self.judge_end(&run, exit, place)?;
        }
        for (uid, pod) in &records.pods {
            self.judge_counts(uid, &pod.state)?;
        }
        for (uid, object) in &records.objects {
            self.judge_job(uid, object)?;
        }
        for ((pod, container), times) in &self.lasting {
            let least = 1 + self.kills(pod, container) + self.images(pod);
            if *times > least && !self.deeds.stopped.contains(pod) {
                return Err(format!(
                    "container {container} of pod {pod} was started {times} times, and only {} things ended it",
                    least - 1
                ));
            }
        }
        Ok(())
    }

    /// Ends that containers told, of runs that the records should tell of and do not. For a world at rest.
    pub(crate) fn unrecorded(&self, records: &Records) -> Vec<String> {
        let mut missing = Vec::new();
        let finished = records.objects.iter().map(|(uid, object)| (uid, &object.finished["record"]));
        let living = records.pods.iter().map(|(uid, pod)| (uid, &pod.state));
        for (uid, state) in living.chain(finished) {
            for container in containers(state) {
                let name = container["name"].as_str().unwrap_or_default();
                let number = container["restart_count"].as_u64().unwrap_or(0);
                let run = Run::of(uid, name, number);
                let is_over = container["state"]["Running"].is_null();
                let ended = self.ends.contains_key(&run) && is_over && !self.told.contains_key(&run);
                if ended && self.kills(uid, name) == 0 && !self.deeds.stopped.contains(uid) {
                    missing.push(format!("no record of the end of {run}"));
                }
            }
        }
        missing
    }

    /// Reads what containers have told since.
    fn hear(&mut self) {
        let mut file = File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        self.read += whole as u64;
        for line in text[..whole].lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [word, uid, name, container, number, job, index, what] = fields[..] else {
                panic!("a container told `{line}`");
            };
            let run = Run::of(uid, container, number.parse().unwrap());
            self.names.insert(uid.to_owned(), name.to_owned());
            if word == "end" {
                self.ends.entry(run).or_default().insert(what.parse().unwrap());
                continue;
            }
            *self.starts.entry(run).or_default() += 1;
            if what == "lasts" {
                *self.lasting.entry((uid.to_owned(), container.to_owned())).or_default() += 1;
            }
            if job != "-" {
                *self.tries.entry((job.to_owned(), index.to_owned())).or_default() += 1;
            }
        }
    }

    fn judge_end(&mut self, run: &Run, exit: &Value, place: &str) -> Result<(), String> {
        let said = ["code", "signal", "reason"].map(|field| exit[field].clone());
        match self.told.get(run) {
            Some(before) if *before == said => Ok(()),
            Some(before) => Err(format!("two records of {run}: {before:?}, and in {place} {said:?}")),
            None => {
                self.must_be_true(run, &said[0], &said[2], place)?;
                self.told.insert(run.clone(), said);
                Ok(())
            }
        }
    }

    /// An end that an `up` told of, which names pods instead of their UIDs.
    pub(crate) fn judge_event(&mut self, event: &Value) -> Result<(), String> {
        self.hear();
        let uid =
            self.names.iter().find(|(_, name)| event["pod"] == name.as_str()).map(|(uid, _)| uid.as_str());
        let container = event["container"].as_str().unwrap_or_default();
        let run = Run::of(uid.unwrap_or_default(), container, event["run"].as_u64().unwrap_or(0));
        match uid {
            Some(_) => self.must_be_true(&run, &event["exitCode"], &event["reason"], "what `up` told"),
            // Killed before it could tell anything.
            None => Ok(()),
        }
    }

    fn must_be_true(&self, run: &Run, code: &Value, reason: &Value, place: &str) -> Result<(), String> {
        let (pod, container) = (run.pod.as_str(), run.container.as_str());
        let kills = self.kills(pod, container);
        let is_stopped = self.deeds.stopped.contains(pod);
        let wrong = |why: &str| Err(format!("wrong record of {run} in {place}, {why}: {code} {reason}"));
        match code.as_i64().unwrap_or(-1) {
            code if self.ends.get(run).is_some_and(|codes| codes.contains(&code)) => Ok(()),
            137 => {
                let of_same = |other: &Run| (&other.pod, &other.container) == (&run.pod, &run.container);
                let others = self
                    .told
                    .iter()
                    .filter(|(other, said)| of_same(other) && *other != run && said[0] == 137);
                if others.count() as u32 >= kills + self.images(pod) && !is_stopped {
                    return wrong("nobody killed it");
                }
                if reason == LOST && !self.deeds.processes.contains_key(pod) {
                    return wrong("its pod process was not killed");
                }
                Ok(())
            }
            // It was told to stop before it could listen.
            143 if is_stopped || self.images(pod) > 0 => Ok(()),
            128 if self.starts.contains_key(run) => wrong("it did start"),
            128 if kills == 0 => wrong("nobody kept it from starting"),
            128 => Ok(()),
            _ if self.ends.contains_key(run) => wrong("it ended with another code"),
            _ => wrong("it never said that it ends so"),
        }
    }

    fn judge_counts(&mut self, uid: &str, state: &Value) -> Result<(), String> {
        for container in containers(state) {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            let count = container["restart_count"].as_u64().unwrap_or(0);
            let before = self.counts.insert((uid.to_owned(), name.clone()), count).unwrap_or(0);
            if count < before {
                return Err(format!(
                    "container {name} of pod {uid} had {before} restarts, and has {count} now"
                ));
            }
        }
        Ok(())
    }

    /// An index whose success is on record does not run again.
    fn judge_job(&mut self, uid: &str, object: &Object) -> Result<(), String> {
        for index in object.job["completed"].as_str().map(indexes).unwrap_or_default() {
            let key = (uid.to_owned(), index.to_string());
            let tries = self.tries.get(&key).copied().unwrap_or(0);
            let before = *self.done.entry(key).or_insert(tries);
            if tries > before {
                return Err(format!(
                    "index {index} of job {} ({uid}) ran again after its success was on record",
                    object.name()
                ));
            }
        }
        Ok(())
    }

    /// What was killed here of a container, alone or with its pod process.
    fn kills(&self, pod: &str, container: &str) -> u32 {
        let alone = self.deeds.containers.get(&(pod.to_owned(), container.to_owned()));
        let with_pod = self.deeds.processes.get(pod);
        alone.copied().unwrap_or(0) + with_pod.copied().unwrap_or(0)
    }

    fn images(&self, pod: &str) -> u32 {
        let name = self.names.get(pod);
        name.and_then(|name| self.deeds.images.get(name)).copied().unwrap_or(0)
    }
}

/// `0-3,5` as Kubernetes writes completed indexes.
fn indexes(text: &str) -> Vec<u64> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let runs = parts.map(|part| part.split_once('-').unwrap_or((part, part)));
    runs.flat_map(|(first, last)| first.parse::<u64>().unwrap()..=last.parse().unwrap()).collect()
}
