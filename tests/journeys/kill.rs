//! `kill -9` at the wrong moment.

use crate::bench::Bench;

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: [bash, -c, 'while true; do echo beat; sleep 0.2; done']\n"
    )
}

#[test]
fn twenty_pods_outlive_their_watcher_and_are_adopted() {
    let Some(bench) = Bench::new() else { return };
    for number in 0..20 {
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
    bench.until("all run", || running(&bench) == 20);
    let before: Vec<Vec<i32>> = (0..20).map(|n| bench.pids(&format!("p{n}"), "main")[..1].to_vec()).collect();
    let addresses: Vec<String> = (0..20).map(|n| bench.column(&format!("p{n}"), 5)).collect();
    watch.kill();

    assert_eq!(running(&bench), 20);
    let lines = bench.run(&["logs", "p7"]).stdout.lines().count();
    bench.until("logs go on", || bench.run(&["logs", "p7"]).stdout.lines().count() > lines);
    bench.run(&["exec", "p7", "--", "true"]).exits(0);
    std::process::Command::new("kill")
        .args(["-9", &bench.pids("p3", "main")[0].to_string()])
        .status()
        .unwrap();
    bench.until("a container restarts with no watcher", || {
        bench.column("p3", 3).starts_with('1') && bench.status("p3") == "Running"
    });

    let watch = bench.watch();
    assert_eq!(running(&bench), 20);
    for number in (0..20).filter(|number| *number != 3) {
        let name = format!("p{number}");
        assert_eq!(bench.pids(&name, "main")[..1], before[number][..], "{name} was restarted");
        assert_eq!(bench.column(&name, 5), addresses[number], "{name} has another address");
    }
    for number in 0..20 {
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
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
