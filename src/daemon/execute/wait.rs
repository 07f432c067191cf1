//! Why a pod is not started yet, for its status, and the events that tell of it in kubelet's words.

use crate::model::desired::{Blocked, FAILED_SANDBOX, Waiting};
use crate::model::id::PodId;
use crate::model::record::{EventKind, EventRecord, WaitingRecord};
use crate::model::time::{Now, Timestamp};
use crate::paths::Places;
use crate::rundir::pods;

use super::{ActError, Acted, memory};

/// Writes only what differs, so that a wait of many passes is one event and not many.
pub(super) fn write(places: &Places, pod: &PodId, why: &Blocked, now: Now) -> Result<Acted, ActError> {
    let directory = places.pod(&pod.uid);
    let failed = |source| ActError::pod("write the waiting record", pod)(source);
    let present = pods::read_waiting(&directory).map_err(failed)?;
    if present.as_ref().is_some_and(|present| present.why == *why) {
        return Ok(Acted::AlreadySo);
    }
    memory::note_events(places, pod, news(present.as_ref().map(|present| &present.why), why, now.wall))?;
    let since = present.map_or(now.wall, |present| present.since);
    let record = WaitingRecord { id: pod.clone(), why: why.clone(), since };
    Ok(pods::write_waiting(&directory, &record).map_err(failed)?.into())
}

/// Events of what was not waited for before.
fn news(before: Option<&Blocked>, why: &Blocked, at: Timestamp) -> Vec<EventRecord> {
    let known = |container: &str| before.and_then(|before| before.containers.get(container));
    let of_containers = why
        .containers
        .iter()
        .filter(|(container, waiting)| known(container) != Some(*waiting))
        .flat_map(|(container, waiting)| of_container(container, waiting, at));
    let mut news: Vec<EventRecord> = of_containers.collect();
    // Volumes keep all containers waiting, and are told of once.
    news.dedup_by(|one, other| one.container.is_none() && one.message == other.message);
    if let Some(waiting) = &why.pod
        // Told when the process died.
        && waiting.reason != FAILED_SANDBOX
        && before.and_then(|before| before.pod.as_ref()) != Some(waiting)
    {
        let (reason, message) = (&waiting.reason, waiting.message.clone());
        news.push(EventRecord::once(EventKind::Warning, reason, message, None, at));
    }
    news
}

fn of_container(container: &str, waiting: &Waiting, at: Timestamp) -> Vec<EventRecord> {
    use EventKind::{Normal, Warning};
    let Waiting { reason, message, .. } = waiting;
    let event =
        |kind, reason: &str, message: String| EventRecord::once(kind, reason, message, Some(container), at);
    let error = || event(Warning, "Failed", format!("Error: {reason}"));
    match reason.as_str() {
        "ContainerCreating" | "PodInitializing" if message.is_empty() => Vec::new(),
        "ContainerCreating" | "PodInitializing" => {
            vec![EventRecord::once(Warning, "FailedMount", message.clone(), None, at)]
        }
        "ErrImagePull" => vec![error()],
        "ImagePullBackOff" => vec![event(Normal, "BackOff", message.clone()), error()],
        "ErrImageNeverPull" => vec![event(Warning, "ErrImageNeverPull", message.clone()), error()],
        "InvalidImageName" => vec![event(Warning, "InspectFailed", message.clone()), error()],
        _ => vec![event(Warning, "Failed", format!("Error: {message}"))],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn blocked(waits: &[(&str, &str, &str)]) -> Blocked {
        let waits = waits.iter().map(|(container, reason, message)| {
            ((*container).to_owned(), Waiting::passing(reason, (*message).to_owned()))
        });
        Blocked { containers: waits.collect(), pod: None }
    }

    fn told(before: Option<&Blocked>, why: &Blocked) -> Vec<(String, String)> {
        let news = news(before, why, Timestamp::UNIX_EPOCH);
        news.into_iter().map(|event| (event.reason, event.message)).collect()
    }

    /// Containers with why they wait, and the events that tells.
    type Case<'a> = (&'a [(&'a str, &'a str, &'a str)], &'a [(&'a str, &'a str)]);

    #[test]
    fn each_wait_is_told_in_kubelets_words() {
        let map = "MountVolume.SetUp failed for volume \"v\" : configmap \"m\" not found";
        let cases: [Case<'_>; 6] = [
            (&[("a", "ContainerCreating", "")], &[]),
            (&[("a", "ContainerCreating", map), ("b", "ContainerCreating", map)], &[("FailedMount", map)]),
            (&[("a", "ErrImagePull", "no route")], &[("Failed", "Error: ErrImagePull")]),
            (
                &[("a", "ImagePullBackOff", "Back-off pulling image \"x\"")],
                &[("BackOff", "Back-off pulling image \"x\""), ("Failed", "Error: ImagePullBackOff")],
            ),
            (
                &[("a", "CreateContainerConfigError", "configmap \"m\" not found")],
                &[("Failed", "Error: configmap \"m\" not found")],
            ),
            (
                &[("a", "InvalidImageName", "bad")],
                &[("InspectFailed", "bad"), ("Failed", "Error: InvalidImageName")],
            ),
        ];
        for (waits, events) in cases {
            let events: Vec<_> = events.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            assert_eq!(told(None, &blocked(waits)), events);
        }
    }

    #[test]
    fn what_was_waited_for_before_is_told_once() {
        let first = blocked(&[("a", "CreateContainerConfigError", "configmap \"m\" not found")]);
        let second = blocked(&[
            ("a", "CreateContainerConfigError", "configmap \"m\" not found"),
            ("b", "ErrImagePull", "no route"),
        ]);
        assert_eq!(told(Some(&first), &second), [("Failed".to_owned(), "Error: ErrImagePull".to_owned())]);
        assert_eq!(told(Some(&second), &first), []);
        assert_eq!(told(None, &Blocked { containers: BTreeMap::new(), pod: None }), []);
    }
}
