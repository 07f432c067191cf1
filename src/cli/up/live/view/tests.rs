use std::sync::Arc;

use super::super::super::facts::tests::{container, ended, pod};
use super::*;
use crate::model::desired::{Blocked, Cause, Waiting};
use crate::model::observed::PullError;
use crate::model::pod_plan::Role;
use crate::model::record::{ContainerRecord, ContainerState, Exit, Outcome, WaitingRecord};
use crate::model::time::Timestamp;
use crate::status::Course;

const WIDE: Size = Size { columns: 80, rows: 40 };

/// Seconds after the beginning.
fn at(seconds: u64) -> Now {
    let wall = Timestamp::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap();
    Now { wall, boot: Moment(Duration::from_secs(seconds)) }
}

fn view() -> View {
    View::new("default".into(), at(0))
}

fn of_pod(name: &str, course: Course) -> News {
    News::Pod(Box::new(Progress { pod: pod(name, None, Course::default()).pod, word: String::new(), course }))
}

fn with(states: &[(ContainerState, Option<Exit>)]) -> Course {
    let containers = states.iter().enumerate().map(|(number, (state, last))| ContainerRecord {
        state: state.clone(),
        last: last.clone(),
        restart_count: last.is_some().into(),
        ..container(&format!("c{number}"), Role::App, 0)
    });
    let mut course = ended(Outcome::Succeeded, containers.collect());
    if let Some(record) = &mut course.record {
        Arc::make_mut(record).outcome = None;
    }
    course
}

fn waiting(cause: Cause, reason: &str, message: &str) -> Course {
    let id = pod("x", None, Course::default()).pod;
    let why = Waiting { reason: reason.into(), message: message.into(), cause };
    let why = Blocked { containers: BTreeMap::from([("main".into(), why)]), pod: None };
    Course { waiting: Some(WaitingRecord { id, why, since: at(2).wall }), ..Course::default() }
}

fn running() -> ContainerState {
    ContainerState::Running { pid: 1, since: at(1).wall }
}

fn drawn(view: &View, seconds: u64, size: Size) -> String {
    view.render(at(seconds), size, Color::Plain).join("\n")
}

#[test]
fn what_goes_on_is_told_with_its_time() {
    let mut view = view();
    let creating = ContainerState::Waiting { reason: "ContainerCreating".into(), message: String::new() };
    let rest = "back-off 20s restarting failed container=c0 pod=x".into();
    let resting = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: rest };
    let exit = Exit { code: 3, reason: "Error".into(), ..lasted(at(5)) };
    let key = ObjectKey {
        group: "batch".into(),
        kind: "Job".into(),
        namespace: "default".into(),
        name: "tests".into(),
    };
    let nightly = ObjectKey { kind: "CronJob".into(), name: "nightly".into(), ..key.clone() };
    let crons = vec![
        CronStanding { next: Some(at(102).wall), key: nightly.clone() },
        CronStanding { next: None, key: ObjectKey { namespace: "other".into(), ..nightly } },
    ];
    let retry = Some(Retry { due: at(19).boot, number: Some(1), limit: 6 });
    let jobs = vec![JobStanding { key, succeeded: 3, failed: 1, completions: Some(5), retry }];
    let error = PullError {
        message: "no route\nto host".into(),
        tries: 2,
        outlook: crate::model::observed::Outlook::MayPass,
    };
    let failed = ImageStanding::Failed { error, retry_at: at(19).boot };
    let images = BTreeMap::from([
        ("a.example/web:1".into(), ImageStanding::Coming),
        ("b.example/db:2".into(), failed),
    ]);
    for news in [
        News::Whole(Standing { jobs, crons, images }),
        of_pod("runs", with(&[(running(), None)])),
        of_pod("starts", with(&[(creating, None)])),
        of_pod("crashes", with(&[(resting, Some(exit))])),
        of_pod("lacks", waiting(Cause::Manifest, "CreateContainerConfigError", "configmap \"x\" not found")),
        of_pod("pulls", waiting(Cause::Pull, "ErrImagePull", "no route")),
        of_pod("is-over", ended(Outcome::Succeeded, Vec::new())),
        of_pod("is-over", ended(Outcome::Succeeded, Vec::new())),
    ] {
        view.hear(&news, at(6));
    }
    let expected = "\
job/tests              3/5 done, 1 failed, tries again in 7s (1 of 6)
a.example/web:1        pulling, 6s
b.example/db:2         not pulled, again in 7s: no route...
cronjob/nightly        next in 90s
cronjob/other/nightly  suspended
lacks                  waits, 10s: configmap \"x\" not found
crashes                c0 exited with 3, again in 13s; 1 restart
starts                 starting, 12s
1 running, 1 starting, 2 waiting, 1 resting, 1 ended, 12s";
    assert_eq!(drawn(&view, 12, WIDE), expected);
}

fn lasted(end: Now) -> Exit {
    let known = container("main", Role::App, 0);
    let ContainerState::Terminated(exit) = known.state else { panic!("it has ended") };
    Exit { finished_at: end.wall, ..exit }
}

#[test]
fn it_takes_a_third_of_the_height_and_no_line_is_too_long() {
    let mut view = view();
    for number in 0..20 {
        view.hear(&of_pod(&format!("pod-{number:02}"), Course::default()), at(0));
    }
    let lines = view.render(at(1), Size { columns: 24, rows: 12 }, Color::Plain);
    assert_eq!(lines, ["pod-00  starting", "pod-01  starting", "… and 18 more", "20 starting, 1s"]);
    let long = "l".repeat(60);
    view.hear(&of_pod(&long, waiting(Cause::Manifest, "Reason", &"m".repeat(200))), at(0));
    for columns in [1, 10, 24, 80, 200] {
        for color in [Color::Plain, Color::Coloured] {
            let lines = view.render(at(1), Size { columns, rows: 60 }, color);
            assert!(lines.iter().all(|line| width(line) < columns.max(2)), "{columns}: {lines:#?}");
        }
    }
}

#[test]
fn what_is_due_is_due_now() {
    let mut view = view();
    let rest = "back-off 10s restarting failed container=c0 pod=x".into();
    let resting = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: rest };
    view.hear(&of_pod("web", with(&[(running(), None), (resting, Some(lasted(at(0))))])), at(0));
    assert_eq!(drawn(&view, 4, WIDE), "web  c1 exited with 0, again in 6s; 1 restart\n1 resting, 4s");
    assert_eq!(drawn(&view, 60, WIDE), "web  c1 exited with 0, again now; 1 restart\n1 resting, 60s");
    view.hear(&of_pod("web", with(&[(running(), None), (running(), Some(lasted(at(0))))])), at(61));
    assert_eq!(drawn(&view, 61, WIDE), "1 running, 61s");
}

#[test]
fn a_long_image_keeps_its_end_and_another_name_its_beginning() {
    let mut view = view();
    let images = BTreeMap::from([("registry.example/team/long-name:1.2.3".into(), ImageStanding::Coming)]);
    view.hear(&News::Whole(Standing { images, ..Standing::default() }), at(0));
    view.hear(&of_pod("a-pod-with-a-long-name", Course::default()), at(0));
    let shown = drawn(&view, 1, Size { columns: 46, rows: 40 });
    assert_eq!(shown, "…ong-name:1.2.3  pulling, 1s\na-pod-with-a-l…  starting\n1 starting, 1s");
}
