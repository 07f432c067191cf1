//! What is told of pods that were stopped or deleted while no watcher runs.

use std::fs;

use crate::bench::Bench;

fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: [bash, -c, 'echo started; sleep 1000']\n"
    )
}

#[test]
fn after_down_everything_says_stopped_and_a_second_down_is_quiet() {
    let Some(bench) = Bench::new() else { return };
    bench
        .manifest("web.yaml", &pod("web"))
        .manifest("absent.yaml", &pod("absent").replace("droppod.local/host", "oci-archive:none.tar"));
    let watch = bench.watch();
    bench.until_status("web", "Running");
    bench.until("the status file says so", || {
        bench.read("web.status.yaml").contains("summary: 1 pod running")
    });
    assert_eq!(watch.stop(), 0);
    let edited = pod("later");
    bench.manifest("later.yaml", &edited);

    let down = bench.run(&["down"]).exits(0);
    assert_eq!(down.stderr, "2 pods stopped\n");
    let status = bench.read("web.status.yaml");
    assert!(status.contains("state: Applied") && status.contains("summary: 1 pod stopped"), "{status}");
    assert!(status.contains("phase: Pending") && status.contains("reason: Stopped"), "{status}");
    assert!(!bench.folder().join("later.status.yaml").exists(), "no watcher has spoken of this file");
    assert_eq!((bench.status("web"), bench.column("web", 1)), ("Stopped".to_owned(), "0/1".to_owned()));
    assert_eq!(bench.status("absent"), "Stopped", "it only waited");
    bench.run(&["logs", "web"]).exits(0).prints("started\n");
    let why = bench.run(&["exec", "web", "--", "true"]).exits(1);
    assert!(why.stderr.contains("does not run"), "{}", why.stderr);
    assert_eq!(bench.run(&["down"]).exits(0).stderr, "nothing runs\n");
    bench.until_clean();

    let watch = bench.watch();
    bench.until_status("web", "Running");
    bench.until("the status file says so", || {
        bench.read("web.status.yaml").contains("summary: 1 pod running")
    });
    for name in ["web", "absent", "later"] {
        bench.remove(&format!("{name}.yaml"));
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn down_ends_a_deletion_that_is_under_way() {
    let Some(bench) = Bench::new() else { return };
    let stubborn =
        pod("web").replace("echo started", "trap : TERM; echo started").replace("Seconds: 1", "Seconds: 5");
    bench.manifest("web.yaml", &stubborn);
    let watch = bench.watch();
    bench.until("it has begun", || bench.run(&["logs", "web"]).stdout == "started\n");
    bench.remove("web.yaml");
    bench.until_status("web", "Terminating");
    watch.kill();
    bench.run(&["down"]).exits(0);
    assert_eq!(bench.run(&["get", "pods"]).exits(0).stderr, "No resources found in default namespace.\n");
    bench.until_clean();
}

#[test]
fn delete_without_a_watcher_leaves_nothing_and_says_that_none_runs() {
    let Some(bench) = Bench::new() else { return };
    let file = bench.path("web.yaml");
    fs::write(&file, pod("web")).unwrap();
    let watch = bench.watch();
    bench.run(&["apply", "-f", file.to_str().unwrap()]).exits(0);
    bench.until_status("web", "Running");
    assert_eq!(watch.stop(), 0);

    let folder = bench.folder().display().to_string();
    let deleted = bench.run(&["delete", "pod", "web"]).exits(0).prints("pod \"web\" deleted\n");
    let note = format!(
        "note: no watcher runs on {folder}, pods are stopped without one:\n  droppod watch {folder}\n"
    );
    assert_eq!(deleted.stderr, note);
    bench.until_clean();
    assert_eq!(bench.run(&["get", "pods"]).stderr, "No resources found in default namespace.\n");
    let left: Vec<_> =
        fs::read_dir(bench.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(fs::read_dir(bench.path("l")).unwrap().count(), 0, "logs go with the pod");
}

#[test]
fn a_watcher_counts_for_the_folders_it_has() {
    let Some(bench) = Bench::new() else { return };
    let (other, file) = (bench.path("other"), bench.path("map.yaml"));
    fs::create_dir(&other).unwrap();
    fs::write(&file, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n").unwrap();
    let watch = bench.start(&["watch", other.to_str().unwrap()]);
    bench.until("the watcher is ready", || bench.said(" watches "));
    let applied = bench.run(&["apply", "-f", file.to_str().unwrap()]).exits(0);
    let (folder, other) = (bench.folder().display().to_string(), other.display().to_string());
    let note = format!(
        "note: no watcher runs on {folder}, nothing is started or stopped until one does:\n  \
         droppod watch {other} {folder}  (in place of the one that runs)\n"
    );
    assert_eq!(applied.stderr, note);
    let inside = format!("{other}/inside");
    let applied = bench.run(&["apply", "-f", file.to_str().unwrap(), "--manifests", &inside]).exits(0);
    assert_eq!(applied.stderr, "", "a folder in a watched folder is watched");
    assert_eq!(watch.stop(), 0);
}

#[test]
fn logs_of_a_container_that_never_started_fail_in_kubectls_words() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("web.yaml", &pod("web").replace("droppod.local/host", "oci-archive:none.tar"));
    let watch = bench.watch();
    bench.until("it waits for its image", || bench.status("web").contains("mage"));
    let logs = bench.run(&["logs", "web"]).exits(1).prints("");
    let words = "error: container \"main\" in pod \"web\" is waiting to start: ";
    assert!(logs.stderr.starts_with(words), "{}", logs.stderr);
    let exec = bench.run(&["exec", "web", "--", "true"]).exits(1).prints("").stderr;
    assert!(exec.contains("mage") && exec.contains("none.tar"), "the reason and its message: {exec}");
    assert!(exec.contains("help: `droppod describe pod web` shows what it waits for"), "{exec}");
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
