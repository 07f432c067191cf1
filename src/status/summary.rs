//! One line for a person: what comes of a manifest.

use crate::api::{Object, Pod};
use crate::manifest::Severity;
use crate::model::object::Known;

use super::file::{FileReport, FileState, of_severity};
use super::job::{ControlStatus, completions, job_word};
use super::{Course, STOPPED, edit, status_word};

/// Whether what is reported goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tense {
    Present,
    /// What had not ended by itself has been stopped with the command that it belonged to.
    Past,
}

const WITH_THE_COMMAND: &str = "stopped with the command";

pub(super) fn summary(report: &FileReport<'_>, pods: &[Option<Pod>]) -> String {
    match (report.note, report.state) {
        (note, FileState::Invalid) => {
            let errors = || counted(of_severity(report, Severity::Error).count(), "error");
            let wrong = note.map_or_else(|| format!("invalid: {}", errors()), str::to_owned);
            // What the file asked for last goes on.
            if report.items.is_empty() {
                wrong
            } else {
                format!("{wrong}; as before: {}", standing(report, pods))
            }
        }
        (Some(note), _) => note.to_owned(),
        (None, _) => standing(report, pods),
    }
}

/// What comes of the objects.
fn standing(report: &FileReport<'_>, pods: &[Option<Pod>]) -> String {
    // What a Job's pods do is told by their Job, and what a CronJob's Jobs do in their own items.
    let declared = |known: &Known| known.record.owner.is_none();
    let tense = report.tense;
    let pods: Vec<String> = report
        .items
        .iter()
        .zip(pods)
        .filter(|((known, _), _)| declared(known))
        .filter_map(|((_, course), pod)| Some(doing(pod.as_ref()?, course, tense)))
        .collect();
    let own = report.items.iter().filter(|(known, _)| declared(known));
    let made: Vec<(&str, String)> = own.filter_map(|(known, course)| made(known, course, tense)).collect();
    let of_kind =
        |kind| made.iter().filter(move |(of, _)| *of == kind).map(|(_, doing)| doing.clone()).collect();
    let parts = [("pod", pods), ("job", of_kind("job")), ("cronjob", of_kind("cronjob"))];
    let mut parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, doings)| !doings.is_empty())
        .map(|(noun, doings)| told(noun, doings))
        .collect();
    let not_served =
        report.items.iter().filter(|(known, _)| matches!(*known.object, Object::Unserved { .. })).count();
    let served = report.items.len() - not_served;
    if parts.is_empty() && (served > 0 || not_served == 0) {
        parts.push(counted(served, "object"));
    }
    match not_served {
        0 => {}
        1 => parts.push("1 object of a kind that is not served".to_owned()),
        several => parts.push(format!("{several} objects of kinds that are not served")),
    }
    parts.join("; ")
}

/// `3 pods: 2 running, 1 failed`
fn told(noun: &str, doings: Vec<String>) -> String {
    let all = doings.len();
    let mut tally: Vec<(String, usize)> = Vec::new();
    for doing in doings {
        match tally.iter_mut().find(|(known, _)| *known == doing) {
            Some((_, count)) => *count += 1,
            None => tally.push((doing, 1)),
        }
    }
    match tally.as_slice() {
        [(doing, count)] => format!("{} {doing}", counted(*count, noun)),
        several => {
            let parts: Vec<String> =
                several.iter().map(|(doing, count)| format!("{count} {doing}")).collect();
            format!("{}: {}", counted(all, noun), parts.join(", "))
        }
    }
}

/// What a Job or a CronJob does.
fn made(known: &Known, course: &Course, tense: Tense) -> Option<(&'static str, String)> {
    match (&*known.object, &course.control.as_ref()?.status) {
        (Object::Job(job), ControlStatus::Job(status)) => {
            let deleted_at = known.record.deletion.as_ref().map(|deletion| deletion.at);
            let word = match (job_word(deleted_at, status), tense) {
                ("Running" | "Terminating", Tense::Past) => WITH_THE_COMMAND.to_owned(),
                (word, Tense::Present | Tense::Past) => word.to_lowercase(),
            };
            Some(("job", format!("{word} ({})", completions(job, status))))
        }
        (_, ControlStatus::CronJob(status)) => {
            let running = status.active.as_ref().map_or(0, Vec::len);
            let word = match tense {
                Tense::Past => WITH_THE_COMMAND,
                Tense::Present if running > 0 => "at work",
                Tense::Present => "waiting",
            };
            Some(("cronjob", word.to_owned()))
        }
        (_, ControlStatus::Job(_)) => None,
    }
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// What a pod does, in a word or two.
fn doing(pod: &Pod, course: &Course, tense: Tense) -> String {
    let word = status_word(pod);
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
    // What ended the pod as a whole says more than how its containers took it.
    let reason = status.and_then(|status| status.reason.as_deref()).unwrap_or(&word);
    let was_stopped = tense == Tense::Past && course.finished.is_none() && course.record().is_some();
    match (phase, word.as_str()) {
        ("Succeeded" | "Failed", _) if was_stopped => WITH_THE_COMMAND.to_owned(),
        (_, "Terminating") => "terminating".to_owned(),
        ("Succeeded", _) => "succeeded".to_owned(),
        ("Failed", "Failed") => "failed".to_owned(),
        ("Failed", _) => format!("failed ({reason})"),
        ("Unknown", _) => "in an unknown state".to_owned(),
        (_, STOPPED) => "stopped".to_owned(),
        (_, "ContainerCreating" | "PodInitializing" | "Pending") if tense == Tense::Past => {
            "not started".to_owned()
        }
        _ => match pod.spec.as_ref().and_then(|spec| edit::wait(spec, course)) {
            None if word == "Running" => "running".to_owned(),
            None => match course.sandbox_trouble() {
                Some(why) => format!("waiting ({word}: {why})"),
                None => format!("waiting ({word})"),
            },
            // The word is that of the image, and the pod runs on with the one before.
            Some(wait) if word == "Running" || word == reason => format!("running ({wait})"),
            Some(wait) => format!("waiting ({word}; {wait})"),
        },
    }
}
