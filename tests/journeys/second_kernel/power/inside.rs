//! The machine whose power is cut: what it finds on its disc, and work without end.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::bench::{Bench, Running, let_pass};
use crate::second_kernel::guest::{DISC, VOICE};

/// Jobs whose ends are kept. Those before them go, so that a boot reads no more than the last one did.
const KEPT: usize = 3;
/// Jobs that have not ended, at most.
const OPEN: usize = 3;

/// Tells an end or a state of things. A cut leaves a line whole or away.
pub(in crate::second_kernel) fn tell(line: &str) {
    let mut pipe = fs::OpenOptions::new().write(true).open(format!("{VOICE}/pipe")).unwrap();
    pipe.write_all(format!("@ {line}\n").as_bytes()).unwrap();
}

/// Goes on until the power goes.
pub(in crate::second_kernel) fn work() {
    let mut shift = Shift::begin();
    loop {
        look(&shift.bench, &mut shift.told);
        shift.hand_out();
        let_pass(Duration::from_millis(30));
    }
}

/// One more Job, then all goes in order.
pub(in crate::second_kernel) fn peace() {
    let mut shift = Shift::begin();
    for number in std::mem::take(&mut shift.jobs) {
        shift.remove(number);
    }
    let last = shift.next;
    shift.add_job();
    let Shift { bench, mut told, watcher, .. } = shift;
    bench.until("the last Job is done", || {
        look(&bench, &mut told);
        told.contains(&format!("job work-{last} all"))
    });
    assert_eq!(watcher.stop(), 0);
    bench.run(&["down", "--all"]).exits(0);
    bench.until_clean();
    bench.run(&["doctor", "--census"]).exits(0);
    tell("peace");
}

struct Shift {
    bench: Bench,
    /// Numbers of the Jobs that have a manifest, ascending.
    jobs: Vec<u64>,
    /// Of the next one.
    next: u64,
    told: BTreeSet<String>,
    watcher: Running,
}

impl Shift {
    /// Looks at the disc before anything else does, then starts the watcher.
    fn begin() -> Shift {
        let bench = Bench::at(Path::new(DISC).join("b"));
        drop(fs::remove_file(bench.path("err")));
        for state in ["s", "l", "m"] {
            torn(&bench.path(state));
        }
        let told = ends(&bench);
        for what in &told {
            tell(&format!("has {what}"));
        }
        tell("mounted");
        let watcher = bench.watch();
        for line in bench.log().lines().filter(|line| line.contains("left alone")) {
            tell(&format!("refused {line}"));
        }
        tell("watches");
        let number = |name: String| name.strip_prefix("work-")?.strip_suffix(".yaml")?.parse().ok();
        let names = fs::read_dir(bench.folder()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut jobs: Vec<u64> = names.filter_map(number).collect();
        jobs.sort_unstable();
        let next = jobs.last().map_or(0, |last| last + 1);
        Shift { bench, jobs, next, told, watcher }
    }

    fn hand_out(&mut self) {
        let is_done = |number: &u64| self.told.contains(&format!("job work-{number} all"));
        let done: Vec<u64> = self.jobs.iter().copied().filter(is_done).collect();
        let open = self.jobs.len() - done.len();
        if done.len() > KEPT {
            self.jobs.retain(|number| *number != done[0]);
            self.remove(done[0]);
        }
        if open < OPEN {
            self.add_job();
        }
    }

    fn remove(&self, number: u64) {
        // The Job last, because it tells that the others are there.
        for name in ["once", "again", "work"].map(|kind| format!("{kind}-{number}")) {
            tell(&format!("removing {name}"));
            drop(fs::remove_file(self.bench.folder().join(format!("{name}.yaml"))));
        }
    }

    fn add_job(&mut self) {
        let number = self.next;
        self.next += 1;
        self.jobs.push(number);
        if number == 0 {
            self.drop("endless", &pod("endless", "Always", "{}", "exec sleep 1000"));
            self.drop("tick", &cron());
        }
        let rerun = "{droppod.dev/rerun-interrupted: \"true\"}";
        let (once, again) = (format!("once-{number}"), format!("again-{number}"));
        self.drop(&once, &pod(&once, "Never", "{}", "sleep 0.1; exit 7"));
        self.drop(&again, &pod(&again, "Never", rerun, "sleep 0.3"));
        self.drop(&format!("work-{number}"), &job(number));
    }

    /// As a careful author does: a file that is not synced may be an empty one after a cut.
    fn drop(&self, name: &str, text: &str) {
        let (part, path) = (self.bench.path("part"), self.bench.folder().join(format!("{name}.yaml")));
        fs::write(&part, text).unwrap();
        fs::File::open(&part).unwrap().sync_all().unwrap();
        fs::rename(part, path).unwrap();
        fs::File::open(self.bench.folder()).unwrap().sync_all().unwrap();
    }
}

/// Tells of ends that have not been told of.
fn look(bench: &Bench, told: &mut BTreeSet<String>) {
    for what in ends(bench) {
        if told.insert(what.clone()) {
            tell(&format!("ended {what}"));
        }
    }
}

/// Tells of each record and status file that is not whole.
fn torn(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "scratch" && !path.is_symlink() {
                torn(&path);
            }
            continue;
        }
        let text = fs::read(&path).unwrap();
        let why = match name.as_str() {
            _ if name.starts_with('.') => None,
            "launched" if text.len() != 36 => Some("no boot id".to_owned()),
            _ if name.ends_with(".json") => {
                serde_json::from_slice::<Value>(&text).err().map(|why| why.to_string())
            }
            _ if name.ends_with(".yaml") => {
                serde_yaml::from_slice::<Value>(&text).err().map(|why| why.to_string())
            }
            _ => None,
        };
        if let Some(why) = why {
            tell(&format!("torn {}: {why}", path.display()));
        }
    }
}

/// Every end that is recorded, as the ledger calls it.
fn ends(bench: &Bench) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(bench.path("s/objects")).into_iter().flatten() {
        let object = entry.unwrap().path();
        let read = |name: &str| -> Value {
            let text = fs::read(object.join(name)).unwrap_or_default();
            serde_json::from_slice(&text).unwrap_or_default()
        };
        let record = read("object.json");
        let name = record["key"]["name"].as_str().unwrap_or_default();
        if record["key"]["kind"] == "Job" {
            let job = read("job.json");
            let completed = job["completed"].as_str().unwrap_or_default();
            for run in completed.split(',').filter(|run| !run.is_empty()) {
                let (first, last) = run.split_once('-').unwrap_or((run, run));
                for index in first.parse::<u64>().unwrap()..=last.parse().unwrap() {
                    found.insert(format!("job {name} {index}"));
                }
            }
            if job["finished"].is_object() {
                found.insert(format!("job {name} all"));
            }
        } else if record["owner"].is_null() && read("finished.json").is_object() {
            found.insert(format!("pod {name}"));
        }
    }
    found
}

/// What a container runs, after it has told so. Its first word may name two things.
fn template(what: &str, then: &str) -> String {
    format!(
        "volumes: [{{name: voice, hostPath: {{path: {VOICE}}}}}], containers: [{{name: main, image: droppod.local/host, \
         command: [sh, -c, 'echo \"@ run {what}\" > /voice/pipe; {then}'], \
         volumeMounts: [{{name: voice, mountPath: /voice}}], \
         env: [{{name: ID, valueFrom: {{fieldRef: {{fieldPath: metadata.uid}}}}}}, \
         {{name: JOB, valueFrom: {{fieldRef: {{fieldPath: \"metadata.labels['batch.kubernetes.io/job-name']\"}}}}}}]}}]"
    )
}

fn pod(name: &str, policy: &str, annotations: &str, then: &str) -> String {
    // A new identity is expected of the endless one alone.
    let what = if name == "endless" { "pod endless $ID".to_owned() } else { format!("pod {name}") };
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, annotations: {annotations}}}\n\
         spec: {{restartPolicy: {policy}, terminationGracePeriodSeconds: 1, {}}}\n",
        template(&what, then)
    )
}

/// Each index waits for itself alone after a cut.
fn job(number: u64) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: work-{number}}}\nspec:\n  completionMode: Indexed\n  \
         completions: 8\n  parallelism: 3\n  backoffLimitPerIndex: 1000\n  template:\n    \
         spec: {{restartPolicy: Never, terminationGracePeriodSeconds: 1, {}}}\n",
        template("job $JOB $JOB_COMPLETION_INDEX", "sleep 0.1")
    )
}

fn cron() -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: tick}}\nspec:\n  schedule: \"* * * * *\"\n  \
         jobTemplate: {{spec: {{template: {{spec: {{restartPolicy: Never, {}}}}}}}}}\n",
        template("job $JOB all", "true")
    )
}
