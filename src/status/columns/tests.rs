use serde_json::{Value, json};

use super::*;

/// READY, STATUS and RESTARTS of a pod with these init and app containers' states, two app containers declared.
fn row(pod: Value) -> [String; 3] {
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let now = "2026-01-02T03:10:00Z".parse().unwrap();
    [ready_column(&pod), status_word(&pod), restarts_column(&pod, now)]
}

fn pod(phase: &str, init: &[Value], app: &[Value]) -> Value {
    let declared = |statuses: &[Value]| -> Vec<Value> {
        let container = |status: &Value| match status["sidecar"].as_bool() {
            Some(true) => json!({"name": status["name"], "restartPolicy": "Always"}),
            Some(false) | None => json!({"name": status["name"]}),
        };
        statuses.iter().map(container).collect()
    };
    json!({
        "spec": {"initContainers": declared(init), "containers": declared(app)},
        "status": {"phase": phase, "initContainerStatuses": init, "containerStatuses": app},
    })
}

fn with(mut pod: Value, pointer: &str, field: &str, value: Value) -> Value {
    pod.pointer_mut(pointer).unwrap()[field] = value;
    pod
}

fn running(name: &str) -> Value {
    json!({"name": name, "ready": true, "started": true, "restartCount": 0, "state": {"running": {}}})
}

fn waiting(name: &str, reason: &str) -> Value {
    json!({"name": name, "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason}}})
}

fn ended(name: &str, state: Value) -> Value {
    json!({"name": name, "ready": false, "restartCount": 0, "state": {"terminated": state}})
}

fn completed(name: &str) -> Value {
    ended(name, json!({"exitCode": 0, "reason": "Completed"}))
}

fn sidecar(mut status: Value) -> Value {
    status["sidecar"] = true.into();
    status
}

fn restarted(mut status: Value, count: u32, finished: &str) -> Value {
    status["restartCount"] = count.into();
    status["lastState"] = json!({"terminated": {"exitCode": 1, "finishedAt": finished}});
    status
}

#[test]
fn the_status_is_what_kubectl_derives_from_the_containers() {
    let code = |code: i32| json!({"exitCode": code});
    let signal = |signal: i32| json!({"exitCode": 128 + signal, "signal": signal});
    let crash = || json!({"exitCode": 1, "reason": "Error"});
    let two = [running("a"), running("b")];
    let not_yet = [waiting("a", "PodInitializing"), waiting("b", "PodInitializing")];
    let cases = [
        (pod("Running", &[], &two), "2/2", "Running"),
        (pod("Pending", &[], &[]), "0/0", "Pending"),
        (
            pod("Pending", &[], &[waiting("a", "ContainerCreating"), waiting("b", "ContainerCreating")]),
            "0/2",
            "ContainerCreating",
        ),
        (
            pod("Pending", &[], &[waiting("a", "ErrImagePull"), waiting("b", "ContainerCreating")]),
            "0/2",
            "ErrImagePull",
        ),
        (pod("Running", &[], &[running("a"), waiting("b", "CrashLoopBackOff")]), "1/2", "CrashLoopBackOff"),
        (pod("Running", &[], &[waiting("a", ""), running("b")]), "1/2", "Running"),
        (pod("Succeeded", &[], &[completed("a"), completed("b")]), "0/2", "Completed"),
        (pod("Running", &[], &[completed("a"), running("b")]), "1/2", "NotReady"),
        (pod("Failed", &[], &[ended("a", crash()), completed("b")]), "0/2", "Error"),
        (
            pod(
                "Failed",
                &[],
                &[ended("a", json!({"exitCode": 137, "reason": "OOMKilled"})), completed("b")],
            ),
            "0/2",
            "OOMKilled",
        ),
        (pod("Failed", &[], &[ended("a", code(3)), completed("b")]), "0/2", "ExitCode:3"),
        (pod("Failed", &[], &[ended("a", signal(9)), completed("b")]), "0/2", "Signal:9"),
        (
            pod("Pending", &[waiting("i", "PodInitializing"), waiting("j", "PodInitializing")], &not_yet),
            "0/2",
            "Init:0/2",
        ),
        (pod("Pending", &[completed("i"), running("j")], &not_yet), "0/2", "Init:1/2"),
        (pod("Pending", &[waiting("i", "CrashLoopBackOff")], &not_yet), "0/2", "Init:CrashLoopBackOff"),
        (pod("Pending", &[waiting("i", "ImagePullBackOff")], &not_yet), "0/2", "Init:ImagePullBackOff"),
        (pod("Failed", &[ended("i", crash())], &not_yet), "0/2", "Init:Error"),
        (pod("Failed", &[ended("i", code(7))], &not_yet), "0/2", "Init:ExitCode:7"),
        (pod("Failed", &[ended("i", signal(15))], &not_yet), "0/2", "Init:Signal:15"),
        (pod("Pending", &[completed("i")], &not_yet), "0/2", "PodInitializing"),
        (pod("Running", &[sidecar(running("s"))], &two), "3/3", "Running"),
        (
            pod("Pending", &[sidecar(running("s")), waiting("i", "PodInitializing")], &not_yet),
            "1/3",
            "Init:1/2",
        ),
        (with(pod("Failed", &[], &two), "/status", "reason", json!("Evicted")), "2/2", "Evicted"),
        (
            with(
                pod("Pending", &[], &[]),
                "/status",
                "conditions",
                json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            ),
            "0/0",
            "SchedulingGated",
        ),
        (
            with(
                pod("Running", &[], &[completed("a"), running("b")]),
                "/status",
                "conditions",
                json!([{"type": "Ready", "status": "True"}]),
            ),
            "1/2",
            "Running",
        ),
    ];
    for (pod, ready, status) in cases {
        assert_eq!(row(pod.clone())[..2], [ready, status], "{pod}");
    }
}

#[test]
fn a_pod_that_is_to_go_is_terminating_until_it_has_ended() {
    let going = |pod: Value| {
        let mut pod = pod;
        pod["metadata"] = json!({"deletionTimestamp": "2026-01-02T03:09:00Z"});
        pod
    };
    assert_eq!(row(going(pod("Running", &[], &[running("a")])))[1], "Terminating");
    assert_eq!(row(going(pod("Pending", &[waiting("i", "PodInitializing")], &[])))[1], "Terminating");
    assert_eq!(row(going(pod("Succeeded", &[], &[completed("a")])))[1], "Completed");
    let lost = with(pod("Running", &[], &[running("a")]), "/status", "reason", json!("NodeLost"));
    assert_eq!(row(going(lost))[1], "Unknown");
}

#[test]
fn restarts_are_counted_of_what_is_shown_and_dated_by_the_last() {
    let early = "2026-01-02T03:00:00Z";
    let late = "2026-01-02T03:07:00Z";
    let two = [restarted(running("a"), 3, early), restarted(running("b"), 1, late)];
    assert_eq!(row(pod("Running", &[], &two))[2], "4 (3m ago)");
    // Those of init containers count only while these are what happens.
    let init = restarted(waiting("i", "CrashLoopBackOff"), 2, late);
    assert_eq!(row(pod("Pending", &[init], &[waiting("a", "PodInitializing")]))[2], "2 (3m ago)");
    let done = restarted(completed("i"), 2, early);
    assert_eq!(row(pod("Running", &[done], &[running("a")]))[2], "0");
    let helper = sidecar(restarted(running("s"), 1, early));
    assert_eq!(row(pod("Running", &[helper], &[running("a")]))[2], "1 (10m ago)");
}

#[test]
fn ages_are_told_as_kubectl_tells_them() {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let cases = [
        (0, "0s"),
        (1, "1s"),
        (119, "119s"),
        (2 * MINUTE, "2m"),
        (2 * MINUTE + 1, "2m1s"),
        (9 * MINUTE + 59, "9m59s"),
        (10 * MINUTE + 59, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (7 * HOUR + 59 * MINUTE, "7h59m"),
        (8 * HOUR + 59 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (7 * DAY + 23 * HOUR, "7d23h"),
        (8 * DAY + 23 * HOUR, "8d"),
        (2 * 365 * DAY - 1, "729d"),
        (2 * 365 * DAY, "2y"),
        (2 * 365 * DAY + DAY, "2y1d"),
        (8 * 365 * DAY + DAY, "8y"),
    ];
    for (seconds, text) in cases {
        assert_eq!(age(Duration::from_secs(seconds)), text, "{seconds}");
    }
}
