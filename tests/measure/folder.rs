//! A folder under a storm of edits, a flood of manifests, at rest, and on discs without room. Run by name: `cargo test --release
//! --test folder -- [storm] [many] [idle] [full] [--edits N] [--pods N] [--seconds N]`; without one of the words all four. Each
//! ends in a verdict, and the exit code tells whether all were kept.
#![expect(clippy::unwrap_used, reason = "a measurement fails by it, and says where")]

#[path = "../journeys/bench.rs"]
#[expect(dead_code, unused_imports, reason = "journeys use the rest of it")]
mod bench;
#[expect(dead_code, reason = "other measurements use the rest of it")]
#[path = "cost.rs"]
mod cost;
#[path = "folder/disc.rs"]
mod disc;
#[path = "folder/full.rs"]
mod full;
#[path = "folder/idle.rs"]
mod idle;
#[path = "folder/many.rs"]
mod many;
#[path = "folder/storm.rs"]
mod storm;

use std::process::ExitCode;

use bench::say;
use cost::{cpu, rss_mib};

/// Whether what was promised was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Kept,
    Broken,
}

impl Verdict {
    fn of(kept: bool) -> Verdict {
        if kept { Verdict::Kept } else { Verdict::Broken }
    }
}

/// None where nothing can be measured.
type Measure = fn() -> Option<Verdict>;

fn main() -> ExitCode {
    let parts: [(&str, Measure); 4] = [
        ("storm", storm::measure),
        ("many", many::measure),
        ("idle", idle::measure),
        ("full", full::measure),
    ];
    let asked: Vec<String> = std::env::args().collect();
    let all = parts.iter().all(|(name, _)| !asked.iter().any(|word| word == name));
    let mut code = ExitCode::SUCCESS;
    for (name, measure) in parts.iter().filter(|(name, _)| all || asked.iter().any(|word| word == name)) {
        let verdict = measure();
        say(&format!("{name}: {verdict:?}"));
        if verdict == Some(Verdict::Broken) {
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn argument(name: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map(|count| count.parse().unwrap())
}

/// A pod that sleeps.
fn sleeper(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  \
         - {{name: main, image: droppod.local/host, command: [sleep, '100000']}}\n"
    )
}
