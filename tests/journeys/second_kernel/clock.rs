//! A clock that is set ten years ahead and back under pods that run.

use std::collections::BTreeSet;

use super::guest::{self, Errand, Guest};
use super::kernel;
use crate::bench::say;

pub(super) mod inside;

#[test]
#[ignore = "boots another kernel"]
fn a_clock_that_is_set_ends_no_pod_and_starts_nothing_twice() {
    let Some(kernel) = kernel::kernel() else { return };
    let image = guest::image("clock.ext4", 64);
    let mut guest = Guest::boot(kernel, "clock", &Errand::Part("clock", std::slice::from_ref(&image)));
    let told = guest.until("peace");
    guest.rest();
    let ticks: Vec<i64> = told.iter().filter_map(|line| tick(line)).collect();
    let instants: BTreeSet<i64> = ticks.iter().copied().collect();
    assert!(ticks.len() >= 3, "the schedule does not go on: {ticks:?}\n{}", guest.console());
    assert_eq!(instants.len(), ticks.len(), "an instant had two runs: {ticks:?}\n{}", guest.console());
    let steps: Vec<&[String]> = told.split_inclusive(|line| line.starts_with("set ")).collect();
    for pair in steps.windows(2) {
        let set = pair[0].last().unwrap();
        let minute: i64 = set.rsplit_once(' ').unwrap().1.parse().unwrap();
        let caught = pair[1].iter().filter_map(|line| tick(line));
        let caught: Vec<i64> = caught.filter(|at| (minute - DAY..=minute).contains(at)).collect();
        assert!(caught.len() <= 1, "{set}: caught up with {caught:?}\n{}", guest.console());
    }
    say(&format!(
        "second kernel: a clock set {} times: no pod restarted, {} ticks, none twice",
        steps.len() - 1,
        ticks.len()
    ));
}

/// In minutes.
const DAY: i64 = 1440;

/// The minute of a tick that runs.
fn tick(line: &str) -> Option<i64> {
    line.strip_prefix("run job tick-")?.strip_suffix(" all")?.parse().ok()
}
