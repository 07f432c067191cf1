//! Something fails right after each thing that a pod's course leaves behind, once: killed, no room, a broken disc, a
//! delay. Whatever it was, the pods come to run and to end as declared, and nothing is left of them.
//!
//! The boundaries are those that the sources name (`failpoint::reach("…")`). Left out is what is the same by construction:
//! no room, except for images, as nobody else tells one error from another; errors where nothing can fail; a delay of what
//! is written beside a file, as it is one of the step before.

mod boundaries;
mod course;
mod cron;
mod store;
mod verdict;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use self::boundaries::{Boundary, DRAFTS};
use self::course::{Fault, Order};
use crate::bench::say;
use crate::image::made::Made;

/// Courses at a time in one test: they mostly wait.
const SIDE_BY_SIDE: usize = 4;

/// What is reached again and again, by a process that does something else each time. Such a boundary fails at the first
/// time, the second and so on, until nobody comes to it that often.
const REPEATED: [&str; 6] = [
    "status file written",
    "state published",
    "exit recorded",
    "container started",
    "job counted",
    "goal published",
];
/// More often than any process comes to one of these.
const MOST: u32 = 20;

/// Of the store alone: tests of their own.
const OF_STORE: [&str; 2] = ["layers marked", "layer taken"];
/// What only a `down` leads to.
const OF_DOWN: [&str; 1] = ["interruption recorded"];
/// What only a removal leads to: there is nothing to be edited.
const OF_REMOVAL: [&str; 6] = [
    "removal recorded",
    "stop ordered",
    "container signalled",
    "container killed",
    "departure recorded",
    "object forgotten",
];
/// The error of these changes nothing: it is dropped where the next record tells the same, and a state that found no room
/// is published again by itself.
const FORGIVEN: [&str; 4] =
    ["state published", "exit recorded", "departure recorded", "interruption recorded"];
/// Where no room is another thing than a broken disc.
const OF_IMAGES: [&str; 8] = [
    "manifest resolved",
    "blob made",
    "blob verified",
    "layer directory made",
    "layer unpacked",
    "layer committed",
    "manifest committed",
    "reference committed",
];

fn concerns(fault: Fault, boundary: &str, is: Boundary) -> bool {
    let can_fail = is == Boundary::Fails && !FORGIVEN.contains(&boundary);
    !OF_STORE.contains(&boundary)
        && match fault {
            Fault::Kill => true,
            Fault::NoRoom => can_fail && OF_IMAGES.contains(&boundary),
            Fault::BrokenDisc => can_fail,
            Fault::LateForAnEdit => !DRAFTS.contains(&boundary) && !OF_REMOVAL.contains(&boundary),
            Fault::LateForTheReverse => !DRAFTS.contains(&boundary) && !OF_DOWN.contains(&boundary),
        }
}

/// Fails at a boundary at the first time, and at later ones where that is another thing. Tells how often.
fn at(image: &Made, fault: Fault, boundary: &str) -> u32 {
    let is_repeated = match fault {
        Fault::Kill => REPEATED.contains(&boundary),
        // A status file that is refused is written by the next look, whichever look that is.
        Fault::BrokenDisc => REPEATED.contains(&boundary) && boundary != "status file written",
        Fault::NoRoom | Fault::LateForAnEdit | Fault::LateForTheReverse => false,
    };
    for ordinal in 1..=MOST {
        let order = Order { fault, ordinal, boundary: boundary.to_owned() };
        match course::run(image, &order) {
            None => return 0,
            Some(true) if is_repeated => {}
            Some(true) => return ordinal,
            Some(false) => {
                assert!(ordinal > 1, "nobody came to: {boundary}");
                return ordinal - 1;
            }
        }
    }
    panic!("{boundary} was reached more than {MOST} times");
}

fn courses(faults: &[Fault]) {
    let Some(image) = Made::new("hello") else { return };
    if !cfg!(debug_assertions) {
        return say("skipped: without debug assertions nothing fails on purpose");
    }
    // One alone: `DROPPOD_BOUNDARY='pair made' cargo test …`.
    let only = std::env::var("DROPPOD_BOUNDARY").ok();
    let all = boundaries::all();
    let mut queue = Vec::new();
    for (boundary, is) in all.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name)) {
        let concerned = faults.iter().filter(|fault| concerns(**fault, boundary, *is));
        queue.extend(concerned.map(|fault| (*fault, boundary.as_str())));
    }
    // Last in, first out: what takes long is begun first.
    queue.sort_by_key(|(_, boundary)| REPEATED.contains(boundary));
    let queue = Mutex::new(queue);
    let (counted, failed) = (Mutex::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some((fault, boundary)) = { queue.lock().unwrap().pop() } {
                    match catch_unwind(AssertUnwindSafe(|| at(&image, fault, boundary))) {
                        Ok(times) => *counted.lock().unwrap() += times,
                        Err(_) => failed.lock().unwrap().push(format!("{fault:?} at {boundary}")),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:#?}");
    say(&format!("{faults:?}: {} courses", counted.into_inner().unwrap()));
}

#[test]
fn what_is_killed_at_any_boundary_is_finished_or_undone() {
    courses(&[Fault::Kill]);
}

#[test]
fn what_finds_no_room_or_a_broken_disc_at_any_boundary_is_done_later() {
    courses(&[Fault::NoRoom, Fault::BrokenDisc]);
}

#[test]
fn what_is_late_at_any_boundary_while_its_manifest_is_edited_is_as_declared_in_the_end() {
    courses(&[Fault::LateForAnEdit]);
}

#[test]
fn what_is_late_at_any_boundary_while_its_manifest_goes_or_comes_back_is_so_in_the_end() {
    courses(&[Fault::LateForTheReverse]);
}
