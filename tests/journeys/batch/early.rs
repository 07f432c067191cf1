//! Batches whose pods do not end by themselves: what is told of them, and what stays.

use std::fs;

use serde_json::Value;

use super::{events, job, pod, up, without_image};
use crate::bench::{Bench, Ran, unfolded};

/// Says when it can be stopped, and ends in its own way when it is.
const STAYS: &str = "trap 'echo bye; echo last words > /dev/termination-log; exit 33' TERM; echo hi; touch /go/$$(cat /proc/sys/kernel/hostname); \
                     while true; do sleep 0.1; done";

/// A Job of two indexes: 0 stays until it is stopped, and 1 ends like this once 0 can be stopped.
fn pair(bench: &Bench, name: &str, spec: &str, end: &str) {
    let spec = format!("  completionMode: Indexed\n  completions: 2\n  parallelism: 2\n{spec}");
    let script = format!(
        "if [ $$JOB_COMPLETION_INDEX = 0 ]; then {STAYS}; else until [ -e /go/{name}-0 ]; do sleep 0.1; done; {end}; fi"
    );
    bench.manifest(&format!("{name}.yaml"), &patient(bench, &job(name, &spec, &script)));
}

/// With time to end, and a place to say that it can.
fn patient(bench: &Bench, manifest: &str) -> String {
    let go = bench.path("go");
    fs::create_dir_all(&go).unwrap();
    let volume = format!("volumes: [{{name: go, hostPath: {{path: {}}}}}]", go.display());
    let with = |text: &str, word: &str, more: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(word)).unwrap().to_owned();
        let indent = &line[..line.len() - line.trim_start().len()];
        text.replace(&line, &format!("{indent}{more}\n{line}"))
    };
    let text = with(manifest, "containers:", &volume);
    let text = with(&text, "command:", "volumeMounts: [{name: go, mountPath: /go}]");
    text.replace("terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 50")
}

/// Of the pod whose name begins so: each event but its lines, in a word or two.
fn story(ran: &Ran, pod: &str) -> Vec<String> {
    let of_pod = |event: &Value| {
        event["pod"].as_str().is_some_and(|name| name.starts_with(pod)) && event["type"] != "log"
    };
    let plain = |value: &Value| value.to_string().replace('"', "");
    let word = |event: &Value| match event["type"].as_str().unwrap() {
        "status" => plain(&event["status"]),
        "exited" => format!("exited {} {}", event["exitCode"], plain(&event["message"])),
        other => other.to_owned(),
    };
    events(ran).iter().filter(|event| of_pod(event)).map(word).collect()
}

fn told_to_the_end(ran: &Ran, pod: &str) {
    let story = story(ran, pod);
    let at = |word: &str| story.iter().position(|one| one.starts_with(word));
    assert!(at("started") < at("Terminating") && at("Terminating").is_some(), "{story:?}");
    assert!(at("exited 33 last words").is_some(), "{story:?}");
    let since_start = &story[at("started").unwrap()..];
    assert!(!since_start.iter().any(|one| one == "ContainerCreating"), "{story:?}");
    let summary = events(ran).pop().unwrap();
    let of_pod = |one: &&Value| one["pod"].as_str().unwrap().starts_with(pod);
    let one = summary["pods"].as_array().unwrap().iter().find(of_pod).unwrap().clone();
    assert_eq!((&one["result"], &one["exitCode"]), (&Value::from("stopped"), &Value::from(33)), "{one}");
    assert!(one["message"].as_str().unwrap().contains("last words"), "{one}");
    assert!(ran.stdout.contains("\"line\":\"bye\""), "{ran:#?}");
}

#[test]
fn what_is_stopped_is_told_to_its_end() {
    let Some(bench) = Bench::new() else { return };
    let fail_job =
        "  podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}\n";
    pair(&bench, "fj", fail_job, "exit 42");
    let ran = up(&bench, &["-o", "json", "--exit-code-from", "job/fj"]).exits(42);
    told_to_the_end(&ran, "fj-0");
    bench.remove("fj.yaml");
    let late = patient(&bench, &job("late", "  activeDeadlineSeconds: 8\n", STAYS));
    bench.manifest("late.yaml", &late);
    let ran = up(&bench, &["-o", "json", "--exit-code-from", "job/late"]).exits(33);
    told_to_the_end(&ran, "late-");
    bench.remove("late.yaml");
    bench.manifest("long.yaml", &patient(&bench, &pod("long", STAYS)));
    let ran = up(&bench, &["-o", "json", "--timeout", "8s"]).exits(11);
    told_to_the_end(&ran, "long");
    let ran = up(&bench, &["--timeout", "8s"]).exits(11).says("long: Terminating");
    assert!(!ran.stderr.contains("long: ContainerCreating\nlong: stopped"), "{ran:#?}");
    bench.until_clean();
}

#[test]
fn a_status_file_tells_how_the_pods_of_a_job_ended_that_was_stopped() {
    let Some(bench) = Bench::new() else { return };
    pair(&bench, "part", "", "exit 0");
    up(&bench, &["--timeout", "12s"]).exits(11);
    let status = unfolded(&bench.read("part.status.yaml"));
    for part in [
        "summary: 1 job stopped with the command (1/2)",
        "phase: Succeeded",
        "phase: Failed",
        "exitCode: 33",
        "last words",
    ] {
        assert!(status.contains(part), "{part}\n{status}");
    }
    assert!(!status.contains("active:") && !status.contains("phase: Running"), "{status}");
    bench.until_clean();
}

#[test]
fn a_test_report_has_no_success_of_what_was_stopped() {
    let Some(bench) = Bench::new() else { return };
    let fail_job =
        "  podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}\n";
    pair(&bench, "fj", fail_job, "exit 42");
    pair(&bench, "mx", "  backoffLimitPerIndex: 0\n  maxFailedIndexes: 0\n", "exit 1");
    pair(&bench, "sp", "  successPolicy: {rules: [{succeededIndexes: '1'}]}\n", "exit 0");
    pair(&bench, "dl", "  activeDeadlineSeconds: 12\n", STAYS);
    let report = bench.path("report.xml");
    up(&bench, &["--junit", report.to_str().unwrap()]).exits(10);
    let text = fs::read_to_string(&report).unwrap();
    let case = |name: &str| {
        let start = text.find(&format!("name=\"{name}\" time=")).unwrap_or_else(|| panic!("{name}\n{text}"));
        text[start..].lines().next().unwrap().to_owned()
    };
    let stopped = "(Error): last words";
    for (name, parts) in [
        ("fj[0]", ["<error message=\"stopped with its Job: PodFailurePolicy", stopped]),
        ("fj[1]", ["<failure message=", "main exited with 42"]),
        ("mx[0]", ["<error message=\"stopped with its Job: MaxFailedIndexesExceeded", stopped]),
        ("mx[1]", ["<failure message=", "main exited with 1"]),
        ("sp[0]", ["<skipped message=\"not needed\"", ""]),
        ("sp[1]", ["/>", ""]),
        ("dl[0]", ["<error message=\"stopped with its Job: DeadlineExceeded", stopped]),
        ("dl[1]", ["<error message=\"stopped with its Job: DeadlineExceeded", stopped]),
    ] {
        let case = case(name);
        assert!(parts.iter().all(|part| case.contains(part)), "{name}: {case}");
    }
    bench.until_clean();
}

#[test]
fn what_was_stopped_stays_to_be_looked_at_where_that_is_asked_for() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("long.yaml", &patient(&bench, &pod("long", STAYS)));
    bench.manifest("never.yaml", &without_image("never"));
    let ran = up(&bench, &["--timeout", "8s", "--keep-on-failure"]).exits(11);
    let with = |words: &[&str]| kept(&bench, &ran, words);
    let rows = with(&["get", "pods", "--no-headers"]).stdout;
    let words: Vec<Vec<&str>> = rows.lines().map(|row| row.split_whitespace().take(3).collect()).collect();
    assert_eq!(words, [["long", "0/1", "Error"], ["never", "0/1", "ErrImageNeverPull"]]);
    with(&["logs", "long"]).prints("hi\nbye\n");
    let told = with(&["describe", "pod", "long"]).stdout;
    for part in ["Exit Code:    33", "last words", "the pod was stopped before its end"] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    with(&["down"]).exits(0);
    bench.remove("long.yaml").remove("never.yaml");

    let fail_job =
        "  podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}\n";
    pair(&bench, "fj", fail_job, "exit 42");
    let ran = up(&bench, &["--keep"]).exits(10);
    let with = |words: &[&str]| kept(&bench, &ran, words);
    let rows = with(&["get", "pods", "--no-headers"]).stdout;
    assert!(rows.lines().count() == 2 && rows.matches("Error").count() == 2, "{rows}");
    let stopped = rows.lines().find_map(|row| row.split_whitespace().next()).unwrap().to_owned();
    assert!(stopped.starts_with("fj-0-"), "{rows}");
    with(&["logs", &stopped]).prints("hi\nbye\n");
    with(&["get", "jobs"]).says("Failed");
    with(&["down"]).exits(0);
    bench.until_clean();
}

/// A command in what an `up` has kept.
fn kept(bench: &Bench, ran: &Ran, words: &[&str]) -> Ran {
    let look = ran.stderr.lines().find_map(|line| line.split_once("look with: droppod ")).unwrap().1;
    let options: Vec<&str> = look.split(' ').take(6).collect();
    bench.run(&[&options[..], words].concat()).exits(0)
}

#[test]
fn an_up_beside_a_watcher_leaves_that_ones_status_files_alone() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("done.yaml", &job("done", "", "true"));
    bench.until("the watcher has told the end", || bench.read("done.status.yaml").contains("1 job complete"));
    let told = bench.read("done.status.yaml");
    up(&bench, &[]).exits(0).says("job.batch/done: Complete");
    assert_eq!(bench.read("done.status.yaml"), told);
    fs::create_dir(bench.folder().join("below")).unwrap();
    fs::write(bench.folder().join("below/more.yaml"), job("more", "", "true")).unwrap();
    bench.until("below it, too", || bench.read("below/more.status.yaml").contains("1 job complete"));
    let told = bench.read("below/more.status.yaml");
    bench.run(&["up", "-f", bench.folder().join("below/more.yaml").to_str().unwrap()]).exits(0);
    assert_eq!(bench.read("below/more.status.yaml"), told);
    assert_eq!(watch.stop(), 0);
    let uid = |text: &str| text.split("uid: ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let before = bench.read("done.status.yaml");
    up(&bench, &[]).exits(0);
    assert_ne!(uid(&bench.read("done.status.yaml")), uid(&before), "nobody else tells of it");
    bench.run(&["delete", "-f", bench.folder().to_str().unwrap(), "-R"]).exits(0);
    bench.until_clean();
}
