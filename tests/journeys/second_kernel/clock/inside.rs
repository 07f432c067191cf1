//! Pods with deadlines, rests and schedules, looked at after each time that the clock was set.

use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, let_pass, now};
use crate::second_kernel::inside::{job, pod, put, root, tell, tick};

const TEN_YEARS: i64 = 10 * 365 * 86_400;
/// What the clock is set to, from the time that it shows by right. The minute that was served after it was set back is
/// shown again in the end.
const STEPS: [(&str, i64); 4] = [("ahead", TEN_YEARS), ("back", 0), ("behind", -TEN_YEARS), ("forth", 60)];
/// Of the minute that the clock is set to: before the next one, that it has been set is noticed.
const SECOND: i64 = 45;
/// After the clock was set: another minute has begun, and what was due in it runs.
const A_WHILE: Duration = Duration::from_secs(22);

pub(in crate::second_kernel) fn set() {
    let bench = Bench::at(root());
    let sleep = "exec sleep 1000";
    put(&bench, "endless", &pod("endless", "", sleep));
    put(&bench, "limited", &pod("limited", "restartPolicy: Never, activeDeadlineSeconds: 3600,", sleep));
    put(
        &bench,
        "bounded",
        &job("bounded", "activeDeadlineSeconds: 3600, ttlSecondsAfterFinished: 3600,", sleep),
    );
    put(&bench, "finished", &job("finished", "ttlSecondsAfterFinished: 3600,", "true"));
    put(&bench, "failing", &pod("failing", "", "exit 1"));
    // Nothing but what is written down tells which times were served.
    let forgetful = tick().replace("  schedule:", "  successfulJobsHistoryLimit: 0\n  schedule:");
    put(&bench, "tick", &forgetful);
    let watch = bench.watch();
    let began = now();
    bench.until("all run", || bench.status("endless") == "Running" && bench.status("limited") == "Running");
    bench.until("the Job has ended", || finished(&bench));
    let pids = || ["endless", "limited"].map(|name| bench.pids(name, "main")[0]);
    let before = pids();
    let real = clock();
    for (word, away) in STEPS {
        let shown = real - real.rem_euclid(60) + away + SECOND;
        tell(&format!("set {word} {}", shown / 60));
        Command::new("date").args(["-s", &format!("@{shown}")]).status().unwrap();
        let_pass(A_WHILE);
        assert_eq!(pids(), before, "{word}: restarted\n{}", bench.log());
        assert!(finished(&bench), "{word}: its time to live has not passed\n{}", bench.log());
        let bounded = bench.run(&["get", "job", "bounded", "-o", "jsonpath={.status.active}"]).stdout;
        assert_eq!(bounded, "1", "{word}: its deadline has not passed\n{}", bench.log());
        let (restarts, elapsed) = (restarts(&bench), began.elapsed().as_secs());
        let expected = restarts_by(elapsed.saturating_sub(20))..=restarts_by(elapsed);
        assert!(expected.contains(&restarts), "{word}: {restarts} restarts in {elapsed} s\n{}", bench.log());
    }
    assert_eq!(watch.stop(), 0);
    tell("peace");
}

fn finished(bench: &Bench) -> bool {
    bench.run(&["get", "job", "finished", "-o", "jsonpath={.status.succeeded}"]).stdout == "1"
}

fn restarts(bench: &Bench) -> usize {
    let told = bench.column("failing", 3);
    told.split(' ').next().unwrap().parse().unwrap()
}

/// The first at once, the next ones after 10, 20, 40 seconds more and so on.
fn restarts_by(seconds: u64) -> usize {
    [0, 10, 30, 70, 150, 310].iter().filter(|due| **due <= seconds).count()
}

/// Seconds since 1970.
fn clock() -> i64 {
    let told = Command::new("date").arg("+%s").output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().parse().unwrap()
}
