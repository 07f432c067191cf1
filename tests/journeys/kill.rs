//! `kill -9` at the wrong moment.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::{Bench, let_pass, say};

mod ends;

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: [bash, -c, 'while true; do echo beat; sleep 0.2; done']\n"
    )
}

/// How many pods outlive their watcher.
pub(crate) const MANY: &str = "DROPPOD_TEST_PODS";

#[expect(clippy::disallowed_methods, reason = "what is printed is time")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn many_pods_outlive_their_watcher_and_are_adopted() {
    let Some(bench) = Bench::new() else { return };
    // Fewer where each takes long.
    let many: usize = std::env::var(MANY).ok().and_then(|many| many.parse().ok()).unwrap_or(20);
    for number in 0..many {
        bench.manifest(&format!("p{number}.yaml"), &pod(&format!("p{number}")));
    }
    let watch = bench.watch();
    let running = |bench: &Bench| {
        bench
            .run(&["get", "pods", "--no-headers"])
            .stdout
            .lines()
            .filter(|line| line.contains(" Running "))
            .count()
    };
    bench.until("all run", || running(&bench) == many);
    let before: Vec<Vec<i32>> =
        (0..many).map(|n| bench.pids(&format!("p{n}"), "main")[..1].to_vec()).collect();
    let addresses: Vec<String> = (0..many).map(|n| bench.column(&format!("p{n}"), 5)).collect();
    watch.kill();

    assert_eq!(running(&bench), many);
    let lines = bench.run(&["logs", "p2"]).stdout.lines().count();
    bench.until("logs go on", || bench.run(&["logs", "p2"]).stdout.lines().count() > lines);
    bench.run(&["exec", "p2", "--", "true"]).exits(0);
    std::process::Command::new("kill")
        .args(["-9", &bench.pids("p3", "main")[0].to_string()])
        .status()
        .unwrap();
    bench.until("a container restarts with no watcher", || {
        bench.column("p3", 3).starts_with('1') && bench.status("p3") == "Running"
    });

    let begun = now();
    let watch = bench.watch();
    say(&format!("the next watcher has adopted {many} pods after {:.2?}", begun.elapsed()));
    assert_eq!(running(&bench), many);
    for number in (0..many).filter(|number| *number != 3) {
        let name = format!("p{number}");
        assert_eq!(bench.pids(&name, "main")[..1], before[number][..], "{name} was restarted");
        assert_eq!(bench.column(&name, 5), addresses[number], "{name} has another address");
    }
    for number in 0..many {
        bench.remove(&format!("p{number}.yaml"));
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_pod_process_that_dies_takes_its_containers_along_and_comes_back() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", &pod("web"));
    bench.until_status("web", "Running");
    let pids = bench.pids("web", "main");
    for shim in bench.shims() {
        std::process::Command::new("kill").args(["-9", &shim.to_string()]).status().unwrap();
    }
    bench.until("another process runs", || {
        let now = bench.pids("web", "main");
        !now.is_empty() && now[0] != pids[0]
    });
    bench.until_status("web", "Running");
    let status = object(&bench, "web")["status"]["containerStatuses"][0].clone();
    assert_eq!(status["restartCount"], 1, "{status:#}");
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 137, "{status:#}");
    bench.run(&["logs", "-p", "web"]).exits(0).says("beat");
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_pod_process_that_dies_again_and_again_is_started_after_a_rest_and_its_file_says_why() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", &pod("web"));
    let mut before = Vec::new();
    for _ in 0..2 {
        bench.until("a process that was not killed yet runs", || {
            let now = bench.pids("web", "main");
            !now.is_empty() && now != before && bench.status("web") == "Running"
        });
        before = bench.pids("web", "main");
        kill_all(&bench.shims());
    }
    bench.until_status("web", "FailedCreatePodSandBox");
    bench.until("the status file says why", || {
        bench.read("web.status.yaml").contains("back-off 10s starting the pod again: the pod process died")
    });
    assert!(
        bench.read("web.status.yaml").contains("reason: SandboxChanged"),
        "{}",
        bench.read("web.status.yaml")
    );
    assert_eq!(watch.stop(), 0);
    // The rest outlives the watcher.
    let watch = bench.watch();
    assert_eq!(bench.status("web"), "FailedCreatePodSandBox");
    bench.until_status("web", "Running");
    bench.remove("web.yaml");
    bench.until_clean();
    bench.until("nothing is remembered", || names_in(&bench.path("r/starts")).is_empty());
    assert_eq!(watch.stop(), 0);
}

/// Random moments, the same ones for the same seed: `DROPPOD_SEED=n cargo test …`.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(journey: &str) -> Dice {
        let given = std::env::var("DROPPOD_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            u64::from(now.subsec_nanos())
        });
        say(&format!("{journey}: DROPPOD_SEED={seed}"));
        Dice(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn moment(&mut self, at_most: u64) {
        let millis = self.below(at_most + 1);
        say(&format!("  {millis} ms"));
        let_pass(Duration::from_millis(millis));
    }
}

/// Endless, ending by itself with 7, and one with stages.
const THREE: [&str; 3] = ["endless", "ending", "staged"];

fn three(bench: &Bench, edition: u64) {
    let head = |name: &str, more: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n{more}"
        )
    };
    let container = |name: &str, script: &str, more: &str| {
        format!(
            "  - name: {name}\n    image: droppod.local/host\n    command: [bash, -c, {script:?}]\n{more}"
        )
    };
    let edition = format!("    env: [{{name: EDITION, value: \"{edition}\"}}]\n");
    let endless = container("main", "while true; do sleep 0.2; done", &edition);
    let ending = container("main", "echo once; exit 7", &edition);
    let init = container("init", "sleep 0.05", "")
        + &container("side", "exec sleep 1000", "    restartPolicy: Always\n");
    let app = container("main", "trap 'exit 0' TERM; sleep 1000 & wait", &edition);
    bench
        .manifest("endless.yaml", &head("endless", &format!("  containers:\n{endless}")))
        .manifest("ending.yaml", &head("ending", &format!("  restartPolicy: Never\n  containers:\n{ending}")))
        .manifest("staged.yaml", &head("staged", &format!("  initContainers:\n{init}  containers:\n{app}")));
}

fn remove_three(bench: &Bench) {
    for name in THREE {
        bench.remove(&format!("{name}.yaml"));
    }
}

fn kill_all(pids: &[i32]) {
    signal_all("-KILL", pids);
}

fn signal_all(signal: &str, pids: &[i32]) {
    for pid in pids {
        // One that has ended meanwhile cannot be signalled and need not be.
        drop(
            std::process::Command::new("kill")
                .args([signal, &pid.to_string()])
                .stderr(std::process::Stdio::null())
                .status(),
        );
    }
}

fn until_all_three_are_where_they_go(bench: &Bench) {
    for name in ["endless", "staged"] {
        bench.until_status(name, "Running");
    }
    bench.until("the third has ended", || {
        ["Error", "ContainerStatusUnknown"].contains(&bench.status("ending").as_str())
    });
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn object(bench: &Bench, pod: &str) -> serde_json::Value {
    serde_json::from_str(&bench.run(&["get", "pod", pod, "-o", "json"]).stdout).unwrap_or_default()
}

#[test]
fn a_watcher_killed_at_any_moment_leaves_nothing_that_the_next_does_not_finish() {
    let Some(bench) = Bench::new() else { return };
    let mut dice = Dice::new("watcher");
    three(&bench, 0);
    let mut dropped = true;
    for round in 1..=8 {
        let watch = bench.watch();
        if !dropped || dice.below(3) == 0 {
            three(&bench, round);
            dropped = true;
        } else if dice.below(2) == 0 {
            remove_three(&bench);
            dropped = false;
        }
        dice.moment(400);
        watch.kill();
    }
    three(&bench, 100);
    let watch = bench.watch();
    until_all_three_are_where_they_go(&bench);
    // One of before that has ended, too, gives way to the last once its folder is at rest.
    let is_last = |pod: &serde_json::Value| pod["spec"]["containers"][0]["env"][0]["value"] == "100";
    let end = |pod: &serde_json::Value| {
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"].clone()
    };
    let mut ended = serde_json::Value::Null;
    bench.until("the last of its editions has ended", || {
        ended = object(&bench, "ending");
        is_last(&ended) && !end(&ended).is_null()
    });
    assert_eq!(end(&ended), 7, "{ended:#}");
    let uid = ended["metadata"]["uid"].as_str().unwrap();
    let log = bench.path(&format!("l/default_ending_{uid}/main/0.log"));
    assert_eq!(fs::read_to_string(log).unwrap().matches("once").count(), 1, "it ran more than once");
    remove_three(&bench);
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_pod_process_killed_at_any_moment_of_start_run_and_stop_is_swept_by_its_watcher() {
    let Some(bench) = Bench::new() else { return };
    let mut dice = Dice::new("pod processes");
    let watch = bench.watch();
    for round in 0..3 {
        three(&bench, round);
        dice.moment(600);
        kill_all(&bench.shims());
        until_all_three_are_where_they_go(&bench);
        kill_all(&bench.shims());
        dice.moment(300);
        remove_three(&bench);
        dice.moment(1200);
        kill_all(&bench.shims());
        bench.until_clean();
    }
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_pod_process_killed_while_nobody_watches_is_swept_by_the_next_watcher() {
    let Some(bench) = Bench::new() else { return };
    let mut dice = Dice::new("pod processes without a watcher");
    for round in 0..3 {
        let watch = bench.watch();
        three(&bench, round);
        dice.moment(500);
        watch.kill();
        dice.moment(100);
        kill_all(&bench.shims());
        let watch = bench.watch();
        until_all_three_are_where_they_go(&bench);
        remove_three(&bench);
        dice.moment(300);
        watch.kill();
        dice.moment(1000);
        kill_all(&bench.shims());
        let watch = bench.watch();
        bench.until_clean();
        watch.kill();
    }
}

#[test]
fn what_a_killed_process_had_not_finished_writing_goes_with_the_next_that_comes() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    bench.manifest("web.yaml", &pod("web"));
    bench.until_status("web", "Running");
    let uid = object(&bench, "web")["metadata"]["uid"].as_str().unwrap().to_owned();
    let killed = watch.child.id();
    watch.kill();
    let objects = format!("s/objects/{uid}");
    let pods = format!("r/pods/{uid}");
    let halves = ["m/.web.status.yaml", "m/.gone.status.yaml", "s/.watcher.json", "r/.network.json"]
        .map(str::to_owned)
        .into_iter()
        .chain([
            format!("{objects}/.object.json"),
            format!("{pods}/.goal.json"),
            format!("r/starts/.{uid}.json"),
        ]);
    let halves: Vec<_> = halves.map(|name| bench.path(&format!("{name}.{killed}.tmp"))).collect();
    for half in &halves {
        fs::write(half, "{").unwrap();
    }
    let not_ours = bench.folder().join(format!(".web.yaml.{killed}.tmp"));
    fs::write(&not_ours, "somebody's").unwrap();
    let watch = bench.watch();
    bench.until("they are gone", || !halves.iter().any(|half| half.exists()));
    assert!(not_ours.exists());
    let beside = bench.path(&format!("u/.gone.status.yaml.{killed}.tmp"));
    fs::create_dir(bench.path("u")).unwrap();
    fs::write(&beside, "{").unwrap();
    fs::write(
        bench.path("u/once.yaml"),
        pod("once").replace("spec:", "spec:\n  restartPolicy: Never").replace("true;", "false;"),
    )
    .unwrap();
    bench.run(&["up", "-f", bench.path("u/once.yaml").to_str().unwrap()]).exits(0);
    assert!(!beside.exists());
    let half = bench.path(&format!("s/images/refs/.image.{killed}.tmp"));
    bench.run(&["image", "prune"]).exits(0);
    fs::write(&half, "{").unwrap();
    bench.run(&["image", "prune"]).exits(0);
    assert!(!half.exists());
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn an_up_killed_at_any_moment_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let mut dice = Dice::new("up");
    three(&bench, 0);
    // Killed before it had a pod, it leaves an empty run directory, which the next command sweeps.
    let of_pods = |found: &String| !found.starts_with("up ") && !found.starts_with("mount ");
    for _ in 0..6 {
        let up = bench.start(&["up", "-f", bench.folder().to_str().unwrap()]);
        dice.moment(600);
        up.kill();
        bench.until("no pod is left", || !bench.census().iter().any(of_pods));
    }
    bench.run(&["down", "--all"]).exits(0);
    bench.until_clean();
}
