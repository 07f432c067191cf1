//! Status files, whole.

use std::sync::Arc;

use super::*;
use crate::manifest::{IgnoredField, Mistake, Severity};
use crate::model::record::EventKind;

fn report<'a>(state: FileState, items: Vec<(&'a Known, &'a Course)>) -> FileReport<'a> {
    FileReport {
        name: "web.yaml",
        state,
        tense: Tense::Present,
        observed_hash: "sha256:1",
        applied_hash: "sha256:1",
        note: None,
        mistakes: &[],
        ignored: &[],
        items,
        host_ip: HOST,
    }
}

#[test]
fn the_status_file_of_a_running_pod() {
    let mut container = entry("c", Role::App, running());
    (container.last, container.restart_count) = (Some(exit(1, "Error")), 1);
    let mut course = course(vec![container]);
    let event = EventRecord {
        kind: EventKind::Warning,
        reason: "BackOff".to_owned(),
        message: "Back-off restarting failed container: yes".to_owned(),
        container: Some("c".to_owned()),
        count: 2,
        first: at(5),
        last: at(6),
    };
    Arc::make_mut(course.record.as_mut().unwrap()).events.push(event);
    let web = web();
    let secret = known("Secret", "s", json!({"metadata": {"name": "s"}, "stringData": {"password": "hush"}}));
    let nothing = Course::default();
    let text = render(&report(FileState::Applied, vec![(&secret, &nothing), (&web, &course)]));
    assert_eq!(text, include_str!("running.yaml"));
}

#[test]
fn the_status_file_of_an_invalid_manifest() {
    let mistake = |line: usize, field: &str, help: Option<&str>| Mistake {
        severity: Severity::Error,
        field: field.to_owned(),
        message: "unknown field".to_owned(),
        help: help.map(str::to_owned),
        labels: Vec::new(),
        line,
        column: 3,
    };
    let mistakes = [mistake(4, "spec.contianers", Some("did you mean `containers`?")), mistake(9, "", None)];
    let reason = "scheduling has no meaning on one machine".to_owned();
    let ignored = [IgnoredField { field: "spec.tolerations".to_owned(), reason, line: 7 }];
    let mut report = report(FileState::Invalid, Vec::new());
    (report.mistakes, report.ignored) = (&mistakes, &ignored);
    assert_eq!(render(&report), include_str!("invalid.yaml"));
}

#[test]
fn what_goes_on_beside_a_broken_edit_is_told_with_it() {
    let mistakes = [Mistake {
        severity: Severity::Error,
        field: String::new(),
        message: "unknown field".to_owned(),
        help: None,
        labels: Vec::new(),
        line: 4,
        column: 1,
    }];
    let (web, course) = (web(), course(vec![entry("c", Role::App, running())]));
    let mut report = report(FileState::Invalid, vec![(&web, &course)]);
    report.mistakes = &mistakes;
    let line = "  summary: 'invalid: 1 error; as before: 1 pod running'\n";
    assert!(render(&report).contains(line), "{}", render(&report));
}

#[test]
fn a_sandbox_that_cannot_be_made_is_told_with_its_reason() {
    let mut course = course(vec![entry("c", Role::App, waiting(""))]);
    Arc::make_mut(course.record.as_mut().unwrap()).sandbox =
        SandboxState::Failed { message: "/x is no directory".to_owned() };
    assert_eq!(summary_of(&web(), &course), "1 pod waiting (ContainerCreating: /x is no directory)");
    let status = seen(&web(), &course).status.unwrap();
    let state = status.container_statuses.unwrap()[0].state.clone().unwrap();
    assert_eq!(state.waiting.unwrap().message.as_deref(), Some("/x is no directory"));
    course.lost = true;
    assert_eq!(course.sandbox_trouble(), None);
}

#[test]
fn no_key_of_a_file_is_repeated_unless_it_looks_like_a_fields_name() {
    let mistake = |field: &str| Mistake {
        severity: Severity::Error,
        field: field.to_owned(),
        message: "unknown field".to_owned(),
        help: None,
        labels: Vec::new(),
        line: 1,
        column: 1,
    };
    let mistakes = [mistake("[AKIA hunter2!]"), mistake("metadata.labels[app.kubernetes.io/name]")];
    let mut report = report(FileState::Invalid, Vec::new());
    report.mistakes = &mistakes;
    let text = render(&report);
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("field: '[?]'\n"), "{text}");
    assert!(text.contains("field: metadata.labels[app.kubernetes.io/name]\n"), "{text}");
}

#[test]
fn a_line_for_a_person_sums_the_file_up() {
    let web = web();
    let up = course(vec![entry("c", Role::App, running())]);
    let pulling = blocked("c", "ImagePullBackOff", "");
    let done = finished(Outcome::Succeeded, vec![entry("c", Role::App, ended(0, "Completed"))]);
    let killed = Outcome::Failed { reason: "DeadlineExceeded".to_owned(), message: String::new() };
    let killed = finished(killed, Vec::new());
    let map = known("ConfigMap", "m", json!({"metadata": {"name": "m"}}));
    let nothing = Course::default();
    let other = known("Service", "s", json!({"metadata": {"name": "s"}}));
    let cases: [(Vec<(&Known, &Course)>, &str); 11] = [
        (vec![], "0 objects"),
        (vec![(&map, &nothing)], "1 object"),
        (vec![(&web, &up)], "1 pod running"),
        (vec![(&other, &nothing)], "1 object of a kind that is not served"),
        (vec![(&other, &nothing), (&other, &nothing)], "2 objects of kinds that are not served"),
        (vec![(&map, &nothing), (&other, &nothing)], "1 object; 1 object of a kind that is not served"),
        (vec![(&web, &up), (&other, &nothing)], "1 pod running; 1 object of a kind that is not served"),
        (vec![(&map, &nothing), (&web, &up), (&web, &up)], "2 pods running"),
        (vec![(&web, &up), (&web, &pulling)], "2 pods: 1 running, 1 waiting (ImagePullBackOff)"),
        (vec![(&web, &done)], "1 pod succeeded"),
        (vec![(&web, &killed)], "1 pod failed (DeadlineExceeded)"),
    ];
    for (items, summary) in cases {
        assert_eq!(summary_in(&report(FileState::Applied, items)), summary);
    }
}

fn summary_in(report: &FileReport<'_>) -> String {
    let text = render(report);
    let (_, rest) = text.split_once("summary: ").unwrap();
    let (folded, _) = rest.split_once("\n  errors:").unwrap();
    let line = folded.split_whitespace().collect::<Vec<_>>().join(" ");
    line.trim_matches('"').trim_matches('\'').to_owned()
}

pub(super) fn summary_of(known: &Known, course: &Course) -> String {
    summary_in(&report(FileState::Applied, vec![(known, course)]))
}

pub(super) fn summary_at_the_end(known: &Known, course: &Course) -> String {
    let report = report(FileState::Applied, vec![(known, course)]);
    summary_in(&FileReport { tense: Tense::Past, ..report })
}

#[test]
fn ten_events_of_a_pod_are_listed_the_last_ones() {
    let mut course = course(vec![entry("c", Role::App, running())]);
    let event = |number: i64| EventRecord {
        kind: EventKind::Normal,
        reason: format!("Event{number}"),
        message: String::new(),
        container: None,
        count: 1,
        first: at(number),
        last: at(number),
    };
    Arc::make_mut(course.record.as_mut().unwrap()).events = (0..15).map(event).collect();
    let web = web();
    let text = render(&report(FileState::Applied, vec![(&web, &course)]));
    let reasons: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("reason: Event")).collect();
    assert_eq!(reasons, ["5", "6", "7", "8", "9", "10", "11", "12", "13", "14"]);
}

#[test]
fn status_files_are_named_after_their_manifests() {
    let names = ["web.yaml", "web.yml", "web.json"].map(status_name);
    assert_eq!(names, ["web.status.yaml", "web.yml.status.yaml", "web.json.status.yaml"]);
}
