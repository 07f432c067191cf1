//! Whether records say that nothing is under way: each object that a file declares is there once and in force, each pod
//! runs, has ended, or rests for a reason.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifest::{Declared, Kind};
use crate::record::{Object, Pod, Records, containers};

/// kubelet's words for what is tried again later.
const RESTS: [&str; 6] = [
    "CrashLoopBackOff",
    "CreateContainerError",
    "RunContainerError",
    "FailedCreatePodSandBox",
    "ErrImagePull",
    "ImagePullBackOff",
];

/// What is not at rest, in words.
pub(crate) fn unrest(declared: &[&Declared], records: &Records) -> Vec<String> {
    let mut found = Vec::new();
    for one in declared {
        let kind = if one.kind == Kind::Job { "Job" } else { "Pod" };
        let objects: Vec<&Object> = records
            .objects
            .values()
            .filter(|object| (object.kind(), object.name()) == (kind, &one.name) && object.owner().is_none())
            .collect();
        match objects[..] {
            [object] if is_in_force(one, object) => {}
            [_] => found.push(format!("the edit of {} is not in force", one.name)),
            _ => found.push(format!("{} is there {} times", one.name, objects.len())),
        }
    }
    for (uid, object) in &records.objects {
        let name = object.name();
        let wanted = match object.owner() {
            Some(owner) => records.objects.contains_key(owner),
            None => declared.iter().any(|one| one.name == name),
        };
        if object.record.is_null() || object.is_to_go() || !wanted {
            found.push(format!("object {name} ({uid}) is to go"));
        } else if object.kind() == "Pod" {
            found.extend(
                restless(object, records.pods.get(uid)).map(|why| format!("pod {name} ({uid}) {why}")),
            );
        } else if object.kind() == "Job" && !is_job_at_rest(uid, object, records) {
            found.push(format!("job {name} ({uid}) has not ended and does nothing"));
        }
    }
    let known: BTreeSet<&String> = records.objects.keys().collect();
    let unknown = |uid: &&String| !known.contains(uid);
    found.extend(
        records.pods.keys().filter(unknown).map(|uid| format!("directory of pod {uid}, which is no object")),
    );
    found.extend(
        records.starts.keys().filter(unknown).map(|uid| format!("memory of pod {uid}, which is no object")),
    );
    found
}

fn is_in_force(declared: &Declared, object: &Object) -> bool {
    let authored = object.record["authored"].to_string();
    let label = format!("\"edition\":\"e{}\"", declared.label);
    let salt = format!("\"name\":\"SALT\",\"value\":\"{}\"", declared.salt);
    let image = match declared.kind {
        Kind::Shared => String::new(),
        Kind::Pulled => format!("{}\"", crate::manifest::tag(declared.image)),
        _ => format!("image{}.tar\"", declared.image),
    };
    [label, salt, image].iter().all(|part| authored.contains(part))
}

/// Why a pod is not at rest.
fn restless(object: &Object, pod: Option<&Pod>) -> Option<String> {
    let Some(pod) = pod else {
        return object.finished.is_null().then(|| "is neither run nor waited for".to_owned());
    };
    if !object.finished.is_null() {
        return Some("has ended and has a directory".to_owned());
    }
    if pod.goal.is_null() {
        let of_pod = pod.waiting["why"]["pod"]["reason"].as_str();
        let of_containers = pod.waiting["why"]["containers"].as_object().into_iter().flatten();
        let mut reasons = of_containers.filter_map(|(_, why)| why["reason"].as_str()).chain(of_pod);
        return (!reasons.any(|reason| RESTS.contains(&reason))).then(|| format!("waits: {}", pod.waiting));
    }
    let state = &pod.state;
    if state["sandbox"] != "Ready" || pod.is_told_to_stop() || !state["outcome"].is_null() {
        return Some("starts or stops".to_owned());
    }
    if state["revision"] != pod.goal["plan"]["revision"] {
        return Some("has not taken over its plan".to_owned());
    }
    let waits_for_init = containers(state)
        .any(|one| one["role"] == "Init" && reason(one).is_some_and(|why| RESTS.contains(&why)));
    let moves = |one: &&Value| match reason(one) {
        Some("PodInitializing") => !waits_for_init,
        Some(why) => !RESTS.contains(&why),
        None => false,
    };
    if let Some(one) = containers(state).find(moves) {
        return Some(format!("has container {} that waits: {}", one["name"], one["state"]));
    }
    let mut apps = containers(state).filter(|one| one["role"] == "App");
    apps.all(|one| !one["state"]["Terminated"].is_null()).then(|| "has nothing left to run".to_owned())
}

/// Why a container waits, if it does.
fn reason(container: &Value) -> Option<&str> {
    container["state"]["Waiting"]["reason"].as_str()
}

/// It has ended, or has pods, or rests after a failure.
fn is_job_at_rest(uid: &str, object: &Object, records: &Records) -> bool {
    let job = &object.job;
    let mut own = records.objects.values().filter(|one| one.owner() == Some(uid));
    let fails = |failures: &Value| failures["count"].as_u64().unwrap_or(0) > 0;
    let rests = fails(&job["failures"])
        || job["index_failures"].as_object().into_iter().flatten().any(|(_, one)| fails(one));
    !job["finished"].is_null() || own.any(|pod| pod.finished.is_null()) || rests
}

/// Whether a pod of this object does nothing that could be disturbed.
pub(crate) fn is_weary(name: &str, records: &Records) -> bool {
    records.named(name).all(|uid| {
        let runs = |pod: &Pod| containers(&pod.state).any(|one| !one["state"]["Running"].is_null());
        !records.pods.get(uid).is_some_and(runs)
    })
}
