//! What the kernel holds in an instance's name, beside what the records say that it should.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::Bench;
use crate::bench::census::{instance_of, list};
use crate::record::{Pod, Records, containers};

/// Where a hierarchy of cgroup v1 each is mounted, or the one of cgroup v2.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What a watcher has at most for itself after it has worked, and for each pod, beyond what one had that was fresh.
const DESCRIPTORS: usize = 16;
const DESCRIPTORS_EACH: usize = 5;
const KIBIBYTES: u64 = 32 << 10;
const KIBIBYTES_EACH: u64 = 512;

/// One instance of droppod.
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) run: PathBuf,
    pub(crate) state: PathBuf,
}

impl Instance {
    /// Of the watcher.
    pub(crate) fn of_bench(bench: &Bench) -> Instance {
        let run = bench.path("r");
        Instance { id: instance_of(&run), run, state: bench.path("s") }
    }

    /// Those of `up` that have a directory.
    pub(crate) fn ups(bench: &Bench) -> Vec<Instance> {
        let ups = bench.path("r/up");
        let runs = list(&ups).into_iter().map(|id| ups.join(id));
        runs.map(|run| Instance { id: instance_of(&run), state: run.join("state"), run }).collect()
    }

    pub(crate) fn records(&self) -> Records {
        Records::read(&self.run, &self.state)
    }

    /// Below each hierarchy.
    fn cgroups(&self) -> impl Iterator<Item = PathBuf> {
        hierarchies().into_iter().map(|hierarchy| hierarchy.join("droppod").join(&self.id))
    }

    /// Where its processes are listed: hierarchies hold the same ones.
    fn processes_at(&self) -> PathBuf {
        let pids = Path::new(CGROUPS).join("pids/droppod").join(&self.id);
        if pids.is_dir() { pids } else { Path::new(CGROUPS).join("droppod").join(&self.id) }
    }

    /// Processes that are pods.
    pub(crate) fn shims(&self) -> Vec<i32> {
        processes_in(&self.processes_at().join("shims"))
    }

    /// Processes of containers, each with its pod and its container.
    pub(crate) fn contained(&self) -> Vec<(i32, String, String)> {
        let pods = self.processes_at().join("pods");
        let mut found = Vec::new();
        for uid in list(&pods) {
            for container in list(&pods.join(&uid)) {
                let processes = processes_in(&pods.join(&uid).join(&container));
                found.extend(processes.into_iter().map(|pid| (pid, uid.clone(), container.clone())));
            }
        }
        found
    }

    /// Whether the kernel has anything of it.
    pub(crate) fn leaves_cgroups(&self) -> bool {
        self.cgroups().any(|cgroup| cgroup.is_dir())
    }

    /// What is there and should not be, or should and is not, in words.
    pub(crate) fn differences(&self, records: &Records) -> Vec<String> {
        let mut found = Vec::new();
        let shims: BTreeSet<i32> = self.shims().into_iter().collect();
        let living: BTreeMap<&str, &Pod> = records
            .pods
            .iter()
            .filter(|(_, pod)| pod.process().is_some_and(|pid| shims.contains(&pid)))
            .map(|(uid, pod)| (uid.as_str(), pod))
            .collect();
        let known: BTreeSet<i32> = living.values().filter_map(|pod| pod.process()).collect();
        found.extend(
            shims
                .difference(&known)
                .map(|pid| format!("process {pid} is no pod that is on record: {}", about(*pid))),
        );
        self.compare_cgroups(&living, &mut found);
        for pod in living.values() {
            found.extend(foreign_mounts(pod, &self.run));
        }
        self.compare_addresses(&living, records, &mut found);
        for uid in list(&self.state.join("scratch")) {
            if !living.contains_key(uid.as_str()) {
                found.push(format!("scratch of pod {uid}"));
            }
        }
        found
    }

    fn compare_cgroups(&self, living: &BTreeMap<&str, &Pod>, found: &mut Vec<String>) {
        let mut running = BTreeSet::new();
        for (pid, uid, container) in self.contained() {
            if !living.contains_key(uid.as_str()) {
                found.push(format!("process {pid} of container {container} of dead pod {uid}"));
            }
            running.insert((uid, container));
        }
        for (uid, pod) in living {
            for container in containers(&pod.state) {
                let name = container["name"].as_str().unwrap_or_default();
                let runs = !container["state"]["Running"].is_null();
                if runs != running.contains(&((*uid).to_owned(), name.to_owned())) {
                    let state = &container["state"];
                    found.push(format!(
                        "container {name} of pod {uid} is on record as {state}, and has processes: {}",
                        !runs
                    ));
                }
            }
        }
        for cgroup in self.cgroups() {
            let pods = cgroup.join("pods");
            for uid in directories(&pods) {
                let Some(pod) = living.get(uid.as_str()) else {
                    found.push(format!("cgroup {}", pods.join(uid).display()));
                    continue;
                };
                let named = |name: &String| {
                    containers(&pod.state)
                        .any(|one| one["name"] == **name && !one["state"]["Running"].is_null())
                };
                let left =
                    directories(&pods.join(&uid)).into_iter().filter(|name| name != "_pause" && !named(name));
                found.extend(left.map(|name| format!("cgroup {}/{uid}/{name}", pods.display())));
            }
        }
    }

    fn compare_addresses(&self, living: &BTreeMap<&str, &Pod>, records: &Records, found: &mut Vec<String>) {
        let mut leased = BTreeMap::new();
        for (address, uid) in &records.leases {
            if let Some(before) = leased.insert(uid.as_str(), address.as_str()) {
                found.push(format!("pod {uid} has two addresses, {before} and {address}"));
            }
            if !living.contains_key(uid.as_str()) {
                found.push(format!("lease of {address} by dead pod {uid}"));
            }
        }
        for (uid, pod) in living {
            let said = pod.state["address"].as_str();
            if said != leased.get(uid).copied() {
                found.push(format!("pod {uid} is at {said:?} and has leased {:?}", leased.get(uid)));
            }
            let Some(pid) = pod.process() else { continue };
            // Its addresses as its own namespace has them.
            let table = fs::read_to_string(format!("/proc/{pid}/net/fib_trie")).unwrap_or_default();
            let addresses = local_addresses(&table);
            if said.is_none_or(|said| addresses != BTreeSet::from([said])) {
                found.push(format!("pod {uid} is to have {said:?} and has {addresses:?}"));
            }
        }
    }
}

/// Leaves of the kernel's table that are the namespace's own, without the loopback's.
fn local_addresses(table: &str) -> BTreeSet<&str> {
    let mut addresses = BTreeSet::new();
    let mut leaf = "";
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address;
        } else if line.starts_with("/32 host LOCAL") && !leaf.starts_with("127.") {
            addresses.insert(leaf);
        }
    }
    addresses
}

/// Mounts of other pods in a pod's own mount namespace.
fn foreign_mounts(pod: &Pod, run: &Path) -> Vec<String> {
    let Some(pid) = pod.process() else { return Vec::new() };
    let own = pod.state["id"]["uid"].as_str().unwrap_or_default();
    let pods = format!("{}/", run.join("pods").display());
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .filter(|point| point.strip_prefix(&pods).is_some_and(|rest| !rest.starts_with(own)))
        .map(|point| format!("mount {point} in pod {own}"))
        .collect()
}

/// Mounts below the bench, seen from the host; the run directory's own is the instance's.
pub(crate) fn mounts(bench: &Bench) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let below = format!("{}/", bench.path("").display()).replace("//", "/");
    let run = bench.path("r");
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .filter(|point| point.starts_with(&below) && Path::new(point) != run)
        .map(|point| format!("mount {point}"))
        .collect()
}

/// Interfaces of the bench that belong to no pod of the watcher nor of the living `up`, and pods of the watcher that
/// have none. A pod whose interface of before is still on its way out has another beside it.
pub(crate) fn links(bench: &Bench, own: (&Instance, &Records), ups: &[(&Instance, Records)]) -> Vec<String> {
    let bridges: Vec<String> =
        ups.iter().map(|(up, _)| up).chain([&own.0]).map(|one| format!("dp{}", one.id)).collect();
    let mut interfaces = bench.interfaces();
    interfaces.retain(|name| name != "lo" && !bridges.contains(name));
    let mut missing = Vec::new();
    for uid in own.1.pods.iter().filter(|(_, pod)| pod.state["sandbox"] == "Ready").map(|(uid, _)| uid) {
        match interfaces.iter().position(|name| is_of(name, uid)) {
            Some(at) => drop(interfaces.remove(at)),
            None => missing.push(format!("pod {uid} has no interface")),
        }
    }
    interfaces.retain(|name| !ups.iter().any(|(_, records)| records.pods.keys().any(|uid| is_of(name, uid))));
    missing.into_iter().chain(interfaces.into_iter().map(|name| format!("link {name}"))).collect()
}

fn is_of(interface: &str, uid: &str) -> bool {
    let short: String = uid.chars().filter(char::is_ascii_hexdigit).take(11).collect();
    interface.starts_with(&format!("v{short}"))
}

/// What a process holds.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) descriptors: usize,
    /// Resident memory.
    pub(crate) kibibytes: u64,
}

impl Held {
    pub(crate) fn by(pid: u32) -> Held {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        Held {
            descriptors: list(Path::new(&format!("/proc/{pid}/fd"))).len(),
            kibibytes: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
        }
    }

    /// What the same process may hold once it has so many pods.
    pub(crate) fn with(&self, pods: usize) -> Held {
        Held {
            descriptors: self.descriptors + DESCRIPTORS + DESCRIPTORS_EACH * pods,
            kibibytes: self.kibibytes + KIBIBYTES + KIBIBYTES_EACH * pods as u64,
        }
    }
}

/// What a process is, for a person.
fn about(pid: i32) -> String {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let status = read("status");
    let fields = ["Name", "State", "PPid", "NSpid"].map(|name| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.replace('\t', " ")
    });
    format!("{}, waits in {}, {}", fields.join(", "), read("wchan"), read("cmdline").replace('\0', " "))
}

/// What each thread of a process waits for.
pub(crate) fn where_it_is(pid: u32) -> String {
    let threads = list(Path::new(&format!("/proc/{pid}/task"))).into_iter().map(|thread| {
        let read =
            |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{thread}/{name}")).unwrap_or_default();
        let stack = read("stack").lines().take(6).collect::<Vec<_>>().join(" < ");
        format!("{} in {} ({}) {stack}", read("comm").trim(), read("wchan"), read("syscall").trim())
    });
    threads.collect::<Vec<_>>().join("; ")
}

fn hierarchies() -> Vec<PathBuf> {
    let top = Path::new(CGROUPS);
    directories(top).into_iter().map(|name| top.join(name)).chain([top.to_owned()]).collect()
}

fn directories(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn processes_in(cgroup: &Path) -> Vec<i32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|pid| pid.parse().ok()).collect()
}
