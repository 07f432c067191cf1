//! A machine that is shut down in order, comes up again, loses its power, and comes up again: what runs then, and as whom.

use super::guest::{self, Errand, Guest};
use super::kernel;
use crate::bench::say;

pub(super) mod inside;

#[test]
#[ignore = "boots another kernel three times"]
fn what_a_reboot_stopped_runs_again_and_what_ended_does_not() {
    let Some(kernel) = kernel::kernel() else { return };
    let image = guest::image("reboot.ext4", 256);
    let boot = |part| Guest::boot(kernel, "reboot", &Errand::Part(part, std::slice::from_ref(&image)));

    let mut first = boot("first boot");
    let mut told = first.until("shut down");
    told.extend(first.rest());
    assert_eq!(
        runs(&told),
        ["again", "endless", "faithful", "finished -", "half 0", "half 1", "long", "once"]
    );

    let mut second = boot("second boot");
    let told = second.until("all is there");
    assert_eq!(runs(&told), ["again", "endless", "faithful", "half 1", "long"]);
    second.cut();

    let mut third = boot("third boot");
    let told = third.until("all is there");
    assert_eq!(runs(&told), ["again", "endless", "faithful", "half 1"]);
    drop(third);
    say("second kernel: 1 shutdown and 1 cut of the power: 13 runs, none of what had ended");
}

/// Who told that it runs: a pod's name, or a Job's with the index.
fn runs(told: &[String]) -> Vec<String> {
    let runs = told.iter().filter_map(|line| line.strip_prefix("run "));
    let mut runs: Vec<String> = runs
        .map(|what| match what.split(' ').collect::<Vec<_>>()[..] {
            ["pod", name, _] => name.to_owned(),
            ["job", name, index] => format!("{name} {}", if index.is_empty() { "-" } else { index }),
            _ => what.to_owned(),
        })
        .collect();
    runs.sort();
    runs
}
