//! What a pod is at, by what is known of it.

use std::time::Duration;

use crate::cli::duration;
use crate::cli::table::cell;
use crate::model::desired::{Blocked, Cause};
use crate::model::record::{ContainerState, PodRecord, SandboxState};
use crate::model::time::{Now, Timestamp};
use crate::status::{Course, age};

use super::{Entry, Tone, within};

/// What a pod is at that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    Starts(Option<Timestamp>),
    /// For an image, of which there is a line of its own.
    AwaitsImage,
    Waits {
        why: String,
        since: Timestamp,
    },
    /// A container has ended and will run again.
    Rests {
        container: String,
        restarts: u32,
        due: Option<Timestamp>,
        why: String,
    },
    Runs,
    Stops,
}

/// `None` once a pod has ended.
pub(super) fn stage(course: &Course) -> Option<Stage> {
    if course.outcome().is_some() || course.finished.is_some() {
        return None;
    }
    match (course.record(), &course.waiting) {
        (Some(record), _) => Some(of_record(record)),
        (None, Some(waiting)) => Some(of_wait(&waiting.why, waiting.since)),
        (None, None) => Some(Stage::Starts(None)),
    }
}

/// The image has a line of its own.
fn of_pull(cause: Cause) -> bool {
    match cause {
        Cause::Pull | Cause::Refused => true,
        Cause::Image | Cause::Manifest | Cause::Passing => false,
    }
}

fn of_wait(why: &Blocked, since: Timestamp) -> Stage {
    let mut others = why.pod.iter().chain(why.containers.values()).filter(|why| !of_pull(why.cause));
    match others.find(|why| !why.message.is_empty()) {
        Some(why) => Stage::Waits { why: cell(&why.message), since },
        None => Stage::AwaitsImage,
    }
}

fn of_record(record: &PodRecord) -> Stage {
    if record.stopping.is_some() {
        return Stage::Stops;
    }
    if let SandboxState::Failed { message } = &record.sandbox {
        return Stage::Waits { why: cell(message), since: record.started_at };
    }
    let mut starts = false;
    for container in &record.containers {
        let ContainerState::Waiting { reason, message } = &container.state else { continue };
        if let Some(exit) = container.last.as_ref().filter(|_| reason == "CrashLoopBackOff") {
            // In kubelet's words, which the pod process uses: `back-off 10s restarting failed container=…`.
            let rest = message.strip_prefix("back-off ").and_then(|rest| rest.split(' ').next());
            let rest = rest.and_then(|rest| duration::parse(rest).ok());
            return Stage::Rests {
                container: container.name.clone(),
                restarts: container.restart_count,
                due: rest.and_then(|rest| exit.finished_at.checked_add(rest).ok()),
                why: match exit.reason.as_str() {
                    // The code says as much.
                    "Error" | "Completed" => format!("exited with {}", exit.code),
                    reason => format!("exited with {} ({reason})", exit.code),
                },
            };
        }
        // Those after an init container that runs wait for that alone.
        starts |= !message.is_empty() || reason == "ContainerCreating";
    }
    let runs = record.containers.iter().any(|one| matches!(one.state, ContainerState::Running { .. }));
    if starts && !runs { Stage::Starts(Some(record.started_at)) } else { Stage::Runs }
}

impl Stage {
    /// With its rank: what may need a person comes before what passes.
    pub(super) fn entry(&self, name: String, now: Now) -> Option<(u8, Entry)> {
        let ago =
            |since: Timestamp| age(Duration::try_from(now.wall.duration_since(since)).unwrap_or_default());
        let (rank, text, tone) = match self {
            Stage::Waits { why, since } => (0, format!("waits, {}: {why}", ago(*since)), Tone::Trouble),
            Stage::Rests { container, restarts, due, why } => {
                let again = due.map_or_else(String::new, |due| {
                    let rest = Duration::try_from(due.duration_since(now.wall)).unwrap_or_default();
                    format!(", again {}", within(rest))
                });
                let times = if *restarts == 1 { "restart" } else { "restarts" };
                (1, format!("{container} {why}{again}; {restarts} {times}"), Tone::Trouble)
            }
            Stage::Starts(since) => {
                let ago = since.map_or_else(String::new, |since| format!(", {}", ago(since)));
                (2, format!("starting{ago}"), Tone::Plain)
            }
            Stage::Stops => (3, "stopping".to_owned(), Tone::Plain),
            Stage::AwaitsImage | Stage::Runs => return None,
        };
        Some((rank, Entry { name, is_image: false, text, tone }))
    }
}
