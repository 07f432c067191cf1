//! `kill -9` at random moments under mixed load, each followed by a census of everything that there is: `cargo test --test
//! torture -- --kills 1000 --seed 7`, with `--each` a line for each. The first thing that is not as it should be ends it.
//!
//! ```text
//! edit manifests, `up`, pull ──▶ kill ──▶ until at rest ──▶ census: kernel, records and what containers told agree
//!        ▲                                                      │
//!        └──────────────────────────────────────────────────────┘
//! ```
#![expect(clippy::unwrap_used, reason = "a measurement fails by it, and says where")]

#[path = "torture/batch.rs"]
mod batch;
#[path = "../journeys/bench.rs"]
#[expect(dead_code, unused_imports, reason = "journeys use the rest of it")]
mod bench;
#[path = "torture/dice.rs"]
mod dice;
#[path = "torture/kernel.rs"]
mod kernel;
#[path = "../journeys/image/made.rs"]
#[expect(dead_code, reason = "journeys use the rest of it")]
mod made;
#[path = "torture/manifest.rs"]
mod manifest;
#[path = "torture/record.rs"]
mod record;
#[path = "../journeys/image/registry.rs"]
#[expect(dead_code, reason = "journeys use the rest of it")]
mod registry;
#[path = "torture/rest.rs"]
mod rest;
#[path = "torture/settle.rs"]
mod settle;
#[path = "torture/tally.rs"]
mod tally;
#[path = "torture/told.rs"]
mod told;
#[path = "torture/truth.rs"]
mod truth;
#[path = "torture/victim.rs"]
mod victim;
#[path = "torture/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};

use bench::say;
use tally::Tally;
use world::World;

/// Kills between two lines that tell how it goes, and between two looks at what is slow to go wrong.
const NEWS: usize = 50;

fn main() -> ExitCode {
    let kills = argument("--kills").unwrap_or(100);
    let seed = argument("--seed").unwrap_or_else(any_seed);
    say(&format!("torture: {kills} kills, seed {seed}"));
    match catch_unwind(AssertUnwindSafe(|| torture(kills as usize, seed))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map(|count| count.parse().unwrap())
}

/// One that nobody chose.
fn any_seed() -> u64 {
    rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_nsec as u64
}

fn torture(kills: usize, seed: u64) {
    let Some(mut world) = World::new(seed) else { return };
    let tells_each = std::env::args().any(|argument| argument == "--each");
    let mut tally = Tally::new(seed, world.registry.is_some());
    // Enough to begin with.
    for _ in 0..4 {
        world.stir();
    }
    for kill in 1..=kills {
        world.stir();
        let (victim, hit) = world.strike();
        match world.settle() {
            Ok(took) => {
                if tells_each {
                    say(&format!("{kill}: {} {hit}, {took:?}", victim.name()));
                }
                tally.count(victim, hit, took);
            }
            Err(wrong) => fail(&world, seed, kill, &format!("{}: {wrong}", victim.name())),
        }
        if kill % NEWS == 0 {
            if let Err(wrong) = world.weariness() {
                fail(&world, seed, kill, &wrong);
            }
            say(&tally.line(world.truth.figures()));
        }
    }
    if let Err(wrong) = world.end() {
        fail(&world, seed, kills, &format!("at the end: {wrong}"));
    }
    tally.print(world.truth.figures());
}

/// What can be looked at later is kept before the bench goes.
fn fail(world: &World, seed: u64, kill: usize, wrong: &str) -> ! {
    let watcher = kernel::where_it_is(world.watcher.child.id());
    let kept = std::env::temp_dir().join(format!("torture-{seed}-{kill}"));
    let mut copy = Command::new("cp");
    copy.arg("-a")
        .arg("--one-file-system")
        .args(["s", "r", "l", "t", "m", "u", "err", "up.out", "up.err"].map(|name| world.bench.path(name)));
    drop(std::fs::create_dir_all(&kept).and_then(|()| copy.arg(&kept).status()));
    panic!("torture, seed {seed}, kill {kill}, {wrong}\nthe watcher: {watcher}\nkept in {}", kept.display());
}
