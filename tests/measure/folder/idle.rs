//! What pods that only sleep write to a disc of their own, which notes accesses as discs do if nobody says otherwise.

use std::fs;
use std::time::Duration;

use super::bench::{Bench, let_pass, say};
use super::disc::Disc;
use super::{Verdict, argument, sleeper};

const PODS: usize = 20;
const SECONDS: usize = 600;
const MEBIBYTES: u64 = 256;
/// After which what the start has left to be written is written.
const REST: Duration = Duration::from_secs(15);

pub(super) fn measure() -> Option<Verdict> {
    if !rustix::process::geteuid().is_root() {
        say("skipped: containers need root");
        return None;
    }
    let disc = Disc::mounted(std::env::temp_dir().join(format!("dpi{}", std::process::id())), MEBIBYTES);
    let bench = Bench::at(disc.place().join("b"));
    for number in 0..PODS {
        bench.manifest(&format!("p{number}.yaml"), &sleeper(&format!("p{number}")));
    }
    let watch = bench.watch();
    let runs =
        |number: usize| bench.read(&format!("p{number}.status.yaml")).contains("summary: 1 pod running");
    bench.until("all run", || (0..PODS).all(runs));
    let_pass(REST);
    let before = disc.written();
    let seconds = argument("--seconds").unwrap_or(SECONDS);
    let mut last = before;
    for minute in 0..seconds.div_ceil(60) {
        let_pass(Duration::from_secs(60.min(seconds - minute * 60) as u64));
        let written = disc.written();
        if written != last {
            say(&format!("idle: {} bytes in minute {}", written - last, minute + 1));
        }
        last = written;
    }
    say(&format!("idle: {PODS} pods wrote {} bytes to their disc in {seconds} s (at most 0)", last - before));
    fs::write(bench.path("seen"), "x").unwrap();
    assert!(disc.written() > last, "the disc does not tell what is written to it");
    for number in 0..PODS {
        bench.remove(&format!("p{number}.yaml"));
    }
    bench.until_clean();
    watch.stop();
    Some(Verdict::of(last == before))
}
