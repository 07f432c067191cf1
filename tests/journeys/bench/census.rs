//! What an instance has left on the machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Bench;
use super::clock::{deadline, past, pause};

impl Bench {
    /// Everything that pods have left; empty when none is there.
    pub(crate) fn census(&self) -> Vec<String> {
        let mut found = Vec::new();
        let run = self.root.join("r");
        let mut instances = vec![self.instance()];
        instances.extend(list(&run.join("up")).iter().map(|id| instance_of(&run.join("up").join(id))));
        for (pid, cgroup) in processes() {
            if instances.iter().any(|id| cgroup.contains(&format!("/droppod/{id}/"))) {
                found.push(format!("process {pid} in {cgroup}"));
            }
        }
        // A hierarchy of cgroup v1 each, or the one of cgroup v2 itself.
        let top = Path::new("/sys/fs/cgroup");
        for hierarchy in list(top).iter().map(|name| top.join(name)).chain([top.to_owned()]) {
            for id in &instances {
                let pods = hierarchy.join("droppod").join(id).join("pods");
                let dirs = list(&pods).into_iter().filter(|name| pods.join(name).is_dir());
                found.extend(dirs.map(|name| format!("cgroup {} {name}", hierarchy.display())));
            }
        }
        let root = self.root.to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        // The instance's own, and a disc that a test has made for it.
        let places = [format!("{root}/r"), format!("{root}/s")];
        let inside = |line: &&str| {
            line.split(' ').nth(4).is_some_and(|point| {
                point.starts_with(&format!("{root}/")) && !places.iter().any(|place| point == place)
            })
        };
        found.extend(mounts.lines().filter(inside).map(|line| format!("mount {line}")));
        // The bridge stays with the instance; a veth is of a pod.
        let links = self.interfaces().into_iter().filter(|name| name != "lo" && !name.starts_with("dp"));
        found.extend(links.map(|name| format!("link {name}")));
        for (what, place) in
            [("pod", "r/pods"), ("lease", "r/leases"), ("up", "r/up"), ("scratch", "s/scratch")]
        {
            found.extend(list(&self.root.join(place)).into_iter().map(|name| format!("{what} {name}")));
        }
        found
    }

    /// Names of the interfaces in its network namespace.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        let table = fs::read_to_string(format!("/proc/{}/net/dev", self.keeper.id())).unwrap();
        table.lines().filter_map(|line| line.split_once(':')).map(|line| line.0.trim().to_owned()).collect()
    }

    /// Waits until nothing of any pod is left.
    pub(crate) fn until_clean(&self) {
        let deadline = deadline();
        loop {
            let left = self.census();
            if left.is_empty() {
                return;
            }
            assert!(!past(deadline), "left behind:\n{}", left.join("\n"));
            pause();
        }
    }
}

pub(crate) fn instance_of(run: &Path) -> String {
    let run = fs::canonicalize(run).unwrap_or_else(|_| run.to_owned());
    let hash = Sha256::digest(run.to_str().unwrap().as_bytes());
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Names in a directory, which may go while it is read.
pub(crate) fn list(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// In clock ticks since the boot: the 22nd field of the process's `stat`, the 20th after its name.
pub(super) fn started_at(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().nth(19).and_then(|field| field.parse().ok()).unwrap_or(u64::MAX)
}

/// Every process and the cgroup it is in, of the pids hierarchy or the unified one.
pub(super) fn processes() -> BTreeMap<i32, String> {
    let mut found = BTreeMap::new();
    for pid in list(Path::new("/proc")).into_iter().filter_map(|name| name.parse::<i32>().ok()) {
        // A process may be gone by the time it is looked at.
        let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let line = cgroups.lines().find(|line| line.contains(":pids:") || line.starts_with("0::/droppod"));
        if let Some(path) = line.and_then(|line| line.splitn(3, ':').nth(2)) {
            found.insert(pid, path.to_owned());
        }
    }
    found
}
