//! The three boots, each of which looks for what the last one left.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::bench::{Bench, let_pass};
use crate::second_kernel::inside::{again, job, pod, put, root, tell};

/// Pods that run until something stops them, and what becomes of them when the power goes.
const ENDLESS: [(&str, Cut); 4] =
    [("endless", Cut::MadeAnew), ("faithful", Cut::MadeAnew), ("again", Cut::MadeAnew), ("long", Cut::Lost)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    MadeAnew,
    Lost,
}

pub(in crate::second_kernel) fn first_boot() {
    let bench = Bench::at(root());
    let sleep = "exec sleep 1000";
    put(&bench, "endless", &pod("endless", "", sleep));
    put(&bench, "faithful", &pod("faithful", "restartPolicy: OnFailure,", sleep));
    put(&bench, "again", &again("again", "restartPolicy: Never,", sleep));
    put(&bench, "long", &pod("long", "restartPolicy: Never,", sleep));
    put(&bench, "once", &pod("once", "restartPolicy: Never,", "exit 7"));
    put(&bench, "finished", &job("finished", "", "true"));
    let half = "completionMode: Indexed, completions: 2, parallelism: 2,";
    put(&bench, "half", &job("half", half, "test $JOB_COMPLETION_INDEX = 0 || exec sleep 1000"));
    let mut watch = bench.watch();
    for (name, _) in ENDLESS {
        bench.until_status(name, "Running");
    }
    bench.until_status("once", "Error");
    bench.until("a Job is done", || field(&bench, "job", "finished", "/status/succeeded") == 1);
    bench.until("an index is done", || field(&bench, "job", "half", "/status/completedIndexes") == "0");
    remember(&bench);
    // As a shutdown does: everybody is asked to end, and nobody is waited for.
    let pids = [i32::try_from(watch.child.id()).unwrap()].into_iter().chain(bench.shims());
    Command::new("kill").args(pids.map(|pid| pid.to_string())).status().unwrap();
    bench.until("every process has ended", || !watch.is_running() && bench.shims().is_empty());
    tell("shut down");
    leave(bench);
}

pub(in crate::second_kernel) fn second_boot() {
    let bench = Bench::at(root());
    let before = remembered(&bench);
    let _watch = bench.watch();
    for (name, _) in ENDLESS {
        bench.until_status(name, "Running");
        assert_ne!(identity(&bench, name), before[name], "{name}");
        assert_eq!(bench.column(name, 3), "0", "{name}");
    }
    stays_finished(&bench, &before);
    until_half_runs(&bench);
    remember(&bench);
    tell("all is there");
    loop {
        let_pass(std::time::Duration::from_secs(1));
    }
}

pub(in crate::second_kernel) fn third_boot() {
    let bench = Bench::at(root());
    let before = remembered(&bench);
    let _watch = bench.watch();
    for (name, cut) in ENDLESS {
        match cut {
            Cut::MadeAnew => {
                bench.until_status(name, "Running");
                assert_ne!(identity(&bench, name), before[name], "{name}");
            }
            Cut::Lost => {
                let lost = || field(&bench, "pod", name, "/status/reason") == "NodeLost";
                bench.until("the loss is told", lost);
                assert_eq!(field(&bench, "pod", name, "/status/phase"), "Failed");
                assert_eq!(identity(&bench, name), before[name], "{name}");
            }
        }
    }
    stays_finished(&bench, &before);
    until_half_runs(&bench);
    tell("all is there");
    leave(bench);
}

fn stays_finished(bench: &Bench, before: &BTreeMap<String, String>) {
    assert_eq!(bench.status("once"), "Error");
    assert_eq!(identity(bench, "once"), before["once"]);
    assert_eq!(field(bench, "job", "finished", "/status/succeeded"), 1);
    assert_eq!(field(bench, "job", "half", "/status/completedIndexes"), "0");
}

/// Its pod was lost: another one is made after a rest.
fn until_half_runs(bench: &Bench) {
    bench.until("the other index runs", || field(bench, "job", "half", "/status/ready") == 1);
}

fn field(bench: &Bench, kind: &str, name: &str, pointer: &str) -> Value {
    let object = bench.run(&["get", kind, name, "-o", "json"]).stdout;
    let object: Value = serde_json::from_str(&object).unwrap_or_default();
    object.pointer(pointer).cloned().unwrap_or_default()
}

fn identity(bench: &Bench, pod: &str) -> String {
    field(bench, "pod", pod, "/metadata/uid").as_str().unwrap_or_default().to_owned()
}

/// Notes who everybody is, for the next boot.
fn remember(bench: &Bench) {
    let names = ENDLESS.iter().map(|(name, _)| *name).chain(["once"]);
    let lines: String = names.map(|name| format!("{name} {}\n", identity(bench, name))).collect();
    fs::write(bench.path("identities"), lines).unwrap();
    rustix::fs::sync();
}

fn remembered(bench: &Bench) -> BTreeMap<String, String> {
    let lines = fs::read_to_string(bench.path("identities")).unwrap();
    let pairs = lines.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(name, uid)| (name.to_owned(), uid.to_owned())).collect()
}

/// The next boot finds the bench as it is.
fn leave(bench: Bench) {
    std::mem::forget(bench);
}
