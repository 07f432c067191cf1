//! Pods that do their worst, and what of it the others feel.

use std::path::Path;
use std::time::Duration;

use crate::bench::{Bench, now, say};
use crate::full::Small;

/// Seconds; `DROPPOD_LOAD_SECONDS=30` makes it longer.
const DURATION: u64 = 8;
/// Beats that the heart is waited for after the load was looked at. How many there are in a second is only printed: other
/// tests, and builds, are as much a load as the bombs are.
const MORE_BEATS: usize = 3;
/// Seconds; a heart that stands still for longer is harmed. It beats twenty-five times in them where nothing is in its way.
const LONGEST_PAUSE: u64 = 5;
/// Processes of one pod.
const PIDS: usize = 1024;
/// Bytes of logs that a container may have, the last of its five files being written to.
const LOGS: u64 = 5 * 10 * 1024 * 1024;
/// What the others say in the meantime.
const SMALL_TALK: u64 = 1024 * 1024;

fn pod(name: &str, command: &str, resources: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
         volumes: [{{name: data, emptyDir: {{}}}}]\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: {command}\n    \
         volumeMounts: [{{name: data, mountPath: /data}}]\n    resources: {resources}\n"
    )
}

/// Of a copy of perl and its libraries: a fork locks every file it has mapped against being mapped, and those of the
/// machine's own root are the ones that each program beside the pod maps as it starts.
const FORKS: &str = "[bash, -c, 'mkdir /own; cp `ldd /usr/bin/perl | grep -o \"/[^ ]*\"` /usr/bin/perl /own; \
                     exec /own/ld-linux* --library-path /own /own/perl -e \
                     \"while (1) { defined(fork) or select(undef, undef, undef, 0.1) }\"']";

/// All that a pod can write to: the disc, the files that it was given, what lies above its root. What others free it takes
/// at once.
const FILLS: &str = "[bash, -c, 'until test -e /data/go; do sleep 0.1; done; head -c 64M /dev/zero > /full; \
                     echo begun; while true; do \
                     for file in /data/full /dev/termination-log /etc/hosts /etc/hostname /etc/resolv.conf; do \
                     cat /dev/zero >> $file 2>/dev/null; done; sleep 0.05; done']";

const BOMBS: [(&str, &str, &str); 6] = [
    ("forks", FORKS, "{}"),
    ("memory", "[perl, -e, 'my @x; push @x, \"x\" x 1_000_000 while 1']", "{limits: {memory: 48Mi}}"),
    ("cpu", "[perl, -e, 'fork; fork; 1 while 1']", "{}"),
    ("logs", "[bash, -c, 'yes all work and no play']", "{}"),
    ("layer", "[bash, -c, 'cat /dev/zero > /full; exec sleep 1000']", "{limits: {memory: 48Mi}}"),
    ("disc", FILLS, "{}"),
];

/// Starts no program for a beat: what shows is how the pod is treated, not what a fork costs.
const HEART: &str = "[perl, -e, '$| = 1; while (1) { print \"beat\\n\"; select undef, undef, undef, 0.2 }']";

fn bytes_below(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            // A file may be rotated away by now.
            let is = entry.metadata().ok()?;
            Some(if is.is_dir() { bytes_below(&entry.path()) } else { is.len() })
        })
        .sum()
}

/// Seconds of the clock that pass at most between a line and the next, of lines that begin with their time.
fn longest_pause<'t>(lines: impl Iterator<Item = &'t str>) -> u64 {
    const DAY: u64 = 24 * 60 * 60;
    let second_of_day = |line: &str| {
        let (_, time) = line.split_once('T').unwrap();
        let parts = time.get(..8).unwrap().split(':').map(|part| part.parse::<u64>().unwrap());
        parts.fold(0, |sum, part| sum * 60 + part)
    };
    let seconds: Vec<u64> = lines.map(second_of_day).collect();
    seconds.windows(2).map(|pair| (pair[1] + DAY - pair[0]) % DAY).max().unwrap_or(DAY)
}

#[test]
fn bombs_of_every_kind_harm_nobody_else() {
    let Some(bench) = Bench::new() else { return };
    let seconds = std::env::var("DROPPOD_LOAD_SECONDS").ok().and_then(|text| text.parse().ok());
    let duration = Duration::from_secs(seconds.unwrap_or(DURATION));
    let disc = Small::mounted(&bench, "s", "48m");
    let _run = Small::mounted(&bench, "r", "16m");
    bench.manifest("heart.yaml", &pod("heart", HEART, "{requests: {cpu: 200m}}"));
    let watch = bench.watch();
    bench.until_status("heart", "Running");
    let heart = bench.pids("heart", "main")[0];
    for (name, command, resources) in BOMBS {
        bench.manifest(&format!("{name}.yaml"), &pod(name, command, resources));
    }
    for name in ["forks", "cpu", "logs", "disc"] {
        bench.until_status(name, "Running");
    }
    // Not before: on a disc that is full none of the others starts.
    for pod in std::fs::read_dir(bench.path("s/scratch")).unwrap() {
        std::fs::write(pod.unwrap().path().join("volumes/data/go"), "").unwrap();
    }
    bench.until("the fork bomb is at its limit", || bench.pids("forks", "main").len() > PIDS - 24);
    for name in ["memory", "layer"] {
        bench.until(name, || bench.read(&format!("{name}.status.yaml")).contains("OOMKilled"));
    }
    bench.until("the disc is full", || {
        disc.is_full() && bench.run(&["logs", "disc"]).stdout.contains("begun")
    });

    let beats = || bench.run(&["logs", "heart"]).exits(0).stdout.lines().count();
    let (began, before) = (now(), beats());
    let mut answers = Vec::new();
    while began.elapsed() < duration {
        let asked = now();
        bench.run(&["get", "pods"]).exits(0).says("heart");
        answers.push(asked.elapsed());
    }
    let (lived, beaten) = (began.elapsed(), beats() - before);
    let most = bench.pids("forks", "main").len();
    let logs = bytes_below(&bench.path("l"));
    answers.sort();
    say(&format!(
        "load for {lived:.1?}: {} answers of `get`, half of them within {:.2?}, the slowest after {:.2?}; \
         {:.1} beats of the heart in a second, of 5; {most} forks; {logs} bytes of logs",
        answers.len(),
        answers[answers.len() / 2],
        answers[answers.len() - 1],
        beaten as f64 / lived.as_secs_f64(),
    ));
    bench.until("the heart beats on", || beats() >= before + beaten + MORE_BEATS);
    let stamped = bench.run(&["logs", "heart", "--timestamps"]).exits(0).stdout;
    let pause = longest_pause(stamped.lines().skip(before - 1));
    assert!(pause <= LONGEST_PAUSE, "the heart stood still for {pause} s under the load");
    assert!(most <= PIDS, "{most} processes in one pod");
    assert!(logs < LOGS + SMALL_TALK, "{logs} bytes of logs");
    assert_eq!(bench.pids("heart", "main")[0], heart, "the heart was restarted");
    for name in ["heart", "forks", "cpu", "logs", "disc"] {
        assert_eq!(bench.column(name, 3), "0", "{name} was restarted");
    }

    bench.remove("heart.yaml");
    for (name, ..) in BOMBS {
        bench.remove(&format!("{name}.yaml"));
    }
    let removed = now();
    bench.until_clean();
    say(&format!("all gone after {:.1?}", removed.elapsed()));
    bench.until("the census counts nothing", || bench.run(&["doctor", "--census"]).code == 0);
    assert_eq!(watch.stop(), 0);
}

/// Twenty loops on a hundredth of a core, in a pod with a heart that has no limit. They begin at once, when all are there.
const HOG: &str = "[perl, -e, 'pipe(R, W); for (1 .. 19) { fork and next; close W; sysread R, $_, 1; 1 while 1 } \
                   close R; close W; 1 while 1']";

/// Its probe and whoever else enters it get as little as it leaves them.
#[test]
fn a_container_that_has_used_up_its_processor_time_holds_up_nobody_else() {
    let Some(bench) = Bench::new() else { return };
    let watch = bench.watch();
    let hog = format!(
        "  - name: hog\n    image: droppod.local/host\n    command: {HOG}\n    resources: {{limits: {{cpu: 10m}}}}\n    \
         readinessProbe: {{exec: {{command: ['true']}}, periodSeconds: 1, failureThreshold: 1}}\n"
    );
    bench.manifest("pair.yaml", &(pod("pair", HEART, "{}") + &hog));
    // With what enters it for the probe. Its first process has ten milliseconds a second to start them in.
    bench.until_at_most(Duration::from_secs(180), "all loops run", || bench.pids("pair", "hog").len() >= 20);
    bench.until("its probe gets no answer", || {
        bench
            .run(&["events", "--for", "pod/pair"])
            .stdout
            .contains("Readiness probe failed: command timed out")
    });
    let beats = || bench.run(&["logs", "pair", "-c", "main"]).exits(0).stdout.lines().count();
    let before = beats();
    bench.until("the heart beats on", || beats() >= before + MORE_BEATS);
    bench.until("it is not ready", || bench.column("pair", 1) == "1/2");
    assert_eq!(bench.status("pair"), "Running");
    let mut stuck = bench.start(&["exec", "pair", "-c", "hog", "--", "true"]);
    let asked = now();
    bench.run(&["exec", "pair", "-c", "main", "--", "echo", "here"]).exits(0).prints("here\n");
    let answered = asked.elapsed();
    bench.remove("pair.yaml");
    let removed = now();
    bench.until_clean();
    say(&format!(
        "beside twenty loops on 10m: exec within {answered:.2?}, all gone after {:.1?}",
        removed.elapsed()
    ));
    stuck.child.wait().unwrap();
    assert_eq!(watch.stop(), 0);
}
