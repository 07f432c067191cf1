//! Who is killed, and when.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::batch::Batch;
use crate::bench::let_pass;
use crate::kernel::Instance;
use crate::manifest;
use crate::world::World;

/// Between two looks for something that is to be hit as soon as it is there.
const INSTANT: Duration = Duration::from_micros(200);
/// Looks for it.
const LOOKS: usize = 1_500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Watcher,
    /// A pod's process.
    Shim,
    AllShims,
    /// A process in a container, as a rule its first.
    Container,
    Up,
    /// A command that brings in an image, or the watcher's own.
    Pull,
    Several,
}

impl Victim {
    pub(crate) const ALL: [Victim; 7] = [
        Victim::Watcher,
        Victim::Shim,
        Victim::AllShims,
        Victim::Container,
        Victim::Up,
        Victim::Pull,
        Victim::Several,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Victim::Watcher => "watcher",
            Victim::Shim => "pod process",
            Victim::AllShims => "all pod processes",
            Victim::Container => "container",
            Victim::Up => "up",
            Victim::Pull => "pull",
            Victim::Several => "several at once",
        }
    }
}

impl World {
    /// Kills somebody. Gives who it was and how many processes were hit.
    pub(crate) fn strike(&mut self) -> (Victim, usize) {
        loop {
            let pull = if self.registry.is_some() { 14 } else { 0 };
            let victim = self.dice.weighed(&[
                (24, Victim::Watcher),
                (18, Victim::Shim),
                (4, Victim::AllShims),
                (18, Victim::Container),
                (14, Victim::Up),
                (pull, Victim::Pull),
                (8, Victim::Several),
            ]);
            let hit = match victim {
                Victim::Watcher => self.strike_watcher(),
                Victim::Shim => self.strike_shim(),
                Victim::AllShims => {
                    let_pass(self.dice.moment());
                    self.kill_shims(100)
                }
                Victim::Container => self.strike_container(),
                Victim::Up => self.strike_up(),
                Victim::Pull => self.strike_pull(),
                Victim::Several => self.strike_several(),
            };
            if hit > 0 {
                return (victim, hit);
            }
        }
    }

    fn strike_watcher(&mut self) -> usize {
        let mut hit = 0;
        if self.dice.percent(40) {
            // The one to be hit is one that has just started.
            hit += kill_child(&mut self.watcher.child);
            self.watch();
        }
        let_pass(self.dice.moment());
        hit += kill_child(&mut self.watcher.child);
        self.watch();
        hit
    }

    fn strike_shim(&mut self) -> usize {
        let before = self.shims();
        if self.dice.percent(60) {
            for _ in 0..LOOKS {
                if let Some(shim) = self.shims().into_iter().find(|shim| !before.contains(shim)) {
                    let_pass(self.dice.moment());
                    return self.kill_shim(&shim);
                }
                let_pass(INSTANT);
            }
        }
        let_pass(self.dice.moment());
        let shims = self.shims();
        let shim = self.dice.pick(&shims).cloned();
        shim.map_or(0, |shim| self.kill_shim(&shim))
    }

    fn strike_container(&mut self) -> usize {
        let before = self.contained();
        let mut fresh = None;
        if self.dice.percent(60) {
            for _ in 0..LOOKS {
                fresh = self.contained().into_iter().find(|one| !before.contains(one));
                if fresh.is_some() {
                    break;
                }
                let_pass(INSTANT);
            }
        }
        let_pass(self.dice.moment());
        let contained: Vec<_> = self.contained().into_iter().filter(|(pid, ..)| is_first(*pid)).collect();
        let one = fresh.or_else(|| self.dice.pick(&contained).cloned());
        one.map_or(0, |one| self.kill_contained(&one))
    }

    fn strike_up(&mut self) -> usize {
        if self.batch.is_none() || self.dice.percent(30) {
            self.kill_batch();
            self.batch = Some(Batch::start(self));
        }
        let_pass(self.dice.moment());
        let hit = self.kill_batch();
        // The next one clears up what a killed one could not.
        self.batch = Some(Batch::start(self));
        hit
    }

    fn strike_pull(&mut self) -> usize {
        let number = self.dice.below(3);
        let image = manifest::tag(number);
        // It may not be there; one that is in use stays below its pod.
        self.bench.run(&["image", "rm", &image]);
        let hit = if self.dice.percent(50) { self.strike_pull_of_watcher(number) } else { 0 };
        let hit = if hit > 0 {
            hit
        } else {
            let mut command = self.bench.command(&["image", "pull", &image]);
            let mut pull = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let_pass(self.dice.moment());
            kill_child(&mut pull)
        };
        self.bench.run(&["image", "pull", &image]).exits(0);
        hit
    }

    fn strike_pull_of_watcher(&mut self, image: usize) -> usize {
        self.drop_pulled(image);
        for _ in 0..LOOKS {
            if let Some(pid) = children(self.watcher.child.id()).into_iter().find(|pid| is_pull(*pid)) {
                let_pass(self.dice.moment());
                return usize::from(kill(pid, || is_pull(pid)));
            }
            let_pass(INSTANT);
        }
        0
    }

    fn strike_several(&mut self) -> usize {
        let_pass(self.dice.moment());
        let mut hit = 0;
        let with_watcher = self.dice.percent(70);
        if with_watcher {
            hit += kill_child(&mut self.watcher.child);
        }
        if self.dice.percent(50) {
            hit += self.kill_batch();
        }
        for one in self.contained() {
            if self.dice.percent(25) {
                hit += self.kill_contained(&one);
            }
        }
        let_pass(Duration::from_micros(self.dice.below(5_000) as u64));
        hit += self.kill_shims(50);
        if with_watcher {
            let_pass(self.dice.moment());
            self.watch();
        }
        if self.batch.is_none() {
            self.batch = Some(Batch::start(self));
        }
        hit
    }

    /// Each pod's process with its pod.
    fn shims(&self) -> Vec<(i32, String)> {
        self.instances()
            .iter()
            .flat_map(Instance::shims)
            .filter_map(|pid| Some((pid, pod_of(pid)?)))
            .collect()
    }

    fn contained(&self) -> Vec<(i32, String, String)> {
        self.instances().iter().flat_map(Instance::contained).collect()
    }

    fn instances(&self) -> Vec<Instance> {
        let mut instances = Instance::ups(&self.bench);
        instances.push(Instance::of_bench(&self.bench));
        instances
    }

    fn kill_shims(&mut self, percent: usize) -> usize {
        let mut hit = 0;
        for shim in self.shims() {
            if self.dice.percent(percent) {
                hit += self.kill_shim(&shim);
            }
        }
        hit
    }

    fn kill_shim(&mut self, (pid, uid): &(i32, String)) -> usize {
        // Noted first: its end may be on record before this goes on.
        self.truth.kills_process_of(uid);
        self.hurt_batch();
        usize::from(kill(*pid, || pod_of(*pid).as_ref() == Some(uid)))
    }

    fn kill_contained(&mut self, one: &(i32, String, String)) -> usize {
        let (pid, uid, container) = one;
        if container == "_pause" {
            self.truth.kills_process_of(uid);
        } else {
            self.truth.kills_container(uid, container);
        }
        self.hurt_batch();
        usize::from(kill(*pid, || self.contained().contains(one)))
    }

    /// Whatever was hit may have been part of it.
    fn hurt_batch(&mut self) {
        if let Some(batch) = &mut self.batch {
            batch.hurt = true;
        }
    }

    fn kill_batch(&mut self) -> usize {
        let Some(mut batch) = self.batch.take() else { return 0 };
        let hit = kill_child(&mut batch.up.child);
        self.stop_pods_of_ups();
        hit
    }
}

/// How many that were: one that has ended already is none.
fn kill_child(child: &mut Child) -> usize {
    if child.try_wait().unwrap().is_some() {
        return 0;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    1
}

/// Kills a process that still is what it was, which is asked after its number can stand for no other.
fn kill(pid: i32, still: impl FnOnce() -> bool) -> bool {
    let process = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    process.is_some_and(|process| still() && pidfd_send_signal(&process, Signal::KILL).is_ok())
}

/// Which pod a process is: `shim DIRECTORY`.
fn pod_of(pid: i32) -> Option<String> {
    let line = arguments(pid);
    let (_, directory) = line.split_once("shim\0")?;
    Some(directory.trim_end_matches('\0').rsplit('/').next()?.to_owned())
}

/// Whether it is pid 1 where it lives.
fn is_first(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
}

fn is_pull(pid: i32) -> bool {
    arguments(pid).contains("\0pull\0") || arguments(pid).starts_with("pull\0")
}

fn arguments(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

fn children(pid: u32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let pids: Vec<i32> = texts
        .flat_map(|text| text.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .collect();
    pids
}
