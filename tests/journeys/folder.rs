//! What may befall a folder under `watch`: it goes, comes back, is another, and has things in it that are no manifests.

pub(crate) mod disc;
mod events;
mod moved;
mod place;
mod rules;
mod tools;
mod trust;
mod writing;

use std::fs;
use std::io::Write;

use crate::bench::Bench;

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: [sleep, '1000']\n"
    )
}

fn map(number: usize) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{number}}}\ndata: {{number: '{number}'}}\n")
}

/// A folder with `count` files that each declare a ConfigMap.
fn maps(bench: &Bench, count: usize) {
    for number in 0..count {
        bench.manifest(&format!("m{number}.yaml"), &map(number));
    }
}

fn declared(bench: &Bench) -> usize {
    bench.run(&["get", "configmaps", "-o", "name"]).stdout.lines().count()
}

#[test]
fn a_folder_that_goes_and_comes_back_restarts_nothing() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("web.yaml", &pod("web"));
    let watch = bench.watch();
    bench.until_status("web", "Running");
    bench.until("the status file says so", || bench.read("web.status.yaml").contains("phase: Running"));
    let (pids, status) = (bench.pids("web", "main"), bench.read("web.status.yaml"));

    let away = bench.path("away");
    fs::rename(bench.folder(), &away).unwrap();
    bench.until("the loss is told", || bench.said("the folder is gone"));
    assert_eq!(bench.status("web"), "Running");
    assert_eq!(watch.stop(), 0);
    let watch = bench.watch();
    assert_eq!(bench.status("web"), "Running", "a watcher that starts takes it for deleted");
    assert_eq!(fs::read_to_string(away.join("web.status.yaml")).unwrap(), status);

    fs::rename(&away, bench.folder()).unwrap();
    let labelled = pod("web").replace("{name: web}", "{name: web, labels: {tier: front}}");
    bench.manifest("web.yaml", &labelled);
    bench.until("edits count again", || {
        bench.run(&["get", "pods", "--show-labels"]).stdout.contains("tier=front")
    });
    assert_eq!(bench.pids("web", "main"), pids, "it was restarted");
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn an_empty_directory_in_place_of_the_folder_stops_nothing_until_it_is_accepted() {
    let Some(bench) = Bench::new() else { return };
    bench.run(&["accept", bench.folder().to_str().unwrap()]).exits(1).says("nothing was taken from it");
    bench.manifest("web.yaml", &pod("web"));
    let watch = bench.watch();
    bench.until_status("web", "Running");
    let pids = bench.pids("web", "main");
    fs::rename(bench.folder(), bench.path("away")).unwrap();
    fs::create_dir(bench.folder()).unwrap();
    bench.until("the loss is told", || bench.said("another directory than before"));
    assert_eq!(watch.stop(), 0);
    let watch = bench.watch();
    bench.until("an exec finds it", || bench.run(&["exec", "web", "--", "true"]).code == 0);
    assert_eq!(bench.pids("web", "main"), pids);

    bench
        .run(&["accept", bench.folder().to_str().unwrap()])
        .exits(0)
        .says("1 object came from it; what its files no longer declare is removed");
    bench.until_clean();
    bench.until("it is forgotten", || bench.run(&["get", "pods"]).stdout.is_empty());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn most_files_gone_while_nobody_watched_are_believed_at_a_second_look() {
    let Some(bench) = Bench::new() else { return };
    maps(&bench, 6);
    let watch = bench.watch();
    bench.until("all are declared", || declared(&bench) == 6);
    assert_eq!(watch.stop(), 0);
    for number in 0..5 {
        bench.remove(&format!("m{number}.yaml"));
    }
    let watch = bench.watch();
    assert_eq!(declared(&bench), 6);
    assert!(bench.read("m0.status.yaml").contains("state: PruneHeld"), "{}", bench.read("m0.status.yaml"));
    bench.until("the second look agrees", || declared(&bench) == 1);
    bench.until("its status file goes too", || !bench.folder().join("m0.status.yaml").exists());
    assert_eq!(watch.stop(), 0);
}

#[test]
fn files_moved_away_one_by_one_are_believed_at_once() {
    let Some(bench) = Bench::new() else { return };
    maps(&bench, 6);
    let watch = bench.watch();
    bench.until("all are declared", || declared(&bench) == 6);
    fs::create_dir(bench.path("away")).unwrap();
    for number in 0..5 {
        let name = format!("m{number}.yaml");
        fs::rename(bench.folder().join(&name), bench.path("away").join(&name)).unwrap();
    }
    bench.until("they are gone", || {
        assert!(!bench.read("m0.status.yaml").contains("PruneHeld"));
        declared(&bench) == 1
    });
    assert_eq!(watch.stop(), 0);
}

#[test]
fn what_is_no_manifest_or_switched_off_is_not_read() {
    let Some(bench) = Bench::new() else { return };
    for name in
        [".hidden.yaml", "copy.yaml~", "copy.yaml.bak", "foreign.status.yaml", "idle.yaml", "notes.txt"]
    {
        bench.manifest(name, &pod(name.trim_matches('.').split('.').next().unwrap()));
    }
    bench.manifest("idle.yaml.skip", "").manifest("web.yaml", &pod("web"));
    let watch = bench.watch();
    bench.until_status("web", "Running");
    bench.run(&["get", "pods", "-o", "name"]).prints("pod/web\n");
    assert_eq!(bench.read("foreign.status.yaml"), pod("foreign"), "a file that is not ours");
    bench.remove("idle.yaml.skip");
    bench.until_status("idle", "Running");
    bench.remove("idle.yaml").remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn what_must_not_be_read_is_refused_and_harms_no_neighbour() {
    let Some(bench) = Bench::new() else { return };
    let fifo = bench.folder().join("fifo.yaml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    bench.manifest("large.yaml", &format!("{}#{}", pod("large"), "x".repeat(2 * 1024 * 1024)));
    fs::write(bench.path("outside.yaml"), pod("outside")).unwrap();
    std::os::unix::fs::symlink("../outside.yaml", bench.folder().join("link.yaml")).unwrap();
    bench.manifest("web.yaml", &pod("web"));
    let watch = bench.watch();
    bench.until_status("web", "Running");
    bench.run(&["get", "pods", "-o", "name"]).prints("pod/web\n");
    for name in ["fifo", "large", "link"] {
        let status = bench.read(&format!("{name}.status.yaml"));
        assert!(status.contains("state: Refused"), "{name}: {status}");
    }
    for name in ["web.yaml", "fifo.yaml", "large.yaml", "link.yaml"] {
        bench.remove(name);
    }
    bench.until_clean();
    bench.until("their status files go", || fs::read_dir(bench.folder()).unwrap().count() == 0);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_half_written_file_changes_nothing() {
    let Some(bench) = Bench::new() else { return };
    let second = "  - name: other\n    image: droppod.local/host\n    command: [sleep, '1000']\n";
    let whole = pod("web") + second;
    bench.manifest("web.yaml", &whole);
    let watch = bench.watch();
    bench.until_status("web", "Running");
    let pids = (bench.pids("web", "main"), bench.pids("web", "other"));

    // What is there of it by now is a pod of its own, with one container.
    let mut file = fs::File::create(bench.folder().join("web.yaml")).unwrap();
    file.write_all(pod("web").as_bytes()).unwrap();
    bench.manifest("neighbour.yaml", &pod("neighbour"));
    bench.until_status("neighbour", "Running");
    assert_eq!((bench.pids("web", "main"), bench.pids("web", "other")), pids);
    file.write_all(second.as_bytes()).unwrap();
    drop(file);

    fs::write(bench.folder().join("web.yaml"), &whole[..60]).unwrap();
    bench.until("the mistake is told", || bench.read("web.status.yaml").contains("state: Invalid"));
    fs::write(bench.folder().join("web.yaml"), &whole).unwrap();
    bench.until("it is mended", || bench.read("web.status.yaml").contains("state: Applied"));
    assert_eq!((bench.pids("web", "main"), bench.pids("web", "other")), pids);
    bench.remove("web.yaml").remove("neighbour.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
