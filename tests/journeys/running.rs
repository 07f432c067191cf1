//! Waiting for a pod that is about to run, and what is told of since when it does.

use crate::bench::Bench;

fn pod(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n{rest}  \
         containers:\n  - name: main\n    image: droppod.local/host\n    command: [sh, -c, 'echo begun; sleep 1000']\n"
    )
}

const TIMED_OUT: &str = "error: timed out waiting for the condition\n";

#[test]
fn exec_attach_and_logs_wait_for_a_pod_as_long_as_they_are_told() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let held = pod("held", "") + "    envFrom: [{configMapRef: {name: settings}}]\n";
    bench.manifest("held.yaml", &held);
    bench.until_status("held", "CreateContainerConfigError");
    let why = "container main of pod default/held does not run: CreateContainerConfigError";
    let short = "--pod-running-timeout=100ms";
    bench.run(&["exec", "held", short, "--", "true"]).exits(1).says(TIMED_OUT).says(why);
    bench.run(&["attach", "held", short]).exits(1).says(TIMED_OUT).says(why);
    bench.run(&["logs", "held", short]).exits(1).says(TIMED_OUT).says("is waiting to start");
    // Without it they say at once what is the matter.
    bench.run(&["exec", "held", "--", "true"]).exits(1).says("error: container main of pod default/held");
    let long = "--pod-running-timeout=1m";
    let mut waits = bench.start(&["exec", "held", long, "--", "sh", "-c", "echo $COLOUR"]);
    assert!(waits.is_running());
    bench.manifest(
        "settings.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {COLOUR: green}\n",
    );
    bench.until("it was run", || !waits.is_running());
    assert_eq!(std::fs::read_to_string(bench.path("out")).unwrap(), "green\n");
    bench.run(&["logs", "held", long]).exits(0).prints("begun\n");
    bench.run(&["exec", "gone", long, "--", "true"]).exits(1).says("pods \"gone\" not found");
    bench.remove("held.yaml").remove("settings.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_job_stands_for_its_pod() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let template = "      restartPolicy: Never\n      terminationGracePeriodSeconds: 1\n      containers:\n      \
                    - {name: main, image: droppod.local/host, command: [sh, -c, 'echo begun; sleep 1000']}\n      \
                    - {name: beside, image: droppod.local/host, command: [sleep, '1000']}\n";
    let job = |suspend: bool| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: work}}\nspec:\n  suspend: {suspend}\n  template:\n    \
             spec:\n{template}"
        )
    };
    bench.manifest("work.yaml", &job(true));
    bench.until("it is there", || {
        bench.run(&["get", "job", "work", "-o", "name"]).stdout == "job.batch/work\n"
    });
    let short = "--pod-running-timeout=100ms";
    bench
        .run(&["exec", "job/work", short, "--", "true"])
        .exits(1)
        .says(TIMED_OUT)
        .says("job work has no pods");
    let mut waits = bench.start(&["exec", "job/work", "--pod-running-timeout=1m", "--", "echo", "inside"]);
    bench.manifest("work.yaml", &job(false));
    bench.until("it was run", || !waits.is_running());
    assert_eq!(std::fs::read_to_string(bench.path("out")).unwrap(), "inside\n");
    let ran = bench.run(&["exec", "job/work", "--", "true"]).exits(0);
    assert_eq!(ran.stderr, "Defaulted container \"main\" out of: main, beside\n");
    assert_eq!(bench.run(&["exec", "-q", "job/work", "--", "true"]).exits(0).stderr, "");
    bench.run(&["exec", "cm/work", "--", "true"]).exits(2).says("`cm/work` is neither a pod nor a Job");
    bench.remove("work.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn run_in_the_foreground_gives_up_a_pod_that_does_not_run_in_time() {
    let Some(bench) = Bench::new() else { return };
    let image = "--image=droppod.local/host";
    let init = r#"{"spec":{"initContainers":[{"name":"i","image":"droppod.local/host","command":["sleep","1000"]}],
                   "terminationGracePeriodSeconds":1}}"#;
    let overrides = format!("--overrides={init}");
    let late =
        ["run", "late", "--rm", image, "--pod-running-timeout=200ms", &overrides, "--command", "--", "true"];
    bench.run(&late).exits(11).says(TIMED_OUT);
    let soon =
        ["run", "soon", "--attach", image, "--pod-running-timeout=1m", "--command", "--", "echo", "hi"];
    bench.run(&soon).exits(0).prints("hi\n");
    bench
        .run(&["run", "x", image, "--rm", "--pod-running-timeout=0s"])
        .exits(2)
        .says("must be higher than zero");
    bench.until_clean();
}

/// Kubernetes' `lastTransitionTime`, which is the pod's own to tell, not the watcher's.
#[test]
fn since_when_a_pod_is_ready_outlives_the_watcher() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", &pod("web", ""));
    bench.until_status("web", "Running");
    let path = "jsonpath={range .status.conditions[*]}{.type} {.lastTransitionTime}{\"\\n\"}{end}";
    let times = || bench.run(&["get", "pod", "web", "-o", path]).exits(0).stdout;
    let before = times();
    let kinds = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    assert_eq!(before.lines().count(), kinds.len(), "{before}");
    for (line, kind) in before.lines().zip(kinds) {
        assert!(line.starts_with(&format!("{kind} 20")) && line.ends_with('Z'), "{before}");
    }
    let ready = before.lines().nth(2).unwrap().trim_start_matches("Ready ").to_owned();
    bench.until("the status file has it", || {
        bench.read("web.status.yaml").contains(&format!("lastTransitionTime: \"{ready}\""))
    });
    watch.kill();
    assert_eq!(times(), before);
    let watch = bench.watch();
    bench.until_status("web", "Running");
    assert_eq!(times(), before);
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
