//! The same journeys on a second kernel: Linux 6.1 with cgroup v2 alone, as one ordinary program (User Mode Linux). Its
//! root is this machine's, so this very test binary runs in it. It takes minutes, so it is asked for:
//! `cargo test --test journeys -- --ignored second_kernel`.

use crate::bench::say;
use guest::{Errand, Guest};

mod guest;
mod kernel;
mod power;

/// Namespaces, limits, the end by memory, pids, exec, confinement, adoption, kills, each with its census.
const JOURNEYS: [&str; 8] = [
    "pod::",
    "session::exec",
    "session::a_terminal",
    "up::a_timeout",
    "confinement::",
    "kill::many_pods_outlive_their_watcher_and_are_adopted",
    "kill::a_pod_process_that_dies_takes_its_containers_along_and_comes_back",
    "kill::a_pod_process_killed_while_nobody_watches_is_swept_by_the_next_watcher",
];

#[test]
#[ignore = "boots another kernel and takes minutes"]
fn the_journeys_hold_on_cgroup_v2() {
    let Some(kernel) = kernel::kernel() else { return };
    let mut guest = Guest::boot(kernel, "journeys", &Errand::Journeys(&JOURNEYS));
    guest.rest();
    let told = guest.console();
    let summary = told.lines().find(|line| line.starts_with("test result:"));
    say(&format!("second kernel: {}", summary.unwrap_or("no result")));
    for lack in told.lines().filter(|line| line.starts_with("skipped: ")) {
        say(&format!("second kernel: {lack}"));
    }
    assert!(summary.is_some_and(|line| line.contains(": ok. ") && !line.contains(" 0 passed")), "{told}");
}
