//! Jobs and CronJobs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bench::{Bench, let_pass};

const SQUARES: &str = include_str!("../../manifests/job.yaml");

fn job(name: &str, spec: &str, script: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n{spec}  template:\n    spec:\n      restartPolicy: \
         Never\n      terminationGracePeriodSeconds: 1\n      containers:\n      - name: main\n        image: \
         droppod.local/host\n        command: [bash, -c, {script:?}]\n"
    )
}

/// A column of `get jobs`, counted from 0: NAME STATUS COMPLETIONS DURATION AGE.
fn column(bench: &Bench, name: &str, index: usize) -> String {
    let table = bench.run(&["get", "jobs", "--no-headers"]).stdout;
    let row = table.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap_or_default();
    row.split_whitespace().nth(index).unwrap_or_default().to_owned()
}

fn until_job(bench: &Bench, name: &str, status: &str) {
    bench.until(&format!("job {name} is {status}"), || column(bench, name, 1) == status);
}

#[test]
fn the_sample_of_a_job_runs_each_index_once_under_up() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("job.yaml", SQUARES);
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    for index in 0..5 {
        let line = format!("the square of {index} is {}", index * index);
        assert_eq!(ran.stdout.matches(&line).count(), 1, "{ran:#?}");
    }
    assert!(ran.stderr.contains("job.batch/squares: Complete, 5 succeeded, 0 failed"), "{ran:#?}");
    let status = bench.read("job.status.yaml");
    assert!(status.contains("completedIndexes: 0-4"), "{status}");
    bench.until_clean();
}

#[test]
fn an_index_is_told_by_variable_and_hostname() {
    let Some(bench) = Bench::new() else { return };
    let spec = "  completionMode: Indexed\n  completions: 2\n  parallelism: 2\n";
    let script = "echo $$JOB_COMPLETION_INDEX on $$(cat /proc/sys/kernel/hostname)";
    bench.manifest("job.yaml", &job("named", spec, script));
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(0);
    for line in ["0 on named-0", "1 on named-1"] {
        assert!(ran.stdout.contains(line), "{ran:#?}");
    }
    bench.until_clean();
}

#[test]
fn a_failed_job_makes_up_exit_with_10() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("job.yaml", &job("broken", "  backoffLimit: 0\n", "echo going down; exit 3"));
    let ran = bench.run(&["up", "-f", bench.folder().to_str().unwrap()]).exits(10).says("going down");
    assert!(ran.stderr.contains("BackoffLimitExceeded"), "{ran:#?}");
    bench.until_clean();
}

#[test]
fn up_ends_with_its_job_though_a_pod_beside_it_is_endless() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("job.yaml", &job("quick", "", "sleep 0.5; echo worked"));
    let server = "apiVersion: v1\nkind: Pod\nmetadata: {name: server}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
                  containers:\n  - {name: main, image: droppod.local/host, command: [sleep, '1000']}\n";
    bench.manifest("server.yaml", server);
    bench.run(&["up", "-f", bench.folder().to_str().unwrap(), "--timeout", "50s"]).exits(0).says("worked");
    bench.until_clean();
}

#[test]
fn a_job_in_the_folder_runs_once_is_shown_and_goes_with_its_file() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("job.yaml", SQUARES);
    until_job(&bench, "squares", "Complete");
    assert_eq!(column(&bench, "squares", 2), "5/5");
    let pods = bench.run(&["get", "pods", "--no-headers"]).stdout;
    assert_eq!(pods.lines().filter(|line| line.contains(" Completed ")).count(), 5, "{pods}");
    let logs = bench.run(&["logs", "job/squares", "--all-pods"]).stdout;
    assert_eq!(logs.lines().count(), 5, "{logs}");
    let status = bench.read("job.status.yaml");
    for part in ["summary: 1 job complete (5/5)", "type: Complete", "kind: Job", "reason: SuccessfulCreate"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    // Finished is finished, whoever watches and whatever else is edited.
    assert_eq!(watch.stop(), 0);
    let watch = bench.watch();
    bench.manifest("job.yaml", &SQUARES.replace("backoffLimit: 3", "backoffLimit: 4"));
    bench.until("the edit is applied", || {
        bench.run(&["get", "job", "squares", "-o", "yaml"]).stdout.contains("backoffLimit: 4")
    });
    assert_eq!(bench.run(&["get", "pods", "--no-headers"]).stdout.lines().count(), 5);
    // Another template is another run.
    bench.manifest("job.yaml", &SQUARES.replace("the square", "the great square"));
    bench.until("it runs anew", || {
        bench.run(&["logs", "job/squares", "--all-pods"]).stdout.matches("the great square").count() == 5
    });
    bench.remove("job.yaml");
    bench.until("nothing is left", || bench.run(&["get", "all"]).stdout.is_empty());
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_job_is_suspended_and_resumed_by_edits() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let text = |suspend: &str| job("paused", &format!("  suspend: {suspend}\n"), "sleep 1; echo done");
    bench.manifest("job.yaml", &text("true"));
    until_job(&bench, "paused", "Suspended");
    assert!(bench.run(&["get", "pods"]).stdout.is_empty());
    bench.manifest("job.yaml", &text("false"));
    bench.until("a pod runs", || bench.run(&["get", "pods"]).stdout.contains("Running"));
    bench.manifest("job.yaml", &text("true"));
    bench.until("no pod is left", || bench.run(&["get", "pods"]).stdout.is_empty());
    bench.manifest("job.yaml", &text("false"));
    until_job(&bench, "paused", "Complete");
    bench.remove("job.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_pod_of_a_job_that_is_deleted_counts_as_failed() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("job.yaml", &job("long", "  backoffLimit: 0\n", "sleep 1000"));
    bench.until("it runs", || bench.run(&["get", "pods"]).stdout.contains("Running"));
    let pod = bench.run(&["get", "pods", "-o", "name"]).stdout.trim().to_owned();
    bench.run(&["delete", &pod]).exits(0);
    until_job(&bench, "long", "Failed");
    bench.remove("job.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// How often the watcher is killed while a Job runs, if not 20 times.
const KILLS: &str = "DROPPOD_KILLS";

#[test]
fn no_index_runs_after_its_end_is_recorded_however_often_the_watcher_is_killed() {
    let Some(bench) = Bench::new() else { return };
    let kills = std::env::var(KILLS).map_or(20, |kills| kills.parse().unwrap());
    let (indexes, parallelism) = if kills > 20 { (4 * kills, 10) } else { (3 * kills, 5) };
    let spec = format!(
        "  completionMode: Indexed\n  completions: {indexes}\n  parallelism: {parallelism}\n  backoffLimit: 100\n"
    );
    let mut watch = bench.watch();
    bench.manifest("job.yaml", &job("many", &spec, "echo index $$JOB_COMPLETION_INDEX; sleep 0.2"));
    for number in 0..kills {
        // Moments that fall into every part of a pass.
        let_pass(Duration::from_millis(37 + number * 53 % 400));
        watch.kill();
        watch = bench.watch();
    }
    let all = format!("{indexes}/{indexes}");
    bench.until("all are done", || column(&bench, "many", 2) == all);
    until_job(&bench, "many", "Complete");
    let json = bench.run(&["get", "pods", "-o", "json"]).stdout;
    let pods: serde_json::Value = serde_json::from_str(&json).unwrap();
    // When the success of each index was recorded, and when each pod of it was made.
    let mut succeeded: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut made: Vec<(&str, &str)> = Vec::new();
    for pod in pods["items"].as_array().unwrap() {
        let metadata = &pod["metadata"];
        let index = metadata["annotations"]["batch.kubernetes.io/job-completion-index"].as_str().unwrap();
        made.push((index, metadata["creationTimestamp"].as_str().unwrap()));
        if pod["status"]["phase"] == "Succeeded" {
            let end = &pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"];
            succeeded.entry(index).or_default().push(end.as_str().unwrap());
        }
    }
    assert_eq!(succeeded.len() as u64, indexes);
    assert!(succeeded.values().all(|times| times.len() == 1), "{succeeded:?}");
    let again = made.iter().find(|(index, at)| *at > succeeded[index][0]);
    assert_eq!(again, None);
    bench.remove("job.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_cron_job_is_shown_and_a_job_is_made_of_it_by_hand_and_run_again() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("cron.yaml", include_str!("../../manifests/cronjob.yaml"));
    bench.until("it is there", || bench.run(&["get", "cronjobs"]).stdout.contains("nightly"));
    let table = bench.run(&["get", "cj"]).stdout;
    let words: Vec<&str> =
        table.lines().nth(1).unwrap().split("   ").map(str::trim).filter(|w| !w.is_empty()).collect();
    assert_eq!(words[..6], ["nightly", "30 2 * * *", "Europe/Berlin", "False", "0", "<none>"], "{table}");
    let dry = |more: &[&str]| {
        bench
            .run(&[&["create", "job", "now", "--from=cronjob/nightly", "--dry-run=client"], more].concat())
            .exits(0)
    };
    dry(&[]).prints("job.batch/now created (dry run)\n");
    dry(&["-o", "name"]).prints("job.batch/now\n");
    let json: serde_json::Value = serde_json::from_str(&dry(&["-o", "json"]).stdout).unwrap();
    assert_eq!((json["kind"].as_str(), json["metadata"]["name"].as_str()), (Some("Job"), Some("now")));
    let validated = bench.run_with_input(&["validate", "-f", "-"], &dry(&["-o", "yaml"]).stdout);
    assert!(validated.exits(0).stdout.contains("job.batch/now"));
    assert!(bench.run(&["get", "jobs"]).stdout.is_empty(), "nothing was made");
    let ran =
        bench.run(&["create", "job", "now", "--from=cronjob/nightly", "--wait", "--timeout", "50s"]).exits(0);
    assert!(ran.stdout.contains("job.batch/now created"), "{ran:#?}");
    assert!(bench.run(&["logs", "job/now"]).stdout.contains("done"));
    bench.run(&["create", "job", "now", "--from=cronjob/nightly"]).exits(1);
    let uid = |bench: &Bench| bench.run(&["get", "job", "now", "-o", "yaml"]).stdout;
    let before = uid(&bench);
    bench.run(&["rerun", "job/now"]).exits(0);
    bench
        .until("another run is complete", || uid(&bench) != before && column(&bench, "now", 1) == "Complete");
    bench.run(&["delete", "job", "now"]).exits(0);
    bench.remove("cron.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
