//! Waiting for what was asked for to be so, by looking at the records.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::PollFlags;
use serde_json::Value;

use crate::api::Object;
use crate::logs::bell::Bell;
use crate::model::object::ObjectKey;
use crate::model::record::Outcome;
use crate::sandbox::sys::clock;
use crate::status::{ControlStatus, is_in_force, job_word, pod_status, status_word};

use super::exit::Exit;
use super::failure::Failure;
use super::records::{Records, Shown};
use super::settings::Settings;
use super::tell;

/// How far one object has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    Ready,
    /// kubectl's STATUS word says why not yet.
    NotYet(String),
    Failed,
    /// Its kind is not served.
    Never,
}

/// kubelet's words for an image that will not come by waiting.
const HOPELESS: [&str; 2] = ["InvalidImageName", "ErrImageNeverPull"];
const NO_IMAGE: [&str; 2] = ["ErrImagePull", "ImagePullBackOff"];

/// Waits until each object is in force as `wanted`, and each pod among them is ready or has succeeded.
pub(crate) fn until_ready(
    mut wanted: Vec<(ObjectKey, Value)>,
    timeout: Option<Duration>,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let places = &settings.places;
    let deadline = timeout.map(|timeout| clock::boot() + timeout);
    let bell = Bell::hang();
    let mut failed = false;
    loop {
        bell.watch(&places.objects());
        bell.watch(&places.pods());
        let records = Records::load(places)?;
        let mut left = Vec::new();
        let mut reasons = Vec::new();
        for (key, authored) in wanted {
            let of_key = |shown: &&Shown| shown.known.record.key == key;
            let shown =
                records.shown.iter().find(of_key).filter(|one| *one.known.record.authored == authored);
            if let Some(shown) = shown {
                bell.watch(&places.pod(shown.uid()).0);
            }
            let progress =
                shown.map_or(Progress::NotYet("Pending".to_owned()), |shown| progress(shown, &records));
            if let (Progress::Ready | Progress::Failed, Some(shown)) = (&progress, shown) {
                shown.settle(places)?;
            }
            match progress {
                Progress::Ready => tell(&format!("{key} is ready")),
                Progress::Failed => {
                    tell(&format!("{key} has failed"));
                    failed = true;
                }
                Progress::Never => {
                    return Err(Failure::new(Exit::Failed, format!("{key} will never be ready"))
                        .because("this version serves no object of its kind")
                        .help("the file stays in the folder, its status file says so too"));
                }
                Progress::NotYet(reason) => {
                    if HOPELESS.contains(&reason.as_str()) {
                        return Err(
                            Failure::new(Exit::NoImage, format!("{key} has no image")).because(reason)
                        );
                    }
                    reasons.push((key.to_string(), reason));
                    left.push((key, authored));
                }
            }
        }
        if left.is_empty() {
            return Ok(if failed { Exit::EndedFailed } else { Exit::Done });
        }
        if deadline.is_some_and(|deadline| clock::boot() >= deadline) {
            return Err(gave_up(&reasons));
        }
        wanted = left;
        bell.wait(io::stderr().as_fd(), PollFlags::empty()).map_err(Failure::of_output)?;
    }
}

fn gave_up(reasons: &[(String, String)]) -> Failure {
    let no_image = reasons.iter().any(|(_, reason)| NO_IMAGE.contains(&reason.as_str()));
    let exit = if no_image { Exit::NoImage } else { Exit::TimedOut };
    let list: Vec<String> = reasons.iter().map(|(key, reason)| format!("{key} is {reason}")).collect();
    Failure::new(exit, "timed out waiting").because(list.join(", "))
}

fn progress(shown: &Shown, records: &Records) -> Progress {
    if let Some(ControlStatus::Job(status)) = shown.course.control.as_ref().map(|control| &control.status) {
        let deleted_at = shown.known.record.deletion.as_ref().map(|deletion| deletion.at);
        return match job_word(deleted_at, status) {
            "Complete" => Progress::Ready,
            "Failed" => Progress::Failed,
            word => Progress::NotYet(word.to_owned()),
        };
    }
    let pod = match &*shown.known.object {
        Object::Pod(pod) => pod,
        Object::Unserved { .. } => return Progress::Never,
        // Not looked at by its controller yet.
        Object::Job(_) => return Progress::NotYet("Pending".to_owned()),
        Object::ConfigMap(_) | Object::Secret(_) | Object::Namespace(_) | Object::CronJob(_) => {
            return Progress::Ready;
        }
    };
    match shown.outcome() {
        Some(Outcome::Succeeded) => return Progress::Ready,
        Some(Outcome::Failed { .. }) => return Progress::Failed,
        Some(Outcome::Deleted | Outcome::Interrupted) | None => {}
    }
    let mut pod = pod.clone();
    let status = pod_status(&pod, &shown.course, records.host_ip());
    let ready = status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    pod.status = Some(status);
    if !is_in_force(&pod, &shown.course) {
        let word = status_word(&pod);
        return Progress::NotYet(if word == "Running" { "Pending".to_owned() } else { word });
    }
    // A pod that is to end has come far enough when it has ended.
    let ends = pod.spec.as_ref().is_some_and(|spec| spec.restart_policy.as_deref() != Some("Always"));
    if ready && !ends { Progress::Ready } else { Progress::NotYet(status_word(&pod)) }
}
