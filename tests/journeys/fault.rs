//! Something fails right after each thing that a pod's course leaves behind, once: killed, no room, a broken disc, a
//! delay. Whatever it was, the pods come to run and to end as declared, and nothing is left of them.
//!
//! The boundaries are those that the sources name (`failpoint::reach("…")`), each hit by one course of the same pods.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::bench::{Bench, Running, say};
use crate::image::made::Made;

/// A place on the machine, the network and the discs; something that ends; something that is counted.
const COURSE: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {key: value}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: scratch, emptyDir: {}}, {name: settings, configMap: {name: settings}}]
  containers:
  - name: main
    image: docker-archive:../image.tar
    command: [/bin/busybox, sleep, '1000']
    ports: [{containerPort: 80, hostPort: 8080}]
    readinessProbe: {exec: {command: [/bin/busybox, test, -e, /settings/key]}, periodSeconds: 1}
    volumeMounts: [{name: scratch, mountPath: /scratch}, {name: settings, mountPath: /settings}]
---
apiVersion: v1
kind: Pod
metadata: {name: once}
spec:
  restartPolicy: Never
  containers:
  - {name: main, image: 'docker-archive:../image.tar', command: [/bin/busybox, sh, -c, 'echo once; exit 7']}
---
apiVersion: batch/v1
kind: Job
metadata: {name: job}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: 'docker-archive:../image.tar', command: [/bin/busybox, 'true']}]
";

/// How what is to end with 7 may end: by itself, with its pod process, or before it could begin.
const ENDS: [(&str, i64); 3] = [("Error", 7), ("ContainerStatusUnknown", 137), ("ContainerCannotRun", 128)];

/// Every boundary of the sources.
fn boundaries() -> BTreeSet<String> {
    fn collect(directory: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else {
                let text = fs::read_to_string(path).unwrap();
                let named = text.split("failpoint::reach(\"").skip(1);
                found.extend(named.map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() >= 40, "{found:?}");
    found
}

/// A watcher that may be killed by what it is ordered to reach, and is put back.
struct Watched<'a> {
    bench: &'a Bench,
    watch: Option<Running>,
}

impl Watched<'_> {
    fn until(&mut self, fact: &str, mut holds: impl FnMut(&Bench) -> bool) {
        let (bench, watch) = (self.bench, &mut self.watch);
        bench.until(fact, || {
            if !watch.as_mut().is_some_and(Running::is_running) {
                *watch = Some(bench.watch());
            }
            holds(bench)
        });
    }
}

fn course(image: &Made, fault: &str, boundary: &str) {
    let Some(bench) = Bench::new() else { return };
    image.write_docker_archive(&bench.path("image.tar"), "image:1");
    fs::create_dir(bench.path("s")).unwrap();
    let order = bench.path("s/failpoint");
    fs::write(&order, format!("{fault} {boundary}\n")).unwrap();
    let mut watched = Watched { watch: Some(bench.watch()), bench: &bench };
    bench.manifest("all.yaml", COURSE);
    let has = |rows: &str, name: &str, words: &[&str]| {
        rows.lines().any(|row| {
            let mut cells = row.split_whitespace();
            cells.next() == Some(name)
                && words.iter().all(|word| row.split_whitespace().any(|cell| cell == *word))
        })
    };
    watched.until(&format!("{fault} when {boundary}: all is as declared"), |bench| {
        let pods = bench.run(&["get", "pods", "--no-headers"]).stdout;
        has(&pods, "web", &["1/1", "Running"])
            && ENDS.iter().any(|(reason, _)| has(&pods, "once", &[reason]))
            && has(&bench.run(&["get", "jobs", "--no-headers"]).stdout, "job", &["Complete"])
    });
    let once: serde_json::Value =
        serde_json::from_str(&bench.run(&["get", "pod", "once", "-o", "json"]).stdout).unwrap();
    let end = &once["status"]["containerStatuses"][0]["state"]["terminated"];
    let (reason, code) = (end["reason"].as_str().unwrap_or_default(), end["exitCode"].as_i64().unwrap_or(-1));
    assert!(ENDS.contains(&(reason, code)), "{fault} when {boundary}: {once:#}");
    if reason == "Error" {
        assert_eq!(bench.run(&["logs", "once"]).stdout, "once\n", "{fault} when {boundary}");
    }
    bench.remove("all.yaml");
    watched.until(&format!("{fault} when {boundary}: nothing is left"), |bench| {
        bench.census().is_empty() && bench.run(&["get", "pods,jobs,cm", "-o", "name"]).stdout.is_empty()
    });
    assert!(!order.exists(), "nobody came to: {boundary}");
    assert!(!bench.folder().join("all.status.yaml").exists(), "{fault} when {boundary}: its status stays");
    if let Some(watch) = watched.watch.take() {
        assert_eq!(watch.stop(), 0);
    }
}

fn courses(fault: &str) {
    let Some(image) = Made::new("hello") else { return };
    // One alone: `DROPPOD_BOUNDARY='pair made' cargo test …`.
    let only = std::env::var("DROPPOD_BOUNDARY").ok();
    let all = boundaries();
    for boundary in all.iter().filter(|boundary| only.as_ref().is_none_or(|only| only == *boundary)) {
        course(&image, fault, boundary);
    }
    say(&format!("{fault} at {} boundaries", all.len()));
}

#[test]
fn what_is_killed_at_any_boundary_is_finished_or_undone() {
    courses("kill");
}

#[test]
fn what_finds_no_room_at_any_boundary_is_done_later() {
    courses("ENOSPC");
}

#[test]
fn what_a_disc_refuses_at_any_boundary_is_done_later() {
    courses("EIO");
}

#[test]
fn what_is_late_at_any_boundary_is_waited_for() {
    courses("delay");
}
