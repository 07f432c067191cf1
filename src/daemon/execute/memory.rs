//! What is remembered of a pod while its processes come and go: how often they died, and what was tried for it.

use std::collections::BTreeMap;
use std::io;

use crate::model::back_off;
use crate::model::id::PodId;
use crate::model::pod_plan::PodPlan;
use crate::model::record::{
    Deaths, EventKind, EventRecord, Past, PodRecord, SandboxState, StartRecord, note,
};
use crate::model::time::{Now, Timestamp};
use crate::paths::Places;
use crate::rundir::starts;

use super::ActError;

/// kubelet's word for an image that is there.
pub(super) const PULLED: &str = "Pulled";

/// Adds events to what is remembered of a pod.
pub(super) fn note_events(
    places: &Places,
    pod: &PodId,
    events: impl IntoIterator<Item = EventRecord>,
) -> Result<(), ActError> {
    change(places, pod, |record| {
        for event in events {
            note(&mut record.events, event);
        }
    })
}

/// A pod process was started; how long it lives decides whether the deaths before it are forgotten.
pub(super) fn note_launch(places: &Places, plan: &PodPlan, now: Now) -> Result<(), ActError> {
    change(places, &plan.id, |record| {
        if let Some(deaths) = &mut record.deaths {
            deaths.launched = Some(now.boot);
        }
        for container in plan.all_containers() {
            let image = &container.image.authored;
            let of_this = |event: &EventRecord| {
                event.reason == PULLED && event.container.as_deref() == Some(container.name.as_str())
            };
            if !record.events.iter().any(of_this) {
                let message = format!("Container image \"{image}\" already present on machine");
                let event =
                    EventRecord::once(EventKind::Normal, PULLED, message, Some(&container.name), now.wall);
                note(&mut record.events, event);
            }
        }
    })
}

/// A pod process died, or could not be made, though nobody asked for it.
pub(super) fn note_death(
    places: &Places,
    pod: &PodId,
    last: Option<&PodRecord>,
    words: &str,
    now: Now,
) -> Result<(), ActError> {
    change(places, pod, |record| {
        record.deaths = Some(one_more(record.deaths.as_ref(), words, now));
        note(&mut record.events, death(last, words, now.wall));
    })
}

/// A pod process has ended; the pod's next one goes on with its events and the numbers of its runs.
pub(super) fn keep(
    places: &Places,
    pod: &PodId,
    last: Option<&PodRecord>,
    past: BTreeMap<String, Past>,
) -> Result<(), ActError> {
    change(places, pod, |record| {
        for event in last.into_iter().flat_map(|last| &last.events) {
            note(&mut record.events, event.clone());
        }
        for (name, past) in past {
            // Of a sweep that is done again, the first knew more: by now what tells of a run's end may be gone.
            if record.past.get(&name).is_none_or(|before| before.runs < past.runs) {
                record.past.insert(name, past);
            }
        }
    })
}

/// A process that has lived long makes the deaths before it forgotten.
fn one_more(before: Option<&Deaths>, words: &str, now: Now) -> Deaths {
    let lasted =
        |deaths: &Deaths| deaths.launched.is_some_and(|launched| now.boot - launched >= back_off::LASTING);
    let count = before.filter(|deaths| !lasted(deaths)).map_or(0, |deaths| deaths.count);
    Deaths { count: count.saturating_add(1), last: now.boot, launched: None, words: words.to_owned() }
}

/// kubelet's words for a sandbox that could not be made, and for one that was lost.
fn death(last: Option<&PodRecord>, words: &str, at: Timestamp) -> EventRecord {
    let made = last.is_some_and(|last| match last.sandbox {
        SandboxState::Ready => true,
        SandboxState::Making | SandboxState::Failed { .. } => false,
    });
    let (kind, reason, message) = if made {
        let message = format!("Pod sandbox changed, it will be killed and re-created: {words}");
        (EventKind::Normal, "SandboxChanged", message)
    } else {
        let message = format!("Failed to create pod sandbox: {words}");
        (EventKind::Warning, "FailedCreatePodSandBox", message)
    };
    EventRecord::once(kind, reason, message, None, at)
}

fn change(places: &Places, pod: &PodId, change: impl FnOnce(&mut StartRecord)) -> Result<(), ActError> {
    let failed = |source| ActError::pod("write down the events", pod)(source);
    // What cannot be understood is history only; nothing waits for it.
    let before = match starts::read(places, &pod.uid) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => StartRecord::default(),
        read => read.map_err(failed)?.unwrap_or_default(),
    };
    let mut record = before.clone();
    change(&mut record);
    if record != before {
        starts::write(places, &pod.uid, &record).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::time::Moment;

    fn at(seconds: u64) -> Now {
        Now { wall: Timestamp::UNIX_EPOCH, boot: Moment(Duration::from_secs(seconds)) }
    }

    #[test]
    fn deaths_are_counted_until_a_process_has_lived_ten_minutes() {
        let first = one_more(None, "no room", at(5));
        assert_eq!((first.count, first.last, first.launched), (1, at(5).boot, None));
        let relaunched = Deaths { launched: Some(at(6).boot), ..first };
        assert_eq!(one_more(Some(&relaunched), "", at(605)).count, 2);
        assert_eq!(one_more(Some(&relaunched), "", at(606)).count, 1);
    }
}
