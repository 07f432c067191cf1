//! Why a pod is not started yet, for its status.

use crate::model::desired::{Blocked, Waiting};
use crate::model::id::PodId;
use crate::model::record::{EventKind, EventRecord, WaitingRecord, note};
use crate::model::time::{Now, Timestamp};
use crate::paths::Places;
use crate::rundir::pods;

use super::{ActError, Acted};

/// Writes only what differs, so that a wait of many passes is one event and not many.
pub(super) fn write(places: &Places, pod: &PodId, why: &Blocked, now: Now) -> Result<Acted, ActError> {
    let directory = places.pod(&pod.uid);
    let failed = |source| ActError::pod("write the waiting record", pod)(source);
    let present = pods::read_waiting(&directory).map_err(failed)?;
    if present.as_ref().is_some_and(|present| present.why == *why) {
        return Ok(Acted::AlreadySo);
    }
    let (since, mut events) =
        present.map_or_else(|| (now.wall, Vec::new()), |present| (present.since, present.events));
    for (container, waiting) in &why.containers {
        note(&mut events, event(waiting, Some(container), now.wall));
    }
    if let Some(waiting) = &why.pod {
        note(&mut events, event(waiting, None, now.wall));
    }
    let record = WaitingRecord { id: pod.clone(), why: why.clone(), since, events };
    Ok(pods::write_waiting(&directory, &record).map_err(failed)?.into())
}

fn event(waiting: &Waiting, container: Option<&String>, at: Timestamp) -> EventRecord {
    let (kind, reason) = match waiting.reason.as_str() {
        "ContainerCreating" | "PodInitializing" => (EventKind::Normal, "Pulling"),
        "ImagePullBackOff" => (EventKind::Normal, "BackOff"),
        "OutOfpods" => (EventKind::Warning, "OutOfpods"),
        "InvalidImageName" => (EventKind::Warning, "InspectFailed"),
        _ if container.is_none() => (EventKind::Warning, waiting.reason.as_str()),
        _ => (EventKind::Warning, "Failed"),
    };
    EventRecord {
        kind,
        reason: reason.to_owned(),
        message: waiting.message.clone(),
        container: container.cloned(),
        count: 1,
        first: at,
        last: at,
    }
}
