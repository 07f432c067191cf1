//! An `up` under way: what it runs, and what it tells.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::bench::Running;
use crate::kernel::Instance;
use crate::manifest::{Kind, put};
use crate::world::World;

pub(crate) struct Batch {
    pub(crate) up: Running,
    said: PathBuf,
    course: Course,
    /// Something may have been killed in it.
    pub(crate) hurt: bool,
    told_to_stop: bool,
    /// Kills until one that lasts is told to stop: once, since told twice it leaves all to its pods.
    rounds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// All succeeds in the end.
    Works,
    /// One of its pods fails.
    Fails,
    /// It runs until it is told to stop.
    Lasts,
}

impl Batch {
    pub(crate) fn start(world: &mut World) -> Batch {
        let course = world.dice.weighed(&[(3, Course::Works), (3, Course::Fails), (2, Course::Lasts)]);
        let kinds: &[Kind] = match course {
            Course::Works => &[Kind::Trying, Kind::Job],
            Course::Fails => &[Kind::Once, Kind::Job],
            Course::Lasts => &[Kind::Staged, Kind::Shared],
        };
        let folder = world.bench.path("u");
        let texts: Vec<String> = kinds
            .iter()
            .map(|kind| {
                let name = format!("u{}", world.count + 1);
                let mut declared = world.make(&name);
                declared.kind = *kind;
                declared.text(&world.bench)
            })
            .collect();
        put(&folder, "up.yaml", &texts.join("---\n"));
        let said = world.bench.path("up.out");
        let mut command = world.bench.command(&["up", "-f", folder.to_str().unwrap(), "--output", "json"]);
        command
            .stdout(fs::File::create(&said).unwrap())
            .stderr(fs::File::create(world.bench.path("up.err")).unwrap());
        let up = Running { child: command.spawn().unwrap() };
        Batch { up, said, course, hurt: false, told_to_stop: false, rounds: 1 + world.dice.below(4) }
    }

    /// The run directory that its process has open: its instance.
    pub(crate) fn run_directory(&self, ups: &[Instance]) -> Option<PathBuf> {
        let descriptors =
            fs::read_dir(format!("/proc/{}/fd", self.up.child.id())).into_iter().flatten().flatten();
        let open: Vec<PathBuf> = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        ups.iter().map(|one| &one.run).find(|run| open.contains(run)).cloned()
    }
}

impl World {
    /// Looks whether the `up` has ended as it should, and ends one that would not.
    pub(crate) fn tend_batch(&mut self) -> Result<(), String> {
        let Some(batch) = &mut self.batch else { return Ok(()) };
        if let Some(status) = batch.up.child.try_wait().unwrap() {
            let Some(batch) = self.batch.take() else { return Ok(()) };
            let expected = match batch.course {
                Course::Works => 0,
                Course::Fails => 10,
                Course::Lasts => 130,
            };
            // One that is told to stop before it listens dies of it.
            let deaf = batch.course == Course::Lasts && status.signal() == Some(15);
            if status.code() != Some(expected) && !batch.hurt && !deaf {
                let said = fs::read_to_string(self.bench.path("up.err")).unwrap();
                return Err(format!(
                    "up that {:?} ended with {status} instead of {expected}: {said}",
                    batch.course
                ));
            }
            return self.judge_events(&batch);
        }
        Ok(())
    }

    /// The next of a row, and the end of one that does not end by itself.
    pub(crate) fn age_batch(&mut self) {
        match &mut self.batch {
            None => self.batch = Some(Batch::start(self)),
            Some(batch) => {
                batch.rounds = batch.rounds.saturating_sub(1);
                if batch.rounds == 0 {
                    self.stop_batch();
                }
            }
        }
    }

    /// Tells one that does not end by itself to stop.
    pub(crate) fn stop_batch(&mut self) {
        let Some(batch) = &mut self.batch else { return };
        if batch.course != Course::Lasts || batch.told_to_stop {
            return;
        }
        batch.told_to_stop = true;
        let pid = rustix::process::Pid::from_child(&batch.up.child);
        self.stop_pods_of_ups();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Pods of every `up` that is there are told to stop.
    pub(crate) fn stop_pods_of_ups(&mut self) {
        for instance in Instance::ups(&self.bench) {
            let records = instance.records();
            for uid in records.pods.keys().chain(records.objects.keys()) {
                self.truth.stops(uid);
            }
        }
    }

    /// Each end that it told of.
    fn judge_events(&mut self, batch: &Batch) -> Result<(), String> {
        let said = fs::read_to_string(&batch.said).unwrap();
        for line in said.lines() {
            let event: Value =
                serde_json::from_str(line).map_err(|error| format!("up said `{line}`: {error}"))?;
            if event["type"] == "exited" {
                self.truth.judge_event(&event)?;
            }
        }
        Ok(())
    }
}
