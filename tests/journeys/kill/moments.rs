//! Kills at moments that nobody has chosen.

use std::fs;

use super::dice::Dice;
use super::{kill_all, object};
use crate::bench::Bench;

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
    let endless = container("main", "while true; do sleep 1; done", &edition);
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

fn until_all_three_are_where_they_go(bench: &Bench) {
    for name in ["endless", "staged"] {
        bench.until_status(name, "Running");
    }
    bench.until("the third has ended", || {
        ["Error", "ContainerStatusUnknown"].contains(&bench.status("ending").as_str())
    });
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
