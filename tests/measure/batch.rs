//! Jobs and CronJobs in numbers. Run by name: `cargo test --release --test batch -- [--most N] [--completions N]
//! [--parallelism N] [--edits N] [--lines N]`. Asserts nothing: it prints tables.
//!
//! The first: as many suspended CronJobs as finished Jobs, each in a file of its own; what the watcher costs idle, how
//! soon an edit of one of them is in force once its folder has come to rest, and what it costs. Finished Jobs have run a
//! pod each up to 1,000 of them; beyond, they had nothing to complete. The second: one Job beside as many bare pods. With
//! `--lines` a third alone: as many runs of `echo` under `up`, what of them was told, and what that costs as they get more.
#![expect(clippy::unwrap_used, reason = "a measurement fails by it, and says where")]

#[path = "../journeys/bench.rs"]
#[expect(dead_code, unused_imports, reason = "journeys use the rest of it")]
mod bench;
#[expect(dead_code, reason = "other measurements use the rest of it")]
mod cost;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use bench::{Bench, let_pass, say};
use cost::{clock, come_to_rest, cpu, rss_mib, share};

/// Over which idling is observed.
const IDLE: Duration = Duration::from_secs(30);
/// How long a folder is left alone before an edit of what it holds is in force.
const SETTLING: Duration = Duration::from_millis(150);
/// Jobs that are dropped before those that were are waited for.
const AT_ONCE: usize = 50;
/// Finished Jobs that have run a pod each.
const RUN_FOR_REAL: usize = 1_000;

fn main() {
    if let Some(runs) = argument("--lines") {
        let Some(bench) = Bench::new() else { return };
        lines_of_up(&bench, runs, argument("--parallelism").unwrap_or(20));
        return;
    }
    let most = argument("--most").unwrap_or(1_000);
    let edits = argument("--edits").unwrap_or(20);
    say(&format!(
        "{:>7} {:>9} {:>16} {:>22} {:>16}",
        "files", "RSS MiB", "idle, % of core", "reaction, ms (..p90)", "CPU ms per edit"
    ));
    for count in [10, 100, 1_000, 10_000].into_iter().filter(|count| *count <= most) {
        let Some(bench) = Bench::new() else { return };
        crowd(&bench, count, edits);
    }
    let completions = argument("--completions").unwrap_or(500);
    let parallelism = argument("--parallelism").unwrap_or(20);
    let Some(bench) = Bench::new() else { return };
    let job = one_job(&bench, completions, parallelism);
    drop(bench);
    let Some(bench) = Bench::new() else { return };
    let bare = bare_pods(&bench, completions);
    say(&format!(
        "{completions} completions, {parallelism} at once: {:.1} pods a second; {completions} bare pods: {:.1}; ratio {:.2} (aim 0.5)",
        completions as f64 / job,
        completions as f64 / bare,
        bare / job,
    ));
}

fn argument(name: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map(|count| count.parse().unwrap())
}

fn cron_job(number: usize, minute: usize) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: cron-{number}}}\nspec:\n  schedule: '{minute} 2 * * *'\n  \
         suspend: true\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          restartPolicy: Never\n          \
         containers:\n          - {{name: main, image: droppod.local/host, command: ['true']}}\n"
    )
}

fn job(name: &str, completions: usize, parallelism: usize) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  completions: {completions}\n  parallelism: \
         {parallelism}\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n      - {{name: main, image: \
         droppod.local/host, command: ['true']}}\n"
    )
}

/// How many objects have a file whose text has this part.
fn objects(bench: &Bench, file: &str, part: &str) -> usize {
    let entries = fs::read_dir(bench.path("s/objects")).into_iter().flatten();
    let texts = entries.map(|entry| fs::read_to_string(entry.unwrap().path().join(file)).unwrap_or_default());
    texts.filter(|text| text.contains(part)).count()
}

fn wait_for(bench: &Bench, file: &str, part: &str, count: usize) {
    while objects(bench, file, part) < count {
        let_pass(Duration::from_millis(20 + count as u64 / 4));
    }
}

fn crowd(bench: &Bench, count: usize, edits: usize) {
    let completions = usize::from(count <= RUN_FOR_REAL);
    let watch = bench.watch();
    for number in 0..count {
        bench.manifest(&format!("cron{number}.yaml"), &cron_job(number, 0));
        bench.manifest(&format!("job{number}.yaml"), &job(&format!("job-{number}"), completions, 1));
        if (number + 1) % AT_ONCE == 0 {
            wait_for(bench, "job.json", "\"finished\":{", number + 1);
        }
    }
    wait_for(bench, "job.json", "\"finished\":{", count);
    let pid = watch.child.id();
    come_to_rest(pid);
    let idle = share(pid, IDLE);
    let (begun, before) = (clock(), cpu(pid));
    let mut reactions: Vec<u64> =
        (0..edits).map(|edit| edit_one(bench, edit % count, 1 + edit % 59)).collect();
    // What an edit costs includes the looks that follow it, and not those that are due without any.
    let_pass(Duration::from_secs(1));
    let idled = idle / 100.0 * (clock() - begun) as f64;
    let cost = ((cpu(pid) - before) as f64 - idled) / 1e6 / edits as f64;
    reactions.sort_unstable();
    let past = |at: usize| reactions[at].saturating_sub(SETTLING.as_nanos() as u64) as f64 / 1e6;
    let reaction = format!("{:.1} (..{:.1})", past(edits / 2), past(edits * 9 / 10));
    say(&format!("{:>7} {:>9.1} {idle:>16.3} {reaction:>22} {cost:>16.2}", 2 * count, rss_mib(pid)));
    watch.stop();
}

/// Nanoseconds from the arrival of a file to its being in force.
fn edit_one(bench: &Bench, number: usize, minute: usize) -> u64 {
    let schedule = format!("\"schedule\":\"{minute} 2 * * *\"");
    let name = format!("cron{number}.yaml");
    let uid =
        bench.run(&["get", "cronjob", &format!("cron-{number}"), "-o", "jsonpath={.metadata.uid}"]).stdout;
    let record = bench.path("s/objects").join(uid.trim()).join("object.json");
    let before = clock();
    bench.manifest(&name, &cron_job(number, minute));
    while !fs::read_to_string(&record).unwrap_or_default().contains(&schedule) {
        let_pass(Duration::from_millis(1));
    }
    clock() - before
}

/// Seconds from the file to the end.
fn one_job(bench: &Bench, completions: usize, parallelism: usize) -> f64 {
    let watch = bench.watch();
    let before = clock();
    bench.manifest("many.yaml", &job("many", completions, parallelism));
    wait_for(bench, "job.json", "\"finished\":{", 1);
    let took = (clock() - before) as f64 / 1e9;
    bench.remove("many.yaml");
    bench.until_clean();
    watch.stop();
    took
}

fn bare_pods(bench: &Bench, count: usize) -> f64 {
    let watch = bench.watch();
    let staged = bench.path("staged");
    fs::create_dir(&staged).unwrap();
    let text = |number: usize| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: bare-{number}}}\nspec:\n  restartPolicy: Never\n  containers:\n  \
             - {{name: main, image: droppod.local/host, command: ['true']}}\n"
        )
    };
    for number in 0..count {
        fs::write(staged.join(format!("bare{number}.yaml")), text(number)).unwrap();
    }
    let before = clock();
    for number in 0..count {
        let name = format!("bare{number}.yaml");
        fs::rename(staged.join(&name), bench.folder().join(&name)).unwrap();
    }
    wait_for(bench, "finished.json", "outcome", count);
    let took = (clock() - before) as f64 / 1e9;
    for number in 0..count {
        bench.remove(&format!("bare{number}.yaml"));
    }
    bench.until_clean();
    watch.stop();
    took
}

/// What one pod was told to have done.
#[derive(Default)]
struct Story {
    started: usize,
    lines: Vec<String>,
    codes: Vec<i64>,
    /// A line before the start, or one after the end.
    disorder: bool,
}

/// Every run, every line and every exit code, as the events of `up` tell them.
fn lines_of_up(bench: &Bench, runs: usize, parallelism: usize) {
    let text = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: lines}}\nspec:\n  completionMode: Indexed\n  completions: \
         {runs}\n  parallelism: {parallelism}\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n      \
         - {{name: main, image: droppod.local/host, command: [sh, -c, 'echo line $$JOB_COMPLETION_INDEX']}}\n"
    );
    bench.manifest("lines.yaml", &text);
    let folder = bench.folder();
    let mut command = bench.command(&["up", "-f", folder.to_str().unwrap(), "--output", "json"]);
    let (begin, mut last) = (clock(), clock());
    let mut up = command.stdout(Stdio::piped()).spawn().unwrap();
    let (pid, mut before) = (up.id(), 0);
    let mut stories: BTreeMap<String, Story> = BTreeMap::new();
    let mut ended = 0;
    say(&format!("{:>7} {:>12} {:>14}", "ended", "pods a second", "CPU ms per pod"));
    for line in BufReader::new(up.stdout.take().unwrap()).lines() {
        let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let story = stories.entry(event["pod"].as_str().unwrap_or_default().to_owned()).or_default();
        match event["type"].as_str().unwrap() {
            "started" => story.started += 1,
            "log" => {
                story.disorder |= story.started == 0 || !story.codes.is_empty();
                story.lines.push(event["line"].as_str().unwrap().to_owned());
            }
            "exited" => {
                story.codes.push(event["exitCode"].as_i64().unwrap());
                ended += 1;
                if ended % (runs / 10).max(1) == 0 {
                    let (now, used) = (clock(), cpu(pid));
                    let share = (runs / 10).max(1) as f64;
                    let (rate, cost) =
                        (share * 1e9 / (now - last) as f64, (used - before) as f64 / 1e6 / share);
                    say(&format!("{ended:>7} {rate:>12.1} {cost:>14.2}"));
                    (last, before) = (now, used);
                }
            }
            _ => {}
        }
    }
    let code = up.wait().unwrap().code();
    stories.remove("");
    let lines: BTreeSet<&String> = stories.values().flat_map(|story| &story.lines).collect();
    let total = |count: fn(&Story) -> usize| stories.values().map(count).sum::<usize>();
    say(&format!(
        "{runs} runs, {:.0} s, exit code {code:?}: {} starts, {} lines of which {} differ, {} exit codes of which {} are 0, {} \
         pods with a line out of order",
        (clock() - begin) as f64 / 1e9,
        total(|story| story.started),
        total(|story| story.lines.len()),
        lines.len(),
        total(|story| story.codes.len()),
        total(|story| story.codes.iter().filter(|code| **code == 0).count()),
        total(|story| story.disorder.into()),
    ));
    bench.until_clean();
}
