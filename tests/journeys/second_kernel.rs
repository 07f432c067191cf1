//! The same journeys on a second kernel: Linux 6.1 with cgroup v2 alone, as one ordinary program (User Mode Linux). Its
//! root is this machine's, so this very test binary runs in it. It takes minutes, so it is asked for:
//! `cargo test --test journeys -- --ignored --test-threads=4 second_kernel`. A guest has one processor and often waits, so
//! twice as many guests as processors are done soonest. They begin in the order of their names, which has the longest first.

use std::collections::BTreeMap;
use std::process::Command;

use crate::bench::say;
use guest::{Errand, Guest};

mod clock;
mod cuts;
mod disc;
mod guest;
mod inside;
mod kernel;
mod reboot;

/// Namespaces, limits, the end by memory, pids, exec, each with its census.
const COURSES: [&str; 5] =
    ["pod::", "load::a_container_that_has_used_up", "session::exec", "session::a_terminal", "up::a_timeout"];

/// Adoption, and kills of each process of ours.
const KILLS: [&str; 4] = [
    "kill::moments::a_watcher_killed_at_any_moment",
    "kill::many_pods_outlive_their_watcher_and_are_adopted",
    "kill::a_pod_process_that_dies_takes_its_containers_along_and_comes_back",
    "kill::moments::a_pod_process_killed_while_nobody_watches_is_swept_by_the_next_watcher",
];

/// Its sidecar is stopped before a slow machine has let it say a word.
const LEFT_OUT: &str = "pod::init_containers_come_first";

/// What a container may do, the devices that it has, and what it does with masks, mounts and a terminal.
const CONFINEMENT: [&str; 7] = [
    "confinement::a_",
    "confinement::each_",
    "confinement::the_",
    "escape::kernel::device_nodes",
    "escape::kernel::m",
    "escape::kernel::no_device",
    "escape::terminal::",
];

/// The same of what comes into a container that runs.
const ENTERING: [&str; 1] = ["confinement::entering::"];

#[test]
#[ignore = "boots another kernel and takes minutes"]
fn pods_take_their_course_on_cgroup_v2() {
    hold("courses", &COURSES);
}

#[test]
#[ignore = "boots another kernel and takes minutes"]
fn pods_outlive_kills_on_cgroup_v2() {
    hold("kills", &KILLS);
}

#[test]
#[ignore = "boots another kernel and takes minutes"]
fn containers_are_confined_on_cgroup_v2() {
    hold("confinement", &CONFINEMENT);
}

#[test]
#[ignore = "boots another kernel and takes minutes"]
fn all_that_enters_a_container_is_confined_on_cgroup_v2() {
    hold("entering", &ENTERING);
}

fn hold(name: &str, journeys: &[&str]) {
    let Some(kernel) = kernel::kernel() else { return };
    let wanted: Vec<String> = journeys.iter().flat_map(|beginning| named(beginning)).collect();
    let mut guest = Guest::boot(kernel, name, &Errand::Journeys(&wanted));
    guest.rest();
    let told = guest.console();
    let summary = told.lines().find(|line| line.starts_with("test result:"));
    say(&format!("second kernel, {name}: {}", summary.unwrap_or("no result")));
    for (what, cost) in lacks(told) {
        say(&format!("second kernel, {name}: it lacks {what}: {cost}"));
    }
    for (why, count) in skipped(told) {
        say(&format!("second kernel, {name}: {count} skipped: {why}"));
        assert!(!why.contains("need root"), "its journeys are not made at all\n{told}");
    }
    let is_held = |journey: &&String| told.lines().any(|line| line == format!("test {journey} ... ok"));
    let missing: Vec<&String> = wanted.iter().filter(|journey| !is_held(journey)).collect();
    assert!(missing.is_empty() && summary.is_some_and(|line| line.contains(": ok. ")), "{missing:?}\n{told}");
}

/// The tests of this binary whose names begin so.
fn named(beginning: &str) -> Vec<String> {
    let list = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let (left_out, named): (Vec<&str>, Vec<&str>) =
        names.filter(|name| name.starts_with(beginning)).partition(|name| name.starts_with(LEFT_OUT));
    for name in left_out {
        say(&format!("second kernel: left out: {name}"));
    }
    assert!(!named.is_empty(), "no journey is called {beginning}");
    named.into_iter().map(str::to_owned).collect()
}

/// What `doctor` missed there, and what that costs.
fn lacks(told: &str) -> Vec<(&str, &str)> {
    let pairs = told.lines().zip(told.lines().skip(1));
    let missing = pairs.filter_map(|(line, cost)| Some((line.strip_prefix("missing  ")?, cost.trim())));
    missing.map(|(what, cost)| (what.split("  ").next().unwrap_or(what), cost)).collect()
}

/// How many journeys were not made, by the reason that they told.
fn skipped(told: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for why in told.lines().filter_map(|line| line.strip_prefix("skipped: ")) {
        *counts.entry(why).or_default() += 1;
    }
    counts
}
