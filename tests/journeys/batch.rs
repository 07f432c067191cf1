//! `up` as CI and cron use it: exit codes, events, reports, giving up early, leaving things to look at.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::bench::{Bench, Ran};

mod early;

fn pod(name: &str, script: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: droppod.local/host\n    \
         command: [bash, -c, {script:?}]\n"
    )
}

fn job(name: &str, spec: &str, script: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n{spec}  template:\n    spec:\n      restartPolicy: \
         Never\n      terminationGracePeriodSeconds: 1\n      containers:\n      - name: main\n        image: \
         droppod.local/host\n        command: [bash, -c, {script:?}]\n"
    )
}

/// A pod that can only have an image that nobody brings.
fn without_image(name: &str) -> String {
    pod(name, "true").replace(
        "    image: droppod.local/host\n",
        "    image: docker-archive:absent.tar\n    imagePullPolicy: Never\n",
    )
}

fn up(bench: &Bench, more: &[&str]) -> Ran {
    let folder = bench.folder();
    let mut words = vec!["up", "-f", folder.to_str().unwrap()];
    words.extend(more);
    bench.run(&words)
}

fn events(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_exit_code_of_a_job_is_that_of_the_pod_that_failed_last() {
    let Some(bench) = Bench::new() else { return };
    let spec = "  completionMode: Indexed\n  completions: 2\n  parallelism: 1\n  backoffLimitPerIndex: 0\n";
    bench.manifest("job.yaml", &job("tests", spec, "exit $$((41 + JOB_COMPLETION_INDEX))"));
    bench.manifest("other.yaml", &pod("other", "exit 5"));
    up(&bench, &["--exit-code-from", "job/tests:main"]).exits(42);
    up(&bench, &["--exit-code-from", "job/absent"]).exits(2).says("the jobs there are: tests");
    up(&bench, &["--exit-code-from", "job/tests:absent"]).exits(2).says("the containers there are: main");
    bench.manifest("job.yaml", &job("tests", spec, "exit 0"));
    up(&bench, &["--exit-code-from", "job/tests"]).exits(0);
    bench.until_clean();
}

#[test]
fn events_tell_every_line_start_and_end_of_the_shortest_lives() {
    let Some(bench) = Bench::new() else { return };
    let spec = "  completionMode: Indexed\n  completions: 40\n  parallelism: 8\n";
    bench.manifest(
        "job.yaml",
        &job("short", spec, "echo one $$JOB_COMPLETION_INDEX; echo two $$JOB_COMPLETION_INDEX >&2"),
    );
    let ran = up(&bench, &["--output", "json"]).exits(0);
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    let (mut started, mut exited) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new());
    assert_eq!(ran.stderr, "", "what went well is no mail");
    for event in events(&ran) {
        let pod = event["pod"].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap() {
            "log" => {
                assert!(!exited.contains_key(&pod), "a line after the end of {pod}");
                assert!(started.contains_key(&pod), "a line before the start of {pod}");
                assert_eq!(event["run"], 0);
                *lines.entry(format!("{} {}", event["stream"], event["line"])).or_default() += 1;
            }
            "started" => *started.entry(pod).or_default() += 1,
            "exited" => {
                assert_eq!((&event["exitCode"], &event["run"]), (&Value::from(0), &Value::from(0)));
                *exited.entry(pod).or_default() += 1;
            }
            _ => {}
        }
    }
    assert_eq!((started.len(), exited.len(), lines.len()), (40, 40, 80), "{ran:#?}");
    for counts in [&started, &exited, &lines] {
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    }
    for index in 0..40 {
        assert!(lines.contains_key(&format!("\"stdout\" \"one {index}\"")), "{lines:?}");
        assert!(lines.contains_key(&format!("\"stderr\" \"two {index}\"")), "{lines:?}");
    }
    let summary = events(&ran).pop().unwrap();
    assert_eq!((&summary["type"], &summary["exitCode"]), (&Value::from("summary"), &Value::from(0)));
    assert_eq!(summary["jobs"][0]["succeeded"], 40);
    bench.until_clean();
}

#[test]
fn runs_that_follow_each_other_at_once_are_all_told() {
    let Some(bench) = Bench::new() else { return };
    let script = "n=$$(cat /work/n 2>/dev/null || echo 0); echo $$((n + 1)) > /work/n; echo run $$n; exit $$((7 * (1 - n)))";
    let text = pod("again", script)
        .replace("Never", "OnFailure")
        .replace("  containers:", "  volumes: [{name: work, emptyDir: {}}]\n  containers:")
        .replace("    command:", "    volumeMounts: [{name: work, mountPath: /work}]\n    command:");
    bench.manifest("again.yaml", &text);
    let ran = up(&bench, &["-o", "json"]).exits(0);
    // Of each run by itself: the next may begin before the end of one is seen.
    let told = |run: u64| -> Vec<String> {
        let of_run = events(&ran).into_iter().filter(|event| event["run"] == run);
        of_run.map(|event| format!("{} {}{}", event["type"], event["line"], event["exitCode"])).collect()
    };
    let story = |run: u64, code: u64| {
        [
            "\"started\" nullnull".to_owned(),
            format!("\"log\" \"run {run}\"null"),
            format!("\"exited\" null{code}"),
        ]
    };
    assert_eq!(told(0), story(0, 7), "{ran:#?}");
    assert_eq!(told(1), story(1, 0), "{ran:#?}");
    bench.until_clean();
}

#[test]
fn a_test_report_has_a_case_for_each_index_and_each_pod() {
    let Some(bench) = Bench::new() else { return };
    let spec = "  completionMode: Indexed\n  completions: 3\n  parallelism: 3\n  backoffLimitPerIndex: 0\n";
    let script =
        "if [ $$JOB_COMPLETION_INDEX = 1 ]; then echo '<no> & disc' > /dev/termination-log; exit 3; fi";
    bench.manifest("job.yaml", &job("tests", spec, script));
    bench.manifest("good.yaml", &pod("good", "true"));
    let report = bench.path("report.xml");
    up(&bench, &["--junit", report.to_str().unwrap()]).exits(10);
    let text = fs::read_to_string(&report).unwrap();
    for part in [
        "<testsuites name=\"droppod up\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"0\"",
        "<testcase classname=\"default.tests\" name=\"tests[0]\"",
        "<testcase classname=\"default.tests\" name=\"tests[1]\"",
        ">main: &lt;no&gt; &amp; disc</failure>",
        "<testcase classname=\"default.pod\" name=\"good\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    up(&bench, &["--junit", "/no/such/directory/x.xml"]).exits(2).says("cannot write a test report");
    bench.until_clean();
}

#[test]
fn what_can_never_start_ends_everything_at_once_where_that_is_asked_for() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("long.yaml", &pod("long", "trap 'exit 0' TERM; sleep 1000 & wait"));
    bench.manifest("never.yaml", &without_image("never"));
    let ran = up(&bench, &["--fail-fast", "--timeout", "50s"]).exits(13);
    assert!(ran.stderr.contains("never can never start: container main: ErrImageNeverPull"), "{ran:#?}");
    let missing = pod("lacks", "true").replace(
        "    command:",
        "    env: [{name: X, valueFrom: {configMapKeyRef: {name: nowhere, key: x}}}]\n    command:",
    );
    bench.manifest("never.yaml", &missing);
    let ran = up(&bench, &["--fail-fast", "--timeout", "50s"]).exits(1);
    assert!(
        ran.stderr.contains("lacks can never start: container main: CreateContainerConfigError"),
        "{ran:#?}"
    );
    assert!(ran.stderr.contains("nowhere"), "{ran:#?}");
    for (source, message) in [
        ("configMap: {name: nowhere}", "configmap \"nowhere\" not found"),
        ("secret: {secretName: nowhere}", "secret \"nowhere\" not found"),
        ("projected: {sources: [{secret: {name: nowhere}}]}", "secret \"nowhere\" not found"),
    ] {
        let volume = format!("  volumes: [{{name: v, {source}}}]\n  containers:");
        bench.manifest("never.yaml", &pod("lacks", "true").replace("  containers:", &volume));
        let why = format!("MountVolume.SetUp failed for volume \"v\" : {message}");
        let ran = up(&bench, &["--fail-fast", "--timeout", "50s"]).exits(1);
        assert!(ran.stderr.contains("lacks can never start: ") && ran.stderr.contains(&why), "{ran:#?}");
    }
    // Where nothing else runs, nobody has to ask for that.
    bench.remove("long.yaml");
    up(&bench, &["--timeout", "50s"]).exits(1).says("not started");
    bench.until_clean();
}

#[test]
fn records_stay_after_a_failure_where_that_is_asked_for() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("pod.yaml", &pod("sad", "echo last words; exit 3"));
    let ran = up(&bench, &["--keep-on-failure"]).exits(10);
    let look = ran.stderr.lines().find_map(|line| line.split_once("look with: droppod ")).unwrap().1;
    let options: Vec<&str> = look.split(' ').take(6).collect();
    let with = |words: &[&str]| bench.run(&[&options[..], words].concat());
    with(&["get", "pods"]).exits(0).says("Error");
    with(&["logs", "sad"]).exits(0).prints("last words\n");
    with(&["down"]).exits(0);
    bench.manifest("pod.yaml", &pod("glad", "true"));
    let ran = up(&bench, &["--keep-on-failure"]).exits(0);
    assert!(!ran.stderr.contains("kept"), "{ran:#?}");
    bench.until_clean();
}

#[test]
fn the_end_of_several_is_told_in_a_table() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("good.yaml", &pod("good", "true"));
    bench.manifest("bad.yaml", &pod("bad", "exit 3"));
    bench.manifest("job.yaml", &job("work", "", "true"));
    let ran = up(&bench, &[]).exits(10);
    let table: Vec<Vec<&str>> = ran
        .stderr
        .lines()
        .skip_while(|line| !line.starts_with("NAME"))
        .map(|line| line.split_whitespace().take(3).collect())
        .collect();
    assert_eq!(table[0], ["NAME", "RESULT", "EXIT"]);
    assert_eq!(table[1][..2], ["job.batch/work", "Complete"]);
    assert!(
        table.contains(&vec!["good", "Succeeded", "0"]) && table.contains(&vec!["bad", "Failed", "3"]),
        "{ran:#?}"
    );
    bench.until_clean();
}

#[test]
fn two_runs_of_the_same_files_at_once_do_not_clash() {
    let Some(bench) = Bench::new() else { return };
    let spec = "  completionMode: Indexed\n  completions: 4\n  parallelism: 4\n";
    bench.manifest("job.yaml", &job("twin", spec, "echo index $$JOB_COMPLETION_INDEX; sleep 0.3"));
    let folder = bench.folder();
    let rans: Vec<Ran> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..3).map(|_| scope.spawn(|| bench.run(&["up", "-f", folder.to_str().unwrap()]))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for ran in rans {
        let ran = ran.exits(0);
        for index in 0..4 {
            assert_eq!(ran.stdout.matches(&format!("index {index}")).count(), 1, "{ran:#?}");
        }
    }
    assert!(
        bench.read("job.status.yaml").contains("completedIndexes: 0-3"),
        "{}",
        bench.read("job.status.yaml")
    );
    bench.until_clean();
}

#[test]
fn jobs_that_are_all_suspended_are_told_at_once() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("job.yaml", &job("later", "  suspend: true\n", "true"));
    up(&bench, &["--fail-fast"]).exits(1).says("every Job and CronJob is suspended, nothing will run");
    let running = bench.start(&["up", "-f", bench.folder().to_str().unwrap()]);
    bench.until("it is told", || bench.said("warning: every Job and CronJob is suspended"));
    bench.until("it has looked", || !bench.read("job.status.yaml").is_empty());
    assert_eq!(running.stop(), 130);
    bench.until_clean();
}
