//! What is met of a pod, what is not, and since when.

use super::*;

fn condition(known: &Known, course: &Course, type_: &str) -> (String, Option<String>, Option<String>) {
    let conditions = seen(known, course).status.unwrap().conditions.unwrap();
    let found = conditions.into_iter().find(|condition| condition.type_ == type_).unwrap();
    (found.status, found.reason, found.message)
}

#[test]
fn conditions_say_what_is_missing() {
    let pod = pod(&[container("i")], &[container("a"), container("b")]);
    let unmet =
        |reason: &str, message: &str| ("False".to_owned(), Some(reason.to_owned()), Some(message.to_owned()));
    let met = ("True".to_owned(), None, None);
    let nothing = Course::default();
    let incomplete = unmet("ContainersNotInitialized", "containers with incomplete status: [i]");
    assert_eq!(condition(&pod, &nothing, "Initialized"), incomplete);
    let unready = unmet("ContainersNotReady", "containers with unready status: [a b]");
    assert_eq!(condition(&pod, &nothing, "Ready"), unready);
    assert_eq!(condition(&pod, &nothing, "PodReadyToStartContainers"), ("False".to_owned(), None, None));
    let up = course(vec![
        entry("i", Role::Init, ended(0, "Completed")),
        entry("a", Role::App, running()),
        entry("b", Role::App, running()),
    ]);
    for type_ in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"] {
        assert_eq!(condition(&pod, &up, type_), met, "{type_}");
    }
    let lost = Outcome::Failed { reason: "NodeLost".to_owned(), message: "the machine restarted".to_owned() };
    let lost = finished(lost, vec![entry("c", Role::App, ended(137, "ContainerStatusUnknown"))]);
    let by_machine = (Some("TerminationByKubelet".to_owned()), Some("the machine restarted".to_owned()));
    assert_eq!(condition(&web(), &lost, "DisruptionTarget"), ("True".to_owned(), by_machine.0, by_machine.1));
    let done = finished(Outcome::Succeeded, vec![entry("c", Role::App, ended(0, "Completed"))]);
    let completed = Some("PodCompleted".to_owned());
    assert_eq!(condition(&web(), &done, "Ready"), ("False".to_owned(), completed.clone(), None));
    assert_eq!(condition(&web(), &done, "Initialized"), ("True".to_owned(), completed, None));
}

/// Second in which a condition became what it is.
fn turned(known: &Known, course: &Course, type_: &str) -> Option<i64> {
    let conditions = seen(known, course).status.unwrap().conditions.unwrap();
    let found = conditions.into_iter().find(|condition| condition.type_ == type_).unwrap();
    Some(found.last_transition_time?.0.as_second() - at(0).as_second())
}

#[test]
fn conditions_have_the_times_that_the_pods_process_noted() {
    let init = pod(&[container("i")], &[container("c")]);
    let up = course(vec![entry("c", Role::App, running())]);
    let initializing =
        course(vec![entry("i", Role::Init, running()), entry("c", Role::App, waiting("PodInitializing"))]);
    let done = finished(Outcome::Succeeded, vec![entry("c", Role::App, ended(0, "Completed"))]);
    let gone = Outcome::Failed { reason: "NodeLost".to_owned(), message: "the machine restarted".to_owned() };
    let gone = finished(gone, vec![entry("c", Role::App, ended(137, "ContainerStatusUnknown"))]);
    let older =
        Course { record: Some(unnoted(vec![entry("c", Role::App, running())]).into()), ..Course::default() };
    let lost = Course { lost: true, ..up.clone() };
    let full = Waiting::passing("OutOfpods", "full".to_owned());
    let full = held(Blocked { containers: BTreeMap::new(), pod: Some(full) });
    let stopped = stopped(vec![entry("c", Role::App, ended(143, "Error"))]);
    // PodReadyToStartContainers, Initialized, Ready, PodScheduled.
    let cases = [
        (&web(), &up, [Some(3), Some(3), Some(3), Some(1)]),
        (&init, &initializing, [Some(3), Some(1), Some(1), Some(1)]),
        (&web(), &done, [Some(5), Some(3), Some(1), Some(1)]),
        (&web(), &gone, [Some(5), Some(3), Some(1), Some(1)]),
        (&web(), &older, [None, None, None, Some(1)]),
        (&web(), &lost, [None, Some(3), None, Some(1)]),
        (&web(), &full, [Some(0); 4]),
        (&web(), &Course::default(), [None, None, None, None]),
        (&web(), &stopped, [Some(5), Some(3), Some(1), Some(1)]),
    ];
    for (known, course, times) in cases {
        let kinds = ["PodReadyToStartContainers", "Initialized", "Ready", "PodScheduled"];
        assert_eq!(kinds.map(|kind| turned(known, course, kind)), times, "{course:?}");
        assert_eq!(turned(known, course, "ContainersReady"), times[2], "{course:?}");
    }
    assert_eq!(turned(&web(), &gone, "DisruptionTarget"), Some(5));
}
