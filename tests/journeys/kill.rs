//! `kill -9` at the wrong moment.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::bench::{Bench, say};

mod dice;
mod ends;
mod moments;

pub(crate) use dice::Dice;

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: [bash, -c, 'exec 3<> <(:); while true; do echo beat; read -rt 0.2 -u 3; done']\n"
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
fn what_an_up_leaves_that_is_killed_with_its_pod_processes_is_swept_by_the_watcher() {
    let Some(bench) = Bench::new() else { return };
    let folder = bench.path("u");
    fs::create_dir(&folder).unwrap();
    for name in ["one", "two"] {
        fs::write(folder.join(format!("{name}.yaml")), pod(name)).unwrap();
    }
    let up = bench.start(&["up", "-f", folder.to_str().unwrap()]);
    bench.until("both run", || {
        let out = fs::read_to_string(bench.path("out")).unwrap();
        ["one", "two"].iter().all(|name| out.lines().any(|line| line.starts_with(name)))
    });
    // It may mount its directory first, but not over that of the `up`.
    let watch = bench.start(&["watch", bench.folder().to_str().unwrap(), "--rescan", "1s"]);
    bench.until("it watches", || bench.said(" watches "));
    let shims = bench.shims_of_ups();
    assert_eq!(shims.len(), 2);
    let signal = |name: &str| {
        let pids = shims.iter().map(i32::to_string);
        assert!(std::process::Command::new("kill").arg(name).args(pids).status().unwrap().success());
    };
    // None of them sees that the others go.
    signal("-STOP");
    up.kill();
    signal("-KILL");
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
