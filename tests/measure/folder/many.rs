//! A thousand manifests of pods at once: when each of them has a status, and when each runs.

use std::fs;
use std::time::Duration;

use super::bench::{Bench, let_pass, now, say};
use super::{Verdict, argument, rss_mib, sleeper};

const PODS: usize = 1_000;
const TOLD: Duration = Duration::from_secs(10);
const RUNNING: Duration = Duration::from_secs(300);

pub(super) fn measure() -> Option<Verdict> {
    let pods = argument("--pods").unwrap_or(PODS);
    let bench = Bench::new()?;
    let staged = bench.path("staged");
    fs::create_dir(&staged).unwrap();
    for number in 0..pods {
        fs::write(staged.join(format!("p{number}.yaml")), sleeper(&format!("p{number}"))).unwrap();
    }
    let watch = bench.watch();
    let began = now();
    for number in 0..pods {
        let name = format!("p{number}.yaml");
        fs::rename(staged.join(&name), bench.folder().join(&name)).unwrap();
    }
    let dropped = began.elapsed();
    let status = |number: usize| bench.folder().join(format!("p{number}.status.yaml"));
    let told = (0..pods).map(|number| {
        while !status(number).exists() && began.elapsed() < RUNNING {
            let_pass(Duration::from_millis(2));
        }
        began.elapsed()
    });
    let told = told.max().unwrap();
    let runs = |number: usize| {
        let text = fs::read_to_string(status(number)).unwrap_or_default();
        text.contains("phase: Running")
    };
    let mut waiting: Vec<usize> = (0..pods).collect();
    while !waiting.is_empty() && began.elapsed() < RUNNING {
        waiting.retain(|number| !runs(*number));
        let_pass(Duration::from_millis(100));
    }
    let (running, rss) = (began.elapsed(), rss_mib(watch.child.id()));
    say(&format!(
        "many: {pods} manifests dropped in {dropped:.2?}, each has a status after {told:.2?} (at most {TOLD:?}), {} run after \
         {running:.1?}, RSS of the watcher {rss:.1} MiB",
        pods - waiting.len()
    ));
    for number in 0..pods {
        bench.remove(&format!("p{number}.yaml"));
    }
    while !bench.census().is_empty() && began.elapsed() < 2 * RUNNING {
        let_pass(Duration::from_millis(100));
    }
    let clean = bench.census().is_empty();
    watch.stop();
    Some(Verdict::of(told <= TOLD && waiting.is_empty() && clean))
}
