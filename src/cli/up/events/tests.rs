use std::sync::Arc;

use super::super::facts::tests::{container, ended, pod};
use super::*;
use crate::model::pod_plan::Role;
use crate::model::record::Outcome;
use crate::status::Course;

fn progress(word: &str, course: Course) -> Progress {
    Progress { pod: pod("web", None, Course::default()).pod, word: word.into(), course }
}

fn exit(code: i32) -> Exit {
    let known = container("main", Role::App, code);
    Exit { started_at: Some(Timestamp::UNIX_EPOCH), ..facts::end(&known).unwrap().clone() }
}

fn with(state: ContainerState, last: Option<Exit>, restart_count: u32) -> Course {
    let known = ContainerRecord { state, last, restart_count, ..container("main", Role::App, 0) };
    let mut course = ended(Outcome::Succeeded, vec![known]);
    if let Some(record) = &mut course.record {
        Arc::make_mut(record).outcome = None;
    }
    course
}

/// Kind, run and exit code of each event, of steps that come each by itself.
fn told(steps: &[Progress], past: Past<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let mut events = Events::new(&mut out);
    for step in steps {
        tell(&mut events, std::slice::from_ref(step), past);
    }
    fields(out)
}

/// Of steps that come together, as the onlooker tells them.
fn tell(events: &mut Events<&mut Vec<u8>>, steps: &[Progress], past: Past<'_>) {
    steps.iter().for_each(|step| events.starts(step, Timestamp::UNIX_EPOCH, past).unwrap());
    for step in steps {
        assert_eq!(events.ends(step, Timestamp::UNIX_EPOCH, past, &|_, _| true).unwrap(), Left::Nothing);
    }
}

fn fields(out: Vec<u8>) -> Vec<String> {
    let lines = String::from_utf8(out).unwrap();
    let fields = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = ["type", "status", "run", "exitCode"].iter().filter_map(|name| line.get(name));
        fields.map(|value| value.to_string().replace('"', "")).collect::<Vec<_>>().join(" ")
    };
    lines.lines().map(fields).collect()
}

#[test]
fn each_start_and_each_end_is_told_once() {
    let running =
        |run, last| with(ContainerState::Running { pid: 1, since: Timestamp::UNIX_EPOCH }, last, run);
    let resting = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: String::new() };
    let steps = [
        progress("Running", running(0, None)),
        progress("Running", running(0, None)),
        progress("Running", running(1, Some(exit(3)))),
        progress("CrashLoopBackOff", with(resting, Some(exit(4)), 1)),
        progress("Running", running(2, Some(exit(4)))),
        progress("Completed", with(ContainerState::Terminated(exit(0)), Some(exit(4)), 2)),
    ];
    let expected = [
        "status Running",
        "started 0",
        "started 1",
        "exited 0 3",
        "status CrashLoopBackOff",
        "exited 1 4",
        "status Running",
        "started 2",
        "status Completed",
        "exited 2 0",
    ];
    assert_eq!(told(&steps, &|_, _, _| None), expected);
}

#[test]
fn steps_that_come_together_are_told_in_their_order() {
    let running = ContainerState::Running { pid: 1, since: Timestamp::UNIX_EPOCH };
    let waiting = ContainerState::Waiting { reason: "ContainerCreating".into(), message: String::new() };
    let mut end = with(ContainerState::Terminated(exit(3)), None, 0);
    if let Some(record) = &mut end.record {
        Arc::make_mut(record).outcome = Some(Outcome::Succeeded);
    }
    let steps = [
        progress("ContainerCreating", with(waiting, None, 0)),
        progress("Running", with(running, None, 0)),
        progress("Error", end),
    ];
    let mut out = Vec::new();
    tell(&mut Events::new(&mut out), &steps, &|_, _, _| None);
    let expected = ["status ContainerCreating", "status Running", "started 0", "exited 0 3", "status Error"];
    assert_eq!(fields(out), expected);
}

#[test]
fn a_life_that_nobody_saw_is_told_from_its_record() {
    let step = progress("Completed", with(ContainerState::Terminated(exit(0)), Some(exit(5)), 2));
    let past = |_: &PodId, _: &str, run: u32| (run == 0).then(|| exit(7));
    let runs: Vec<String> =
        told(&[step], &past).into_iter().filter(|line| line.starts_with("exited")).collect();
    assert_eq!(runs, ["exited 0 7", "exited 1 5", "exited 2 0"]);
}

#[test]
fn words_and_fields_are_those_that_programs_know() {
    let mut out = Vec::new();
    let mut events = Events::new(&mut out);
    let line = Line { text: b"a \"b\" \xff".to_vec(), ..line(0) };
    events.log(&origin(), &line, &|_, _, _| None).unwrap();
    let report = BatchReport {
        pods: vec![pod("web", None, ended(Outcome::Succeeded, vec![container("main", Role::App, 0)]))],
        ..BatchReport::default()
    };
    events.finish(BatchEnd::Completed, &report, Code::Done, Timestamp::UNIX_EPOCH).unwrap();
    let expected = r#"{"type":"started","time":"1970-01-01T00:00:00Z","namespace":"default","pod":"web","container":"main","run":0}
{"type":"log","time":"1970-01-01T00:00:00Z","namespace":"default","pod":"web","container":"main","run":0,"stream":"stderr","line":"a \"b\" �"}
{"type":"exited","time":"1970-01-01T00:00:00Z","namespace":"default","pod":"web","container":"main","run":0,"exitCode":0,"reason":"Completed"}
{"type":"summary","time":"1970-01-01T00:00:00Z","end":"completed","exitCode":0,"jobs":[],"pods":[{"namespace":"default","pod":"web","result":"Succeeded","exitCode":0,"restarts":0}]}
"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

fn origin() -> Origin {
    Origin { pod: pod("web", None, Course::default()).pod, container: "main".into() }
}

fn line(run: u32) -> Line {
    let (time, stream, extent) = (Timestamp::UNIX_EPOCH, Stream::Stderr, Extent::Full);
    Line { run, time, stream, extent, text: b"x".to_vec() }
}

#[test]
fn a_run_is_told_to_have_started_before_its_first_line() {
    let mut out = Vec::new();
    let mut events = Events::new(&mut out);
    // Of run 1 nothing is known: it may have failed to start.
    let begun = |_: &PodId, _: &str, run: u32| (run == 0).then_some(Timestamp::UNIX_EPOCH);
    events.log(&origin(), &line(2), &begun).unwrap();
    events.log(&origin(), &line(2), &begun).unwrap();
    let running = ContainerState::Running { pid: 1, since: Timestamp::UNIX_EPOCH };
    let step = progress("Running", with(running, Some(exit(3)), 2));
    tell(&mut events, &[step], &|_, _, _| None);
    assert_eq!(fields(out), ["started 0", "started 2", "log 2", "log 2", "status Running", "exited 1 3"]);
}

#[test]
fn an_end_waits_for_the_lines_before_it() {
    let mut out = Vec::new();
    let mut events = Events::new(&mut out);
    let step = progress("Completed", with(ContainerState::Terminated(exit(0)), Some(exit(5)), 1));
    let mut ends =
        |read: u32| events.ends(&step, Timestamp::UNIX_EPOCH, &|_, _, _| None, &|_, run| run < read).unwrap();
    assert_eq!([0, 1, 2].map(&mut ends), [Left::More, Left::More, Left::Nothing]);
    assert_eq!(fields(out), ["started 0", "exited 0 5", "started 1", "exited 1 0"]);
}
