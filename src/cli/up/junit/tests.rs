use super::super::facts::tests::{container, ended, job, pod};
use super::*;
use crate::model::job::JobEnd;
use crate::model::pod_plan::Role;
use crate::model::record::{ContainerRecord, ContainerState, Outcome};

fn failed(message: &str) -> ContainerRecord {
    let mut container = container("main", Role::App, 3);
    if let ContainerState::Terminated(exit) = &mut container.state {
        exit.message = message.into();
    }
    container
}

fn failing(message: &str) -> crate::status::Course {
    ended(Outcome::Failed { reason: String::new(), message: String::new() }, vec![failed(message)])
}

#[test]
fn each_pod_is_a_case_and_its_last_message_is_the_text() {
    let good = ended(Outcome::Succeeded, vec![container("main", Role::App, 0)]);
    let pods =
        vec![pod("good", None, good), pod("bad", None, failing("<no> \"disc\"\n\x1b[31mleft & right"))];
    let report = BatchReport { pods, ..BatchReport::default() };
    let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"droppod up\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"0.000\">
  <testsuite name=\"pods\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"0.000\">
    <testcase classname=\"default.pod\" name=\"good\" time=\"0.000\"/>
    <testcase classname=\"default.pod\" name=\"bad\" time=\"0.000\"><failure message=\"Failed, main exited with 3 \
(Error): \u{fffd}[31mleft &amp; right\">main: &lt;no&gt; &quot;disc&quot;&#10;\u{fffd}[31mleft &amp; right</failure></testcase>
  </testsuite>
</testsuites>
";
    assert_eq!(render(BatchEnd::Completed, &report), expected);
}

#[test]
fn each_index_is_a_case_by_its_last_try() {
    let mut job = job("j", 9, Some(JobEnd::BackoffLimitExceeded));
    job.indexes = Some(3);
    job.record.completed.insert(0);
    let of_index = |index, course| {
        let mut one = pod("j-x", Some(9), course);
        one.index = Some(index);
        one
    };
    let good = ended(Outcome::Succeeded, vec![container("main", Role::App, 0)]);
    let pods = vec![of_index(0, failing("")), of_index(0, good), of_index(1, failing("no luck"))];
    let report = BatchReport { pods, jobs: vec![job], hopeless: None };
    let text = render(BatchEnd::Completed, &report);
    for line in [
        "<testsuite name=\"default/j\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\"",
        "name=\"j[0]\" time=\"0.000\"/>",
        "name=\"j[1]\" time=\"0.000\"><failure message=\"Failed, main exited with 3 (Error): no luck\">main: no luck<",
        "name=\"j[2]\" time=\"0.000\"><skipped message=\"not run\"/>",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

/// Of a Job with an index that was stopped, after another that ended by itself.
fn with_one_stopped(reason: JobEnd, other: crate::status::Course) -> String {
    let mut job = job("j", 9, Some(reason));
    job.indexes = Some(2);
    if facts::fate(&other) == Fate::Succeeded {
        job.record.completed.insert(1);
    }
    let of_index = |index, course| PodReport { index: Some(index), ..pod("j-x", Some(9), course) };
    let stopped = ended(Outcome::Deleted, vec![failed("cut off")]);
    let pods = vec![of_index(0, stopped), of_index(1, other)];
    render(BatchEnd::Completed, &BatchReport { pods, jobs: vec![job], hopeless: None })
}

#[test]
fn what_is_stopped_with_its_job_has_never_passed() {
    let good = || ended(Outcome::Succeeded, vec![container("main", Role::App, 0)]);
    for reason in [
        JobEnd::PodFailurePolicy,
        JobEnd::DeadlineExceeded,
        JobEnd::MaxFailedIndexesExceeded,
        JobEnd::BackoffLimitExceeded,
    ] {
        let text = with_one_stopped(reason, failing(""));
        let line = format!(
            "name=\"j[0]\" time=\"0.000\"><error message=\"stopped with its Job: {}, main exited with 3 (Error): cut off\"/>",
            reason.word()
        );
        assert!(text.contains(&line), "{line}\n{text}");
    }
    let text = with_one_stopped(JobEnd::SuccessPolicy, good());
    let line = "name=\"j[0]\" time=\"0.000\"><skipped message=\"not needed\"/>";
    assert!(text.contains(line) && text.contains("failures=\"0\" errors=\"0\" skipped=\"1\""), "{text}");
    // Also where no index is known, and where the Job itself is a CronJob's.
    let mut job = job("j", 9, Some(JobEnd::DeadlineExceeded));
    job.indexes = None;
    let stopped = || ended(Outcome::Deleted, vec![container("main", Role::App, 0)]);
    let pods =
        vec![pod("j-a", Some(9), stopped()), pod("c-b", Some(8), stopped()), pod("server", None, stopped())];
    let text = render(BatchEnd::Completed, &BatchReport { pods, jobs: vec![job], hopeless: None });
    for line in [
        "name=\"j-a\" time=\"0.000\"><error message=\"stopped with its Job: DeadlineExceeded\"/>",
        "name=\"c-b\" time=\"0.000\"><skipped message=\"stopped\"/>",
        "name=\"server\" time=\"0.000\"/>",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_job_that_failed_without_a_pod_to_blame_is_a_case_of_its_own() {
    let jobs = vec![job("late", 9, Some(JobEnd::DeadlineExceeded))];
    let report = BatchReport { jobs, ..BatchReport::default() };
    let text = render(BatchEnd::Completed, &report);
    assert!(
        text.contains("name=\"late\" time=\"0.000\"><failure message=\"DeadlineExceeded: too often;"),
        "{text}"
    );
}
