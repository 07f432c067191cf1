mod conditions;
mod edit;
mod file;
mod rest;

use std::sync::Arc;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::desired::{Blocked, Waiting};
use crate::model::id::{PodId, Uid};
use crate::model::object::{Deletion, ObjectKey, ObjectRecord, Source};
use crate::model::pod_plan::{Revision, Role};
use crate::model::record::{Conditions, ContainerRecord, ContainerState, Exit, FORMAT, SandboxState};

const HOST: &str = "192.0.2.1";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn known(kind: &str, name: &str, authored: Value) -> Known {
    let object = match kind {
        "Pod" => Object::Pod(serde_json::from_value(authored.clone()).unwrap()),
        "ConfigMap" => Object::ConfigMap(serde_json::from_value(authored.clone()).unwrap()),
        "Secret" => Object::Secret(serde_json::from_value(authored.clone()).unwrap()),
        kind => Object::Unserved {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            metadata: Box::new(serde_json::from_value(authored["metadata"].clone()).unwrap()),
        },
    };
    let key = ObjectKey {
        group: String::new(),
        kind: kind.to_owned(),
        namespace: "default".to_owned(),
        name: name.to_owned(),
    };
    let record = ObjectRecord {
        format: FORMAT,
        uid: Uid::from_random([1; 16]),
        key,
        source: Source { root: PathBuf::from("/pods"), path: PathBuf::from("web.yaml") },
        authored: authored.into(),
        generation: 2,
        created_at: at(0),
        deletion: None,
        owner: None,
    };
    Known { record, object: object.into() }
}

fn container(name: &str) -> Value {
    json!({"name": name, "image": "web:1"})
}

fn pod(init: &[Value], containers: &[Value]) -> Known {
    let spec = json!({"initContainers": init, "containers": containers});
    known("Pod", "web", json!({"metadata": {"name": "web"}, "spec": spec}))
}

fn web() -> Known {
    pod(&[], &[container("c")])
}

fn running() -> ContainerState {
    ContainerState::Running { pid: 9, since: at(2) }
}

fn exit(code: i32, reason: &str) -> Exit {
    Exit {
        code,
        signal: None,
        reason: reason.to_owned(),
        message: String::new(),
        started_at: Some(at(2)),
        finished_at: at(5),
    }
}

fn ended(code: i32, reason: &str) -> ContainerState {
    ContainerState::Terminated(exit(code, reason))
}

fn waiting(reason: &str) -> ContainerState {
    ContainerState::Waiting { reason: reason.to_owned(), message: String::new() }
}

fn entry(name: &str, role: Role, state: ContainerState) -> ContainerRecord {
    let runs = matches!(state, ContainerState::Running { .. });
    ContainerRecord {
        name: name.to_owned(),
        role,
        image: "web:1".to_owned(),
        image_id: "sha256:abc".to_owned(),
        state,
        last: None,
        restart_count: 0,
        started: runs,
        ready: runs,
    }
}

/// Its conditions have turned in the third second, those of its end in the fifth.
fn record(containers: Vec<ContainerRecord>) -> PodRecord {
    noted(unnoted(containers), at(3))
}

fn noted(mut record: PodRecord, now: Timestamp) -> PodRecord {
    let mut conditions = record.conditions.take().unwrap_or_else(|| Conditions::unmet(at(1)));
    conditions.follow(&record, now);
    PodRecord { conditions: Some(conditions), ..record }
}

fn unnoted(containers: Vec<ContainerRecord>) -> PodRecord {
    PodRecord {
        format: FORMAT,
        binary: "0.1.0".to_owned(),
        id: PodId { namespace: "default".to_owned(), name: "web".to_owned(), uid: Uid::from_random([1; 16]) },
        revision: Revision { pod: String::new(), live: String::new() },
        shim_pid: 8,
        address: Some("10.77.0.2".parse().unwrap()),
        started_at: at(1),
        sandbox: SandboxState::Ready,
        containers,
        stopping: None,
        outcome: None,
        conditions: None,
        events: Vec::new(),
    }
}

fn course(containers: Vec<ContainerRecord>) -> Course {
    Course { record: Some(record(containers).into()), ..Course::default() }
}

fn finished(outcome: Outcome, containers: Vec<ContainerRecord>) -> Course {
    let record = PodRecord { outcome: Some(outcome.clone()), ..record(containers) };
    let finished = Finished { outcome, record: noted(record, at(5)) };
    Course { finished: Some(finished.into()), ..Course::default() }
}

fn stopped(containers: Vec<ContainerRecord>) -> Course {
    let record = PodRecord { outcome: Some(Outcome::Interrupted), ..record(containers) };
    let interrupted = Interrupted { at: at(9), record: Some(noted(record, at(5))) };
    Course { interrupted: Some(interrupted.into()), ..Course::default() }
}

#[test]
fn a_pod_that_was_stopped_is_pending_and_tells_how_its_containers_ended() {
    let course = stopped(vec![entry("c", Role::App, ended(143, "Error"))]);
    let Object::Pod(pod) = Arc::unwrap_or_clone(web().object) else { panic!("it is a pod") };
    let status = pod_status(&pod, &course, HOST);
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Pending"), Some("Stopped")));
    let app = &status.container_statuses.as_deref().unwrap()[0];
    assert_eq!(app.state.as_ref().unwrap().waiting.as_ref().unwrap().reason.as_deref(), Some("Stopped"));
    let last = app.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((last.exit_code, app.ready, status.pod_ip), (143, false, None));
}

fn held(why: Blocked) -> Course {
    let id = record(Vec::new()).id;
    Course { waiting: Some(WaitingRecord { id, why, since: at(0) }), ..Course::default() }
}

fn blocked(container: &str, reason: &str, message: &str) -> Course {
    let why = Waiting::passing(reason, message.to_owned());
    held(Blocked { containers: BTreeMap::from([(container.to_owned(), why)]), pod: None })
}

fn seen(known: &Known, course: &Course) -> Pod {
    serde_json::from_value(full_object(known, course, HOST)).unwrap()
}

/// STATUS, READY and RESTARTS.
fn row(known: &Known, course: &Course) -> (String, String, String) {
    let pod = seen(known, course);
    (status_word(&pod), ready_column(&pod), restarts_column(&pod, at(15)))
}

fn phase(known: &Known, course: &Course) -> String {
    seen(known, course).status.unwrap().phase.unwrap()
}

#[test]
fn the_columns_are_those_of_kubectl() {
    let app = |state| course(vec![entry("c", Role::App, state)]);
    let crash = || {
        let mut container = entry("c", Role::App, waiting("CrashLoopBackOff"));
        (container.last, container.restart_count) = (Some(exit(1, "Error")), 3);
        course(vec![container])
    };
    let failed = |reason: &str| Outcome::Failed { reason: reason.to_owned(), message: String::new() };
    let lost = || Course { lost: true, ..app(running()) };
    let full = Waiting::passing("OutOfpods", "full".to_owned());
    let cases = [
        ("Pending", "ContainerCreating", "0/1", "0", Course::default()),
        ("Pending", "ImagePullBackOff", "0/1", "0", blocked("c", "ImagePullBackOff", "")),
        ("Pending", "OutOfpods", "0/1", "0", held(Blocked { containers: BTreeMap::new(), pod: Some(full) })),
        ("Running", "Running", "1/1", "0", app(running())),
        ("Running", "CrashLoopBackOff", "0/1", "3 (10s ago)", crash()),
        ("Running", "Error", "0/1", "0", app(ended(1, "Error"))),
        (
            "Succeeded",
            "Completed",
            "0/1",
            "0",
            finished(Outcome::Succeeded, vec![entry("c", Role::App, ended(0, "Completed"))]),
        ),
        (
            "Failed",
            "OOMKilled",
            "0/1",
            "0",
            finished(failed(""), vec![entry("c", Role::App, ended(137, "OOMKilled"))]),
        ),
        ("Failed", "ExitCode:3", "0/1", "0", finished(failed(""), vec![entry("c", Role::App, ended(3, ""))])),
        (
            "Failed",
            "Error",
            "0/1",
            "0",
            finished(failed("DeadlineExceeded"), vec![entry("c", Role::App, ended(137, "Error"))]),
        ),
        ("Unknown", "Unknown", "0/1", "0", lost()),
    ];
    for (in_phase, word, ready, restarts, course) in cases {
        let row = row(&web(), &course);
        assert_eq!(row, (word.to_owned(), ready.to_owned(), restarts.to_owned()), "{course:?}");
        assert_eq!(phase(&web(), &course), in_phase, "{course:?}");
    }
}

#[test]
fn init_containers_have_the_word_until_they_are_done() {
    let sidecar = json!({"name": "s", "image": "web:1", "restartPolicy": "Always"});
    let pod = pod(&[container("i"), sidecar], &[container("c")]);
    let with = |init: ContainerState, sidecar: ContainerState, app: ContainerState| {
        let containers = vec![
            entry("i", Role::Init, init),
            entry("s", Role::Sidecar, sidecar),
            entry("c", Role::App, app),
        ];
        course(containers)
    };
    let initializing = || waiting("PodInitializing");
    let cases = [
        ("Pending", "Init:0/2", "0/2", with(running(), initializing(), initializing())),
        ("Pending", "Init:Error", "0/2", with(ended(1, "Error"), initializing(), initializing())),
        (
            "Pending",
            "Init:CrashLoopBackOff",
            "0/2",
            with(waiting("CrashLoopBackOff"), initializing(), initializing()),
        ),
        ("Pending", "Init:1/2", "0/2", with(ended(0, "Completed"), initializing(), initializing())),
        ("Pending", "PodInitializing", "1/2", with(ended(0, "Completed"), running(), initializing())),
        ("Running", "Running", "2/2", with(ended(0, "Completed"), running(), running())),
    ];
    for (in_phase, word, ready, course) in cases {
        assert_eq!(row(&pod, &course), (word.to_owned(), ready.to_owned(), "0".to_owned()), "{course:?}");
        assert_eq!(phase(&pod, &course), in_phase, "{course:?}");
    }
}

#[test]
fn one_of_two_containers_done_leaves_the_pod_running_but_not_ready() {
    let pod = pod(&[], &[container("c"), container("d")]);
    let course = course(vec![entry("c", Role::App, ended(0, "Completed")), entry("d", Role::App, running())]);
    assert_eq!(row(&pod, &course), ("NotReady".to_owned(), "1/2".to_owned(), "0".to_owned()));
    assert_eq!(phase(&pod, &course), "Running");
}

#[test]
fn a_pod_to_go_is_terminating_until_its_grace_is_over() {
    let mut web = web();
    web.record.deletion = Some(Deletion { at: at(10), grace: None });
    let course = course(vec![entry("c", Role::App, running())]);
    assert_eq!(row(&web, &course).0, "Terminating");
    let metadata = seen(&web, &course).metadata;
    assert_eq!(metadata.deletion_timestamp, Some(Time(at(40))));
    assert_eq!(metadata.deletion_grace_period_seconds, Some(30));
}

#[test]
fn ages_are_written_as_kubectl_writes_them() {
    let (minute, hour, day) = (60, 3600, 86400);
    let cases = [
        (0, "0s"),
        (119, "119s"),
        (2 * minute, "2m"),
        (2 * minute + 3, "2m3s"),
        (10 * minute + 3, "10m"),
        (179 * minute, "179m"),
        (3 * hour, "3h"),
        (5 * hour + 7 * minute, "5h7m"),
        (9 * hour + 7 * minute, "9h"),
        (47 * hour, "47h"),
        (3 * day + 4 * hour, "3d4h"),
        (8 * day + 4 * hour, "8d"),
        (729 * day, "729d"),
        (731 * day, "2y1d"),
        (9 * 365 * day, "9y"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(age(Duration::from_secs(seconds)), expected);
    }
}

#[test]
fn a_secret_is_shown_encoded_when_asked_for_in_full() {
    let secret = known("Secret", "s", json!({"metadata": {"name": "s"}, "stringData": {"password": "hush"}}));
    let full = full_object(&secret, &Course::default(), HOST);
    assert_eq!(full["data"], json!({"password": "aHVzaA=="}));
    assert_eq!(full["stringData"], Value::Null);
    assert_eq!(full["kind"], "Secret");
    assert_eq!(full["metadata"]["uid"], "01010101-0101-4101-8101-010101010101");
}
