//! What a process has cost.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::bench::{let_pass, say};

/// Nanoseconds of CLOCK_MONOTONIC, as `stamp` tells them.
pub(crate) fn clock() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds of CPU that all threads of a process have used.
pub(crate) fn cpu(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let used = |task: &Path| {
        let told = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        told.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.map(|task| used(&task.unwrap().path())).sum()
}

/// Percent of a core that a process uses over this time.
pub(crate) fn share(pid: u32, over: Duration) -> f64 {
    let before = cpu(pid);
    let_pass(over);
    (cpu(pid) - before) as f64 / over.as_nanos() as f64 * 100.0
}

/// Waits until what was stirred last is done: a twentieth of a core for two seconds. Told if it takes longer than a
/// minute, since what is measured then shows it.
pub(crate) fn come_to_rest(pid: u32) {
    if !(0..30).any(|_| share(pid, Duration::from_secs(2)) < 5.0) {
        say("not at rest after a minute");
    }
}

pub(crate) fn rss_mib(pid: u32) -> f64 {
    kib(&format!("/proc/{pid}/status"), "VmRSS:") as f64 / 1024.0
}

pub(crate) fn pss_mib(pid: u32) -> f64 {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:") as f64 / 1024.0
}

fn kib(path: &str, field: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
