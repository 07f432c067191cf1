//! Cuts of the power at random moments, with state, logs and manifests on a disc. What containers and records told
//! the machine outside by then is the truth that the next boot is held to.
//! `DROPPOD_POWER_CUTS=200 DROPPOD_SEED=n cargo test --test journeys -- --ignored second_kernel::cuts`.

use std::process::Command;

use super::guest::{self, Errand, Guest};
use super::kernel;
use crate::bench::{now, say};
use crate::kill::Dice;
use ledger::Ledger;

pub(super) mod inside;
mod ledger;

/// How many, if not told.
const CUTS: u64 = 10;
/// Longest life after the kernel's start of a guest that is cut off while it comes up, in milliseconds.
const EARLY: u64 = 4000;
/// Most runs and ends that are told by one that is cut off at work.
const TOLD: u64 = 10;
/// Longest life after the last of these that is waited for, in milliseconds.
const LATE: u64 = 500;

#[test]
#[ignore = "boots another kernel again and again"]
fn no_cut_of_the_power_loses_an_end_or_makes_anything_run_again() {
    let Some(kernel) = kernel::kernel() else { return };
    let cuts = std::env::var("DROPPOD_POWER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(CUTS);
    let mut dice = Dice::new("power cuts");
    let image = guest::image("power.ext4", 512);
    let discs = std::slice::from_ref(&image);
    let mut ledger = Ledger::default();
    let began = now();
    let mut early = 0;
    for _ in 0..cuts {
        ledger.boot();
        let mut guest = Guest::boot(kernel, "power", &Errand::Part("power", discs));
        // What chance may not do is spare all work.
        if dice.below(5) == 0 && early < cuts / 2 {
            early += 1;
            dice.moment(EARLY);
        } else {
            ledger.hear_all(&guest.until("watches"));
            for _ in 0..dice.below(TOLD) {
                ledger.hear_all(&guest.until(""));
            }
            dice.moment(LATE);
        }
        let (told, console) = guest.cut();
        ledger.hear_all(&told);
        assert_eq!(ledger.wrongs(), &[""; 0], "after {}\n{console}", ledger.summary());
    }
    ledger.has_met(cuts as usize);
    ledger.boot();
    let mut guest = Guest::boot(kernel, "power", &Errand::Part("peace", discs));
    ledger.hear_all(&guest.until("peace"));
    guest.rest();
    assert_eq!(ledger.wrongs(), &[""; 0], "after {}\n{}", ledger.summary(), guest.console());
    let check = Command::new("e2fsck").arg("-fn").arg(&image).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    say(&format!("second kernel: {cuts} cuts of the power, {}, {:.0?}", ledger.summary(), began.elapsed()));
}
