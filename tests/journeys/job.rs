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
    bench.until("it is told to be in vain", || {
        let status = bench.read("job.status.yaml");
        status.contains("field: spec.backoffLimit") && status.contains("the Job has ended")
    });
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
fn an_edit_that_a_job_cannot_take_is_told_until_it_is_run_again() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("done.yaml", &job("done", "  completions: 1\n", "true"));
    let going = job("going", "  completions: 2\n", "sleep 1000");
    bench.manifest("going.yaml", &going);
    until_job(&bench, "done", "Complete");
    until_job(&bench, "going", "Running");
    bench.manifest("done.yaml", &job("done", "  completions: 2\n", "true"));
    bench.manifest("going.yaml", &going.replace("completions: 2", "completions: 3"));
    for (file, why) in [
        ("done.status.yaml", "field is immutable once the Job has ended"),
        ("going.status.yaml", "field is immutable"),
    ] {
        bench.until(&format!("{file} tells it"), || {
            let status = bench.read(file);
            status.contains("state: Invalid")
                && status.contains("- line: 5\n    column: 3\n    field: spec.completions")
                && status.contains(why)
        });
    }
    assert_eq!((column(&bench, "done", 2), column(&bench, "going", 2)), ("1/1".into(), "0/2".into()));
    let folder = bench.folder();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    bench.run(&["diff", "-f", &file("done.yaml")]).exits(1).says("refused: spec.completions");
    // What may change of a Job that goes on does.
    bench.manifest("going.yaml", &going.replace("completions: 2\n", "completions: 2\n  parallelism: 2\n"));
    bench.until("both run", || bench.run(&["get", "pods"]).stdout.matches("Running").count() == 2);
    assert!(bench.read("going.status.yaml").contains("state: Applied"));
    let anew = job("done", "  completions: 2\n", "true")
        .replace("name: done", "name: done, annotations: {droppod.dev/rerun: again}");
    bench.manifest("done.yaml", &anew);
    bench.until("it runs anew", || column(&bench, "done", 2) == "2/2");
    bench.until("nothing is wrong", || bench.read("done.status.yaml").contains("state: Applied"));
    bench.remove("done.yaml").remove("going.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_pod_of_a_job_that_waits_for_its_end_counts_as_it_ended() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let patient = |text: &str| text.replace("GracePeriodSeconds: 1", "GracePeriodSeconds: 50");
    let script = |code: u8| format!("trap 'exit {code}' TERM; echo ready; while true; do sleep 0.1; done");
    let ignore = "  backoffLimit: 0\n  podFailurePolicy: {rules: [{action: Ignore, onExitCodes: {operator: In, values: [143]}}]}\n";
    let replace = "  backoffLimit: 0\n  podReplacementPolicy: Failed\n";
    bench.manifest("spared.yaml", &patient(&job("spared", ignore, &script(143))));
    bench.manifest("done.yaml", &patient(&job("done", replace, &script(0))));
    let pod = |job: &str| {
        let rows = bench.run(&["get", "pods", "-l", &format!("job-name={job}"), "-o", "name"]).stdout;
        rows.trim().to_owned()
    };
    let is_ready = |pod: &str| !pod.is_empty() && bench.run(&["logs", pod]).stdout == "ready\n";
    bench.until("both can be stopped", || is_ready(&pod("spared")) && is_ready(&pod("done")));
    let (first, done) = (pod("spared"), pod("done"));
    bench.run(&["delete", &first]).exits(0);
    bench.run(&["delete", &done]).exits(0);
    until_job(&bench, "done", "Complete");
    bench.until("it is replaced", || {
        let next = pod("spared");
        next != first && is_ready(&next)
    });
    let failed = |job: &str| bench.run(&["get", "job", job, "-o", "jsonpath={.status.failed}"]).stdout;
    assert_eq!((column(&bench, "spared", 1).as_str(), failed("spared").as_str()), ("Running", ""));
    assert_eq!(failed("done"), "");
    bench.remove("spared.yaml").remove("done.yaml");
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
fn should_run_a_job_to_completion_when_tasks_sometimes_fail_and_are_locally_restarted() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let spec = "  completions: 4\n  parallelism: 2\n";
    let text = job("restarted", spec, "[ -e /data/failed ] || { touch /data/failed; exit 1; }")
        .replace(
            "restartPolicy: Never",
            "restartPolicy: OnFailure\n      volumes: [{name: data, emptyDir: {}}]",
        )
        .replace("    image:", "    volumeMounts: [{name: data, mountPath: /data}]\n        image:");
    bench.manifest("job.yaml", &text);
    until_job(&bench, "restarted", "Complete");
    bench.until("its status file says so", || bench.read("job.status.yaml").contains("succeeded: 4"));
    let status = bench.read("job.status.yaml");
    assert!(!status.contains("failed: "), "{status}");
    let rows = bench.run(&["get", "pods", "--no-headers"]).stdout;
    let restarts: Vec<&str> = rows.lines().map(|row| row.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!(restarts, ["1"; 4], "{rows}");
    bench.remove("job.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// Names of all pods, and the conditions of one that the machine has cut off.
fn pods(bench: &Bench) -> (Vec<String>, Vec<String>) {
    let json = bench.run(&["get", "pods", "-o", "json"]).stdout;
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    let items = list["items"].as_array().unwrap();
    let names = items.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    let lost = items.iter().filter(|pod| pod["status"]["reason"] == "NodeLost");
    let conditions = lost.flat_map(|pod| pod["status"]["conditions"].as_array().unwrap());
    let met = conditions.filter(|condition| condition["status"] == "True");
    (names, met.map(|condition| condition["type"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn finished_is_finished_over_a_restart_of_the_machine_and_what_it_cut_off_goes_on() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("done.yaml", &job("done", "", "true"));
    bench.manifest("broken.yaml", &job("broken", "  backoffLimit: 0\n", "exit 3"));
    until_job(&bench, "done", "Complete");
    until_job(&bench, "broken", "Failed");
    let ended = pods(&bench).0;
    assert_eq!(ended.len(), 2);
    // Index 1 waits for what only comes when the machine is up again.
    let marks = bench.path("marks");
    std::fs::create_dir(&marks).unwrap();
    let spec = "  completionMode: Indexed\n  completions: 2\n  parallelism: 1\n  backoffLimit: 0\n  podReplacementPolicy: Failed\n  \
                podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}\n";
    let script = "[ $$JOB_COMPLETION_INDEX = 0 ] || [ -e /marks/up ] || sleep 1000";
    let volume = format!("volumes: [{{name: marks, hostPath: {{path: {}}}}}]", marks.display());
    let text = job("cut", spec, script)
        .replace("restartPolicy: Never", &format!("restartPolicy: Never\n      {volume}"))
        .replace("    image:", "    volumeMounts: [{name: marks, mountPath: /marks}]\n        image:");
    bench.manifest("cut.yaml", &text);
    bench.until("index 1 runs", || {
        column(&bench, "cut", 2) == "1/2" && bench.run(&["get", "pods"]).stdout.contains("Running")
    });
    let before = pods(&bench).0;
    watch.kill();
    for pid in bench.shims() {
        std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    }
    std::fs::write(marks.join("up"), "").unwrap();
    let watch = bench.watch_after_a_reboot();
    until_job(&bench, "cut", "Complete");
    assert_eq!(
        (column(&bench, "done", 1), column(&bench, "broken", 1)),
        ("Complete".into(), "Failed".into())
    );
    let (after, lost) = pods(&bench);
    let made: Vec<&String> = after.iter().filter(|name| !before.contains(name)).collect();
    assert!(made.len() == 1 && made[0].starts_with("cut-1-"), "{before:?} became {after:?}");
    assert!(ended.iter().all(|name| after.contains(name)), "{after:?}");
    assert!(lost.iter().any(|kind| kind == "DisruptionTarget"), "{lost:?}");
    for file in ["done.yaml", "broken.yaml", "cut.yaml"] {
        bench.remove(file);
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
