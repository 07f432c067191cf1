//! After a kill: the world is awaited to come to rest, and everything that there is must be what it should be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bench::census::list;
use crate::bench::{Bench, let_pass};
use crate::kernel::{self, Instance};
use crate::record::Records;
use crate::rest;
use crate::told;
use crate::world::World;

/// Longest way to rest on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(15);

impl World {
    /// How long it took, or what is wrong.
    pub(crate) fn settle(&mut self) -> Result<Duration, String> {
        let begun = now();
        loop {
            let left = self.look()?;
            let waited = now() - begun;
            if left.is_empty() {
                return Ok(waited);
            }
            if waited > PATIENCE {
                return Err(format!("not at rest after {} s:\n  {}", PATIENCE.as_secs(), left.join("\n  ")));
            }
            let_pass(PAUSE);
        }
    }

    /// What is not yet as it should be; what never may be is an error.
    pub(crate) fn look(&mut self) -> Result<Vec<String>, String> {
        if let Some(status) = self.watcher.child.try_wait().unwrap() {
            return Err(format!("the watcher ended by itself: {status}"));
        }
        self.tend_batch()?;
        let own = Instance::of_bench(&self.bench);
        let records = own.records();
        self.truth.judge(&records)?;
        let mut found =
            rest::unrest(&self.manifests().map(|(_, declared)| declared).collect::<Vec<_>>(), &records);
        if !found.is_empty() {
            // Nobody leaves anything for good before that.
            return Ok(found);
        }
        found.extend(own.differences(&records));
        found.extend(self.truth.unrecorded(&records));
        let ups = Instance::ups(&self.bench);
        self.ups.extend(ups.iter().map(|one| (one.run.clone(), one.id.clone())));
        let directed = self.batch.as_ref().and_then(|batch| batch.run_directory(&ups));
        let mut living: Vec<(&Instance, Records)> = Vec::new();
        for up in &ups {
            let records = up.records();
            self.truth.judge(&records)?;
            if directed.as_ref() == Some(&up.run) {
                living.push((up, records));
            } else {
                found.push(format!("an `up` that is gone has {}", up.run.display()));
                found.extend(up.differences(&records));
            }
        }
        for (run, id) in self.ups.iter().filter(|(run, _)| !run.exists()) {
            if (Instance { id: id.clone(), run: run.clone(), state: PathBuf::new() }).leaves_cgroups() {
                found.push(format!("an `up` that is gone has cgroup /droppod/{id}"));
            }
        }
        found.extend(kernel::links(&self.bench, (&own, &records), &living));
        found.extend(kernel::mounts(&self.bench));
        found.extend(leftovers(&self.bench));
        found.extend(self.files_that_are_left(&records));
        for (file, declared) in self.manifests() {
            found.extend(told::untrue(&self.bench.folder(), file, &declared.name, &records));
        }
        if found.is_empty() {
            found.extend(self.listed_by_droppod());
        }
        Ok(found)
    }

    /// Logs without a pod, status files without a manifest, and the reverse.
    fn files_that_are_left(&self, records: &Records) -> Vec<String> {
        let mut found = Vec::new();
        let logs = list(&self.bench.path("l")).into_iter();
        let of_none = |name: &String| !records.objects.keys().any(|uid| name.ends_with(uid.as_str()));
        found.extend(logs.filter(of_none).map(|name| format!("logs {name}")));
        let manifests: BTreeSet<String> =
            self.manifests().map(|(file, _)| file.replace(".yaml", ".status.yaml")).collect();
        let there =
            list(&self.bench.folder()).into_iter().filter(|name| name.ends_with(".status.yaml")).collect();
        found.extend(
            manifests.symmetric_difference(&there).map(|name| format!("status file {name}, or none")),
        );
        found
    }
}

/// Files that somebody was writing who is gone, and what pulls have left.
fn leftovers(bench: &Bench) -> Vec<String> {
    let mut found = Vec::new();
    for place in ["r", "s", "l", "m", "u"] {
        look_for_halves(&bench.path(place), &mut found);
    }
    let sessions = list(&bench.path("s/images/tmp")).into_iter();
    found.extend(sessions.map(|name| format!("unfinished work in the image store: {name}")));
    found
}

fn look_for_halves(place: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory && !["layers", "scratch", "tmp", "mnt", "bundle"].contains(&name.as_str()) {
            look_for_halves(&entry.path(), found);
        } else if name.ends_with(".tmp") {
            found.push(format!("half a file {}", entry.path().display()));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no loop that could hand it the time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
