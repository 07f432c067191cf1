//! What became of pods and Jobs, in a word and a note.

use std::time::Duration;

use crate::daemon::JobReport;
use crate::model::job::Ending;
use crate::model::pod_plan::Role;
use crate::model::record::{ContainerRecord, ContainerState, Exit, Outcome};
use crate::model::time::Timestamp;
use crate::status::Course;

/// How a pod ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Succeeded,
    Failed,
    /// With the command, or by hand.
    Stopped,
    NotStarted,
    /// Its process has gone, and nobody knows how.
    Lost,
}

impl Fate {
    pub(super) fn word(self) -> &'static str {
        match self {
            Fate::Succeeded => "Succeeded",
            Fate::Failed => "Failed",
            Fate::Stopped => "stopped",
            Fate::NotStarted => "not started",
            Fate::Lost => "lost",
        }
    }
}

pub(super) fn fate(course: &Course) -> Fate {
    match course.outcome() {
        _ if course.record().is_none() && course.waiting.is_some() => Fate::NotStarted,
        Some(Outcome::Succeeded) => Fate::Succeeded,
        Some(Outcome::Failed { .. }) => Fate::Failed,
        Some(Outcome::Deleted | Outcome::Interrupted) => Fate::Stopped,
        None if course.lost => Fate::Lost,
        // It was told to stop, and its directory is gone with its last words.
        None => Fate::Stopped,
    }
}

pub(super) fn has_failed(course: &Course) -> bool {
    match fate(course) {
        Fate::Failed | Fate::Lost => true,
        Fate::Succeeded | Fate::Stopped | Fate::NotStarted => false,
    }
}

/// What there is to say beyond the word; empty for a success.
pub(super) fn note(course: &Course) -> String {
    match fate(course) {
        Fate::NotStarted => {
            let why = course.waiting.as_ref().map(|waiting| &waiting.why);
            let first = why.and_then(|why| why.containers.values().chain(&why.pod).next());
            first.map(ToString::to_string).unwrap_or_default()
        }
        Fate::Lost => "its process has gone".to_owned(),
        Fate::Succeeded => String::new(),
        Fate::Failed | Fate::Stopped => {
            let mut parts = Vec::new();
            if let Some(Outcome::Failed { reason, message }) = course.outcome() {
                let words = [reason, message].map(String::as_str);
                let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
                parts.extend((!words.is_empty()).then(|| words.join(": ")));
            }
            parts.extend(failures(course).map(|(name, exit)| {
                let last = exit.message.lines().next_back().map(|line| format!(": {line}"));
                format!("{name} exited with {} ({}){}", exit.code, exit.reason, last.unwrap_or_default())
            }));
            parts.join("; ")
        }
    }
}

/// `Failed, main exited with 3 (Error)`
pub(super) fn line(word: &str, note: &str) -> String {
    if note.is_empty() { word.to_owned() } else { format!("{word}, {note}") }
}

pub(super) fn job_has_failed(job: &JobReport) -> bool {
    ending(job) == Some(Ending::Failure)
}

pub(super) fn ending(job: &JobReport) -> Option<Ending> {
    job.record.verdict.as_ref().map(|verdict| verdict.reason.ending())
}

pub(super) fn job_word(job: &JobReport) -> &'static str {
    match ending(job) {
        Some(Ending::Success) => "Complete",
        Some(Ending::Failure) => "Failed",
        None => "not ended",
    }
}

pub(super) fn job_note(job: &JobReport) -> String {
    let counts = format!("{} succeeded, {} failed", job.succeeded(), job.record.failed);
    match job.record.verdict.as_ref().filter(|_| job_has_failed(job)) {
        Some(verdict) => format!("{}: {}; {counts}", verdict.reason.word(), verdict.message),
        None => counts,
    }
}

/// Containers that did not succeed, and how they ended.
pub(super) fn failures(course: &Course) -> impl Iterator<Item = (&str, &Exit)> {
    let containers = course.record().into_iter().flat_map(|record| &record.containers);
    let ended = containers.filter_map(|container| Some((container.name.as_str(), end(container)?)));
    ended.filter(|(_, exit)| exit.code != 0)
}

/// Whether a container ended before it had become its program, which then has said nothing.
pub(super) fn has_not_begun(course: &Course) -> bool {
    failures(course).any(|(_, exit)| matches!(exit.reason.as_str(), "StartError" | "ContainerCannotRun"))
}

pub(super) fn end(container: &ContainerRecord) -> Option<&Exit> {
    match &container.state {
        ContainerState::Terminated(exit) => Some(exit),
        ContainerState::Waiting { .. } | ContainerState::Running { .. } => container.last.as_ref(),
    }
}

/// Of the named container; with none named, of the first app container that failed, else of the first.
pub(super) fn exit_code(course: &Course, container: Option<&str>) -> Option<i32> {
    let mut ends = course
        .record()?
        .containers
        .iter()
        .filter(|one| container.map_or(one.role == Role::App, |name| one.name == name))
        .filter_map(|one| end(one).map(|exit| exit.code));
    let first = ends.next()?;
    Some(if first == 0 { ends.find(|code| *code != 0).unwrap_or(0) } else { first })
}

pub(super) fn restarts(course: &Course) -> u32 {
    course.record().map_or(0, |record| record.containers.iter().map(|one| one.restart_count).sum())
}

/// When the last of its containers ended.
pub(super) fn ended_at(course: &Course) -> Option<Timestamp> {
    course.record()?.containers.iter().filter_map(end).map(|exit| exit.finished_at).max()
}

/// From the pod's start to the end of its last container.
pub(super) fn time(course: &Course) -> Option<Duration> {
    between(course.record()?.started_at, ended_at(course)?)
}

pub(super) fn job_time(job: &JobReport) -> Option<Duration> {
    between(job.record.started.as_ref()?.wall, job.record.finished.as_ref()?.wall)
}

/// `None` if the clock was set back in between.
fn between(start: Timestamp, end: Timestamp) -> Option<Duration> {
    Duration::try_from(end.duration_since(start)).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::daemon::PodReport;
    use crate::model::id::{PodId, Uid};
    use crate::model::job::{JobEnd, JobRecord, Verdict};
    use crate::model::object::{ObjectKey, Owner};
    use crate::model::pod_plan::Revision;
    use crate::model::record::{FORMAT, PodRecord, SandboxState};

    pub(in crate::cli::up) fn container(name: &str, role: Role, code: i32) -> ContainerRecord {
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

    pub(in crate::cli::up) fn ended(outcome: Outcome, containers: Vec<ContainerRecord>) -> Course {
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
            conditions: None,
            events: Vec::new(),
        };
        Course { record: Some(record.into()), ..Course::default() }
    }

    fn uid(number: u8) -> Uid {
        Uid::from_random([number; 16])
    }

    pub(in crate::cli::up) fn pod(name: &str, job: Option<u8>, course: Course) -> PodReport {
        let pod = PodId { namespace: "default".into(), name: name.into(), uid: uid(0) };
        let owner = job.map(|job| Owner { uid: uid(job), number: 0 });
        PodReport { pod, course, owner, index: None, object: None }
    }

    /// One pod of it has succeeded, one has failed.
    pub(in crate::cli::up) fn job(name: &str, number: u8, end: Option<JobEnd>) -> JobReport {
        let (group, kind) = ("batch".into(), "Job".into());
        let verdict = |reason| Verdict { reason, message: "too often".into(), at: Timestamp::UNIX_EPOCH };
        let record = JobRecord { succeeded: 1, failed: 1, verdict: end.map(verdict), ..JobRecord::default() };
        let key = ObjectKey { group, kind, namespace: "default".into(), name: name.into() };
        JobReport { uid: uid(number), key, record, indexes: None, completions: None }
    }

    #[test]
    fn a_failed_pod_names_the_container_that_failed() {
        let failed = Outcome::Failed { reason: String::new(), message: String::new() };
        let course = ended(failed, vec![container("a", Role::App, 0), container("b", Role::App, 3)]);
        assert_eq!(line(fate(&course).word(), &note(&course)), "Failed, b exited with 3 (Error)");
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
        assert_eq!(line(fate(&course).word(), &note(&course)), "Succeeded");
    }
}
