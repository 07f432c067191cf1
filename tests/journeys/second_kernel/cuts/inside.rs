//! The machine whose power is cut: what it finds on its disc, and work without end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::bench::{Bench, Running, let_pass};
use crate::image::made::{Made, Planted};
use crate::second_kernel::inside::{again, job, pod, put, root, tell, tick};

/// Jobs that there are at a time, ended or not. Those before them go, so that each boot has work that does not rest after
/// a cut, and reads no more than the last one did.
const KEPT: usize = 5;
/// What comes and goes together: the Job last, because it tells that the others are there.
const NAMES: [&str; 3] = ["once", "again", "work"];

/// Goes on until the power goes.
pub(in crate::second_kernel) fn work() {
    let mut shift = Shift::begin();
    shift.add_job();
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
    while !told.contains(&format!("job work-{last} all")) {
        let before = told.len();
        bench.until("something more has ended", || {
            look(&bench, &mut told);
            told.len() > before
        });
    }
    bench.until("nothing half-written is left", || drafts(&bench).is_empty());
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
        let bench = Bench::at(root());
        drop(fs::remove_file(bench.path("err")));
        for state in ["s", "l", "m"] {
            torn(&bench.path(state));
        }
        let images = bench.run(&["image", "verify"]);
        if images.code != 0 {
            tell(&format!("torn images: {}", (images.stdout + &images.stderr).replace('\n', "; ")));
        }
        let told: BTreeSet<String> = ends(&bench).into_keys().collect();
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
        if self.jobs.len() > KEPT {
            let oldest = self.jobs.remove(0);
            self.remove(oldest);
        }
        if self.told.contains(&format!("job work-{} all", self.next - 1)) {
            self.add_job();
        }
    }

    fn remove(&self, number: u64) {
        for name in NAMES.map(|kind| format!("{kind}-{number}")) {
            tell(&format!("removing {name}"));
            drop(fs::remove_file(self.bench.folder().join(format!("{name}.yaml"))));
        }
        // It may be in use still, or never have been brought in.
        self.bench.run(&["image", "rm", &image(&archive(&self.bench, number))]);
        drop(fs::remove_file(archive(&self.bench, number)));
    }

    fn add_job(&mut self) {
        let number = self.next;
        self.next += 1;
        self.jobs.push(number);
        let bench = &self.bench;
        if number == 0 {
            put(bench, "endless", &pod("endless", "", "exec sleep 1000"));
            put(bench, "tick", &tick());
        }
        let [once, rerun, work] = NAMES.map(|kind| format!("{kind}-{number}"));
        put(bench, &once, &pod(&once, "restartPolicy: Never,", "sleep 0.1; exit 7"));
        put(bench, &rerun, &again(&rerun, "restartPolicy: Never,", "sleep 0.3"));
        // Each index waits for itself alone after a cut.
        let spec = "completionMode: Indexed, completions: 8, parallelism: 3, backoffLimitPerIndex: 1000,";
        let archive = archive(bench, number);
        save(&archive, number);
        let image = format!("\"{}\"", image(&archive));
        put(bench, &work, &job(&work, spec, "sleep 0.1").replace("droppod.local/host", &image));
    }
}

fn archive(bench: &Bench, number: u64) -> PathBuf {
    bench.path(&format!("work-{number}.tar"))
}

fn image(archive: &Path) -> String {
    format!("docker-archive:{}", archive.display())
}

/// Each layer comes twice, the second time as another image.
fn save(archive: &Path, number: u64) {
    let edition = format!("edition {}", number / 2);
    let planted = [("srv/edition", Planted::File(edition.as_bytes()))];
    let made = Made::with(&format!("work {number}"), &planted).unwrap();
    made.write_docker_archive(archive, &format!("work:{number}"));
    fs::File::open(archive.parent().unwrap()).unwrap().sync_all().unwrap();
}

/// Tells of ends that have not been told of, once they are on disc, as `wait` does.
fn look(bench: &Bench, told: &mut BTreeSet<String>) {
    for (what, object) in ends(bench) {
        // Its record may just have been forgotten.
        let on_disc = || fs::File::open(object).is_ok_and(|directory| directory.sync_all().is_ok());
        if !told.contains(&what) && on_disc() {
            tell(&format!("ended {what}"));
            told.insert(what);
        }
    }
}

/// What was being written: in the folder, where the watcher's own records lie, and in the image store.
fn drafts(bench: &Bench) -> Vec<PathBuf> {
    let entries = |directory: PathBuf| fs::read_dir(directory).into_iter().flatten();
    let paths = |directory: PathBuf| entries(directory).map(|entry| entry.unwrap().path());
    let images = bench.path("s/images");
    let directories = ["refs", "manifests", "preloaded"].map(|place| images.join(place));
    let directories = directories.into_iter().chain([bench.folder(), bench.path("s")]);
    let directories = directories.chain(paths(bench.path("s/objects")));
    let files = directories.flat_map(paths);
    let drafts = files.filter(|path| path.extension().is_some_and(|end| end == "tmp"));
    drafts.chain(paths(images.join("tmp"))).collect()
}

/// Tells of each record and status file that is not whole.
fn torn(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            // What containers have written, what images hold, and what nobody had finished.
            if !["scratch", "layers", "tmp"].contains(&name.as_str()) && !path.is_symlink() {
                torn(&path);
            }
            continue;
        }
        let text = fs::read(&path).unwrap();
        let why = match name.as_str() {
            _ if name.starts_with('.') => None,
            "launched" if text.len() != 36 => Some("no boot id".to_owned()),
            _ if name.ends_with(".json") || directory.ends_with("refs") => {
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

/// Every end that is recorded, as the ledger calls it, and where.
fn ends(bench: &Bench) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(bench.path("s/objects")).into_iter().flatten() {
        let object = entry.unwrap().path();
        let read = |name: &str| -> Value {
            let text = fs::read(object.join(name)).unwrap_or_default();
            serde_json::from_slice(&text).unwrap_or_default()
        };
        let record = read("object.json");
        // One that is being forgotten has lost its record before its end.
        let Some(name) = record["key"]["name"].as_str() else { continue };
        if record["key"]["kind"] == "Job" {
            let job = read("job.json");
            let completed = job["completed"].as_str().unwrap_or_default();
            for run in completed.split(',').filter(|run| !run.is_empty()) {
                let (first, last) = run.split_once('-').unwrap_or((run, run));
                for index in first.parse::<u64>().unwrap()..=last.parse().unwrap() {
                    found.insert(format!("job {name} {index}"), object.clone());
                }
            }
            if job["finished"].is_object() {
                found.insert(format!("job {name} all"), object);
            }
        } else if record["owner"].is_null() && read("finished.json").is_object() {
            found.insert(format!("pod {name}"), object);
        }
    }
    found
}
