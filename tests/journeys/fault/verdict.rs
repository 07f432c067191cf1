//! What is to be true of a course in the end, whatever has failed in it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::course::{Fault, Order};
use crate::bench::Bench;

/// How what is to end with 7 may end.
pub(super) fn ends(order: &Order) -> &'static [(&'static str, i64)] {
    const KNOWN: (&str, i64) = ("Error", 7);
    const WITH_ITS_POD_PROCESS: (&str, i64) = ("ContainerStatusUnknown", 137);
    const BEFORE_IT_BEGAN: (&str, i64) = ("ContainerCannotRun", 128);
    match order.fault {
        Fault::LateForAnEdit | Fault::LateForTheReverse => &[KNOWN],
        Fault::Kill => &[KNOWN, WITH_ITS_POD_PROCESS],
        Fault::NoRoom | Fault::BrokenDisc => &[KNOWN, BEFORE_IT_BEGAN],
    }
}

/// Whether what is counted has run once for sure, as it has not been cut off while it ran.
pub(super) fn runs_once(order: &Order) -> bool {
    match order.fault {
        Fault::LateForAnEdit => true,
        // What comes back is another.
        Fault::LateForTheReverse => false,
        // Of an end that a killed process had not put on record nobody knows, and a Job makes up for it.
        Fault::Kill => !["container started", "state published", "draft of state.json", "exit seen"]
            .contains(&order.boundary.as_str()),
        Fault::NoRoom | Fault::BrokenDisc => {
            !["container created", "container started", "state published", "exit seen"]
                .contains(&order.boundary.as_str())
        }
    }
}

pub(super) fn drafts_below(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            drafts_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "tmp") {
            found.push(path.display().to_string());
        }
    }
}

pub(super) fn objects(bench: &Bench) -> Vec<Value> {
    let ran = bench.run(&["get", "pods,jobs", "-o", "json"]);
    let list: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    list["items"].as_array().cloned().unwrap_or_default()
}

pub(super) fn one(all: &[Value], kind: &str, name: &str) -> Value {
    let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    all.iter().find(is).cloned().unwrap_or_default()
}

/// The container before has ended, the one beside runs, and the main one is ready, in its second run at least.
pub(super) fn runs(all: &[Value], value: &str) -> bool {
    let web = one(all, "Pod", "web");
    let status = &web["status"];
    let first = |list: &str, at: usize| &status[list][at];
    web["metadata"]["labels"]["value"] == value
        && status["phase"] == "Running"
        && first("initContainerStatuses", 0)["state"]["terminated"]["exitCode"] == 0
        && first("initContainerStatuses", 1)["ready"] == true
        && first("containerStatuses", 0)["ready"] == true
        && first("containerStatuses", 0)["restartCount"].as_i64() >= Some(1)
}

pub(super) fn ended(all: &[Value]) -> Option<(String, i64)> {
    let once = one(all, "Pod", "once");
    let end = &once["status"]["containerStatuses"][0]["state"]["terminated"];
    Some((end["reason"].as_str()?.to_owned(), end["exitCode"].as_i64()?))
}

pub(super) fn is_complete(all: &[Value]) -> bool {
    let job = one(all, "Job", "job");
    let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
    job["status"]["succeeded"] == 1
        && conditions.iter().any(|condition| condition["type"] == "Complete" && condition["status"] == "True")
}
