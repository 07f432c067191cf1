//! Where pods get their addresses from.

use std::fs;

use crate::bench::{Bench, Running};

const WEB: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
                   containers:\n  - name: main\n    image: droppod.local/host\n    command: [sleep, '1000']\n";

fn watch(bench: &Bench, range: &str) -> Running {
    let (folder, before) = (bench.folder(), bench.log().len());
    let watch = bench.start(&["watch", folder.to_str().unwrap(), "--pod-cidr", range]);
    bench.until("the watcher is ready", || bench.log()[before..].contains(" watches "));
    watch
}

#[test]
fn a_range_that_is_named_counts_until_the_instance_is_put_away() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("web.yaml", WEB);
    let watcher = watch(&bench, "10.99.4.0/24");
    bench.until_status("web", "Running");
    assert_eq!(bench.column("web", 5), "10.99.4.2");
    assert_eq!(watcher.stop(), 0);

    let watcher = watch(&bench, "10.98.0.0/16");
    assert!(bench.said("another --pod-cidr counts after `droppod down --all`"), "{}", bench.log());
    assert_eq!(bench.column("web", 5), "10.99.4.2");
    assert_eq!(watcher.stop(), 0);

    bench.run(&["down", "--all"]).exits(0);
    // Somebody else has the first of it.
    let route = bench.program("ip").args(["route", "add", "10.98.0.0/24", "dev", "lo"]).status();
    assert!(route.unwrap().success());
    let watcher = watch(&bench, "10.98.0.0/16");
    bench.until_status("web", "Running");
    assert_eq!(bench.column("web", 5), "10.98.4.2");
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watcher.stop(), 0);
}

#[test]
fn a_range_that_is_taken_or_none_is_refused() {
    let Some(bench) = Bench::new() else { return };
    let file = bench.path("web.yaml");
    fs::write(&file, WEB).unwrap();
    let up = |range: &str| bench.run(&["up", "-f", file.to_str().unwrap(), "--pod-cidr", range]);
    let route = bench.program("ip").args(["route", "add", "10.97.0.0/20", "dev", "lo"]).status();
    assert!(route.unwrap().success());
    up("10.97.4.0/22").exits(2).says("10.97.0.0/20");
    bench.until_clean();
    assert!(!bench.interfaces().iter().any(|name| name.starts_with("dp")), "{:?}", bench.interfaces());
    up("10.0.0.0/8").exits(2).says("it may be 16 to 28");
    up("10.97.4.1/24").exits(2).says("10.97.4.0/24");
}
