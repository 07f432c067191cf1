//! What an `up` that has ended tells of what it stopped.

use super::*;

fn departed(code: i32, reason: &str) -> Course {
    let record = PodRecord {
        outcome: Some(Outcome::Deleted),
        ..record(vec![entry("c", Role::App, ended(code, reason))])
    };
    let departed = Finished { outcome: Outcome::Deleted, record: noted(record, at(5)) };
    Course { departed: Some(departed.into()), ..Course::default() }
}

#[test]
fn a_pod_that_was_stopped_has_ended_as_its_containers_have() {
    for (code, reason, ended_in) in [(0, "Completed", "Succeeded"), (143, "Error", "Failed")] {
        let rest = departed(code, reason).at_rest();
        assert_eq!(phase(&web(), &rest), ended_in);
        assert_eq!(row(&web(), &rest).0, reason);
        let status = seen(&web(), &rest).status.unwrap();
        let state = status.container_statuses.unwrap().remove(0).state.unwrap();
        assert_eq!(state.terminated.unwrap().exit_code, code);
        assert_eq!(
            file::summary_at_the_end(&web(), &departed(code, reason)),
            "1 pod stopped with the command"
        );
    }
}

#[test]
fn one_that_ended_by_itself_or_never_began_is_told_of_as_it_was() {
    let done = finished(Outcome::Succeeded, vec![entry("c", Role::App, ended(0, "Completed"))]);
    assert_eq!(done.at_rest(), done);
    assert_eq!(file::summary_at_the_end(&web(), &done), "1 pod succeeded");
    let absent = blocked("c", "ErrImagePull", "");
    assert_eq!(file::summary_at_the_end(&web(), &absent), "1 pod waiting (ErrImagePull)");
    assert_eq!(file::summary_at_the_end(&web(), &Course::default()), "1 pod not started");
}

#[test]
fn of_one_that_went_without_a_word_nothing_is_known() {
    let running = course(vec![entry("c", Role::App, running())]);
    assert_eq!(phase(&web(), &running.at_rest()), "Unknown");
    assert_eq!(file::summary_at_the_end(&web(), &running), "1 pod in an unknown state");
}

#[test]
fn a_job_that_was_stopped_has_no_active_pods() {
    let authored = json!({"metadata": {"name": "j"}, "spec": {"completions": 3}});
    let mut job = known("ConfigMap", "j", authored.clone());
    job.object = Object::Job(serde_json::from_value(authored).unwrap()).into();
    let status = serde_json::from_value(json!({"active": 2, "ready": 1, "succeeded": 1})).unwrap();
    let control =
        Control { status: ControlStatus::Job(Box::new(status)), events: Vec::new(), in_vain: Vec::new() };
    let course = Course { control: Some(control), ..Course::default() };
    assert_eq!(file::summary_at_the_end(&job, &course), "1 job stopped with the command (1/3)");
    let Some(ControlStatus::Job(status)) = course.at_rest().control.map(|control| control.status) else {
        panic!("it is a Job");
    };
    assert_eq!((status.active, status.ready, status.succeeded), (None, Some(0), Some(1)));
}
