//! A pod that runs on while the image that an edit asks for is not to be had.

use super::*;

/// Web 2 is asked for, and web 1 runs.
fn edited() -> Known {
    pod(&[], &[json!({"name": "c", "image": "web:2"})])
}

fn waits(state: ContainerState, why: Course) -> Course {
    Course { waiting: why.waiting, ..course(vec![entry("c", Role::App, state)]) }
}

fn line(known: &Known, course: &Course) -> String {
    file::summary_of(known, course)
}

#[test]
fn it_says_what_it_waits_for_and_goes_on_being_ready() {
    let message = "Back-off pulling image \"web:2\"";
    let course = waits(running(), blocked("c", "ImagePullBackOff", message));
    let status = seen(&edited(), &course).status.unwrap();
    assert_eq!(status.reason.as_deref(), Some("ImagePullBackOff"));
    let told = format!("container c goes on with the image before: {message}");
    assert_eq!(status.message, Some(told));
    let row = row(&edited(), &course);
    assert_eq!((row.0.as_str(), row.1.as_str()), ("ImagePullBackOff", "1/1"));
    assert_eq!(phase(&edited(), &course), "Running");
    assert_eq!(line(&edited(), &course), "1 pod running (waits for image web:2: ImagePullBackOff)");
    assert!(!is_in_force(&seen(&edited(), &course), &course));
}

#[test]
fn while_the_image_is_pulled_it_runs_and_the_line_tells() {
    let pulling = held(Blocked { containers: BTreeMap::new(), pod: None });
    let course = waits(running(), pulling);
    assert_eq!(row(&edited(), &course).0, "Running");
    assert_eq!(line(&edited(), &course), "1 pod running (waits for image web:2)");
}

#[test]
fn what_its_containers_wait_for_is_told_first() {
    let course = waits(waiting("CrashLoopBackOff"), blocked("c", "ErrImagePull", ""));
    assert_eq!(row(&edited(), &course).0, "CrashLoopBackOff");
    let told = "1 pod waiting (CrashLoopBackOff; waits for image web:2: ErrImagePull)";
    assert_eq!(line(&edited(), &course), told);
}

#[test]
fn an_edit_that_was_taken_back_is_waited_for_no_more() {
    let course = waits(running(), blocked("c", "ImagePullBackOff", ""));
    assert_eq!(row(&web(), &course).0, "Running");
    assert_eq!(line(&web(), &course), "1 pod running");
    assert!(is_in_force(&seen(&web(), &course), &course));
}

#[test]
fn what_another_container_lacks_holds_the_whole_edit_up() {
    let both = pod(&[], &[json!({"name": "c", "image": "web:2"}), container("d")]);
    let lacks = blocked("d", "CreateContainerConfigError", "configmap \"m\" not found");
    let up = course(vec![entry("c", Role::App, running()), entry("d", Role::App, running())]);
    let course = Course { waiting: lacks.waiting, ..up };
    let told = "1 pod running (waits for image web:2: CreateContainerConfigError)";
    assert_eq!(line(&both, &course), told);
    assert_eq!(row(&both, &course).1, "2/2");
}
