//! One line for how a pod ended.

use crate::daemon::JobReport;
use crate::model::job::Ending;
use crate::model::pod_plan::Role;
use crate::model::record::{ContainerRecord, ContainerState, Exit, Outcome, PodRecord};
use crate::status::Course;

fn record(course: &Course) -> Option<&PodRecord> {
    course.finished.as_ref().map(|finished| &finished.record).or(course.record.as_ref())
}

fn outcome(course: &Course) -> Option<&Outcome> {
    let finished = course.finished.as_ref().map(|finished| &finished.outcome);
    finished.or_else(|| record(course)?.outcome.as_ref())
}

pub(super) fn has_failed(course: &Course) -> bool {
    course.lost || matches!(outcome(course), Some(Outcome::Failed { .. }))
}

pub(super) fn line(course: &Course) -> String {
    if let (None, Some(waiting)) = (record(course), &course.waiting) {
        let why = waiting.why.containers.values().chain(&waiting.why.pod).next();
        return why.map_or_else(
            || "not started".to_owned(),
            |why| format!("not started, {}: {}", why.reason, why.message),
        );
    }
    match outcome(course) {
        Some(Outcome::Succeeded) => "Succeeded".to_owned(),
        Some(Outcome::Failed { reason, message }) => {
            let words: Vec<&str> =
                [reason, message].map(String::as_str).into_iter().filter(|w| !w.is_empty()).collect();
            let said = if words.is_empty() { String::new() } else { format!(", {}", words.join(": ")) };
            format!("Failed{said}{}", failures(course))
        }
        Some(Outcome::Deleted | Outcome::Interrupted) => format!("stopped{}", failures(course)),
        None if course.lost => "lost: its process has gone".to_owned(),
        // It was told to stop, and its directory is gone with its last words.
        None => "stopped".to_owned(),
    }
}

pub(super) fn job_has_failed(job: &JobReport) -> bool {
    job.verdict.as_ref().is_some_and(|verdict| verdict.reason.ending() == Ending::Failure)
}

pub(super) fn job_line(job: &JobReport) -> String {
    let counts = format!("{} succeeded, {} failed", job.succeeded, job.failed);
    match &job.verdict {
        Some(verdict) => match verdict.reason.ending() {
            Ending::Success => format!("Complete; {counts}"),
            Ending::Failure => format!("Failed, {}: {}; {counts}", verdict.reason.word(), verdict.message),
        },
        None => format!("not ended; {counts}"),
    }
}

/// `; main exited with 3 (Error)` for each container that did not succeed.
fn failures(course: &Course) -> String {
    let Some(record) = record(course) else { return String::new() };
    let failed = record.containers.iter().filter_map(|container| match end(container) {
        Some(Exit { code, reason, .. }) if *code != 0 => {
            Some(format!("; {} exited with {code} ({reason})", container.name))
        }
        Some(_) | None => None,
    });
    failed.collect()
}

fn end(container: &ContainerRecord) -> Option<&Exit> {
    match &container.state {
        ContainerState::Terminated(exit) => Some(exit),
        ContainerState::Waiting { .. } | ContainerState::Running { .. } => container.last.as_ref(),
    }
}

/// Of the named container; with none named, of the first app container that failed, else of the first.
pub(super) fn exit_code(course: &Course, container: Option<&str>) -> Option<i32> {
    let mut ends = record(course)?
        .containers
        .iter()
        .filter(|one| container.map_or(one.role == Role::App, |name| one.name == name))
        .filter_map(|one| end(one).map(|exit| exit.code));
    let first = ends.next()?;
    Some(if first == 0 { ends.find(|code| *code != 0).unwrap_or(0) } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{PodId, Uid};
    use crate::model::pod_plan::Revision;
    use crate::model::record::{FORMAT, SandboxState};
    use crate::model::time::Timestamp;

    fn container(name: &str, role: Role, code: i32) -> ContainerRecord {
        let exit = Exit {
            code,
            signal: None,
            reason: if code == 0 { "Completed" } else { "Error" }.into(),
            message: String::new(),
            started_at: None,
            finished_at: Timestamp::UNIX_EPOCH,
        };
        ContainerRecord {
            name: name.into(),
            role,
            image: String::new(),
            image_id: String::new(),
            state: ContainerState::Terminated(exit),
            last: None,
            restart_count: 0,
            started: false,
            ready: false,
        }
    }

    fn ended(outcome: Outcome, containers: Vec<ContainerRecord>) -> Course {
        let uid = Uid::from_random([1; 16]);
        let record = PodRecord {
            format: FORMAT,
            binary: String::new(),
            id: PodId { namespace: "default".into(), name: "job".into(), uid },
            revision: Revision { pod: String::new(), live: String::new() },
            shim_pid: 1,
            address: None,
            started_at: Timestamp::UNIX_EPOCH,
            sandbox: SandboxState::Ready,
            containers,
            stopping: None,
            outcome: Some(outcome),
            events: Vec::new(),
        };
        Course { record: Some(record), ..Course::default() }
    }

    #[test]
    fn a_failed_pod_names_the_container_that_failed() {
        let failed = Outcome::Failed { reason: String::new(), message: String::new() };
        let course = ended(failed, vec![container("a", Role::App, 0), container("b", Role::App, 3)]);
        assert_eq!(line(&course), "Failed; b exited with 3 (Error)");
        assert!(has_failed(&course));
    }

    #[test]
    fn the_exit_code_is_that_of_the_program_which_failed() {
        let containers = vec![
            container("setup", Role::Init, 0),
            container("a", Role::App, 0),
            container("b", Role::App, 7),
        ];
        let course = ended(Outcome::Succeeded, containers);
        assert_eq!(exit_code(&course, None), Some(7));
        assert_eq!(exit_code(&course, Some("a")), Some(0));
        assert_eq!(exit_code(&course, Some("setup")), Some(0));
        assert_eq!(exit_code(&course, Some("absent")), None);
        assert_eq!(line(&course), "Succeeded");
    }
}
