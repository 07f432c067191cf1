//! Whether status files say what the records say, which have been held to the truth.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::made::digest;
use crate::record::{Object, Pod, Records, containers};

/// What the status file of a manifest that declares this object says wrongly, in words. For a world at rest.
pub(crate) fn untrue(folder: &Path, file: &str, declared: &str, records: &Records) -> Vec<String> {
    let manifest = fs::read(folder.join(file)).unwrap();
    let text = fs::read(folder.join(file.replace(".yaml", ".status.yaml"))).unwrap_or_default();
    let Ok(told) = serde_yaml::from_slice::<Value>(&text) else {
        return vec![format!("the status file of {file} is no YAML")];
    };
    let mut found = Vec::new();
    for hash in ["observedHash", "appliedHash"] {
        compare(hash, &told["status"][hash], &digest(&manifest).into(), &mut found);
    }
    let items: Vec<&Value> = told["items"].as_array().into_iter().flatten().collect();
    let mut unseen: Vec<&str> = records.named(declared).collect();
    for item in items {
        let uid = item["metadata"]["uid"].as_str().unwrap_or_default();
        unseen.retain(|known| *known != uid);
        match records.objects.get(uid) {
            Some(object) if object.kind() == "Pod" => {
                of_pod(uid, &item["status"], object, records.pods.get(uid), &mut found);
            }
            Some(object) => of_job(uid, &item["status"], &object.job, &mut found),
            None => found.push(format!("item {uid} is no object")),
        }
    }
    found.extend(unseen.into_iter().map(|uid| format!("object {uid} is no item")));
    found.iter().map(|why| format!("status file of {file}: {why}")).collect()
}

fn of_pod(uid: &str, told: &Value, object: &Object, pod: Option<&Pod>, found: &mut Vec<String>) {
    let outcome = &object.finished["outcome"];
    let phase = match told["phase"].as_str().unwrap_or_default() {
        "Succeeded" => outcome == "Succeeded",
        "Failed" => outcome["Failed"].is_object(),
        "Running" | "Pending" => outcome.is_null(),
        _ => false,
    };
    if !phase {
        found.push(format!("phase of {uid} is {}, and its end {outcome}", told["phase"]));
    }
    let record = pod.map_or(&object.finished["record"], |pod| &pod.state);
    let statuses = ["containerStatuses", "initContainerStatuses"];
    let statuses: Vec<&Value> =
        statuses.iter().flat_map(|field| told[field].as_array().into_iter().flatten()).collect();
    for container in containers(record) {
        let name = &container["name"];
        let Some(status) = statuses.iter().find(|status| status["name"] == *name) else {
            found.push(format!("container {name} of {uid} has no status"));
            continue;
        };
        let mut same = |what: &str, told: &Value, known: &Value| {
            compare(&format!("{what} of container {name} of {uid}"), told, known, found);
        };
        same("restartCount", &status["restartCount"], &container["restart_count"]);
        same("last exit code", &status["lastState"]["terminated"]["exitCode"], &container["last"]["code"]);
        let (state, known) = (&status["state"], &container["state"]);
        same("exit code", &state["terminated"]["exitCode"], &known["Terminated"]["code"]);
        same("reason to wait", &state["waiting"]["reason"], &known["Waiting"]["reason"]);
        same("run", &state["running"].is_object().into(), &known["Running"].is_object().into());
    }
}

fn of_job(uid: &str, told: &Value, job: &Value, found: &mut Vec<String>) {
    let indexes = |of: &Value| Value::from(of.as_str().unwrap_or_default());
    compare(
        &format!("completed indexes of {uid}"),
        &indexes(&told["completedIndexes"]),
        &indexes(&job["completed"]),
        found,
    );
    let is_over = |one: &Value| ["Complete", "Failed"].iter().any(|kind| one["type"] == *kind);
    let ended = told["conditions"].as_array().into_iter().flatten().any(is_over);
    compare(&format!("end of {uid}"), &ended.into(), &(!job["finished"].is_null()).into(), found);
}

fn compare(what: &str, told: &Value, known: &Value, found: &mut Vec<String>) {
    if told != known {
        found.push(format!("{what} is told as {told}, and is {known}"));
    }
}
