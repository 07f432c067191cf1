//! A folder under a storm of edits, a flood of manifests, at rest, and on discs without room. Run by name: `cargo test --release
//! --test folder -- [storm] [many] [idle] [full] [--edits N] [--pods N] [--seconds N]`; without one of the words all four. Each
//! ends in a verdict, and the exit code tells whether all were kept.
#![expect(clippy::unwrap_used, reason = "a measurement fails by it, and says where")]

#[path = "../journeys/bench.rs"]
#[expect(dead_code, unused_imports, reason = "journeys use the rest of it")]
mod bench;
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

use std::fs;
use std::process::ExitCode;

use bench::say;

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

/// Nanoseconds of CPU that all threads of a process have used.
fn cpu(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let used = |task: fs::DirEntry| {
        let told = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        told.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.map(|task| used(task.unwrap())).sum()
}

fn rss_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// A pod that sleeps.
fn sleeper(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  \
         - {{name: main, image: droppod.local/host, command: [sleep, '100000']}}\n"
    )
}
