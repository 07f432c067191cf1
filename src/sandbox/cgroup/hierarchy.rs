//! One mounted hierarchy: what it controls, its directories, who is in them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::sandbox::failure::cannot;
use crate::sandbox::mounts::Mount;

/// Controllers that limit a pod. The others of a version 2 hierarchy stay as the machine's owner has them.
const WANTED: [&str; 4] = ["cpu", "hugetlb", "memory", "pids"];

/// What a hierarchy of version 1 is told from others by that has no controllers.
const NAME: &str = "name=";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Version {
    One,
    Two,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Hierarchy {
    mount: PathBuf,
    pub(super) version: Version,
    controllers: Vec<String>,
}

/// Hierarchies among the mounts. One that is mounted twice counts once.
pub(super) fn among(mounts: Vec<Mount>) -> io::Result<Vec<Hierarchy>> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for Mount { point: mount, kind, data, .. } in mounts {
        let (version, controllers) = match kind.as_str() {
            "cgroup" => (Version::One, v1_controllers(&data)),
            "cgroup2" => (Version::Two, v2_controllers(&mount)?),
            _ => continue,
        };
        let known = found.iter().any(|h| h.version == version && h.controllers == controllers);
        if !known {
            found.push(Hierarchy { mount, version, controllers });
        }
    }
    if found.iter().any(|hierarchy| hierarchy.version == Version::One && !hierarchy.only_names()) {
        // What a hybrid leaves to version 2 limits nobody: containers have no place there.
        for hierarchy in found.iter_mut().filter(|hierarchy| hierarchy.version == Version::Two) {
            hierarchy.controllers.clear();
        }
    }
    Ok(found)
}

/// With the hierarchy's own name, `name=systemd`, if it has one.
fn v1_controllers(options: &str) -> Vec<String> {
    const OF_THE_MOUNT: [&str; 7] =
        ["rw", "ro", "noprefix", "xattr", "clone_children", "cpuset_v2_mode", "none"];
    options
        .split(',')
        .filter(|option| !OF_THE_MOUNT.contains(option))
        .filter(|option| !option.contains('=') || option.starts_with(NAME))
        .map(str::to_owned)
        .collect()
}

fn v2_controllers(mount: &Path) -> io::Result<Vec<String>> {
    let path = mount.join("cgroup.controllers");
    let text =
        std::fs::read_to_string(&path).map_err(|error| cannot(format!("read {}", path.display()), error))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Whether this process is at `path` of version 2 (cgroups(7), `/proc/pid/cgroup`).
pub(crate) fn is_home(path: &Path) -> bool {
    home_of("self").is_some_and(|home| home == path)
}

/// Where a process is in version 2, by its name in `/proc`.
pub(super) fn home_of(process: &str) -> Option<PathBuf> {
    let cgroups = std::fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from)
}

impl Hierarchy {
    pub(in crate::sandbox) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|known| known == controller)
    }

    /// Whether it is one of version 1 that controls nothing: by `name=systemd` a service manager knows which processes are
    /// whose.
    pub(super) fn only_names(&self) -> bool {
        self.version == Version::One && self.controllers.iter().all(|one| one.starts_with(NAME))
    }

    /// The last part of where it is mounted, such as `memory`.
    pub(super) fn name(&self) -> Option<String> {
        Some(self.mount.file_name()?.to_str()?.to_owned())
    }

    /// `path` is the same in every hierarchy and starts with `/`.
    pub(in crate::sandbox) fn directory(&self, path: &Path) -> PathBuf {
        self.mount.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What a process with one thread writes 0 to, to move to `path`. The kernel waits for a grace period, a hundredth of a
    /// second, before it moves a process, and moves a thread by its own wish at once (`cgroup_procs_write_start`). Version
    /// 2 moves no threads.
    pub(super) fn door(&self, path: &Path) -> PathBuf {
        self.directory(path).join(match self.version {
            Version::One => "tasks",
            Version::Two => "cgroup.procs",
        })
    }

    /// Whether this process is at `path`. None of version 1 is asked: joining costs no more there.
    pub(super) fn is_home(&self, path: &Path) -> bool {
        self.version == Version::Two && is_home(path)
    }

    /// Every directory from below the mount point down to `path`.
    fn steps(&self, path: &Path) -> Vec<PathBuf> {
        let directory = self.directory(path);
        let mut steps: Vec<PathBuf> =
            directory.ancestors().take_while(|step| *step != self.mount).map(Path::to_path_buf).collect();
        steps.reverse();
        steps
    }

    /// Makes the directory and those above it, ready for a process to join.
    pub(super) fn make(&self, path: &Path) -> io::Result<()> {
        for step in self.steps(path) {
            match std::fs::create_dir(&step) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(cannot(format!("make cgroup {}", step.display()), error));
                }
                Ok(()) | Err(_) => {}
            }
            if self.version == Version::One && self.has("cpuset") {
                inherit_cpuset(&step)
                    .map_err(|error| cannot(format!("set processors of {}", step.display()), error))?;
            }
        }
        Ok(())
    }

    /// Moves a child into the directory, making it.
    pub(super) fn put(&self, pid: i32, path: &Path) -> io::Result<()> {
        self.make(path)?;
        let procs = self.directory(path).join("cgroup.procs");
        std::fs::write(&procs, pid.to_string())
            .map_err(|error| cannot(format!("move a process to cgroup {}", procs.display()), error))
    }

    /// Version 2: lets the directory and those below it have the controllers that limit a pod. One that is refused
    /// is missed when a limit is written that needs it.
    pub(super) fn pass_controllers_down(&self, path: &Path) {
        if self.version == Version::One {
            return;
        }
        for step in std::iter::once(self.mount.clone()).chain(self.steps(path)) {
            for controller in WANTED.into_iter().filter(|controller| self.has(controller)) {
                // Each for itself: of several in one write, one refused takes the others with it.
                drop(std::fs::write(step.join("cgroup.subtree_control"), format!("+{controller}")));
            }
        }
    }
}

/// Version 1 makes a directory without processors or memory nodes, which no process can join.
fn inherit_cpuset(directory: &Path) -> io::Result<()> {
    let Some(parent) = directory.parent() else { return Ok(()) };
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if std::fs::read_to_string(directory.join(name))?.trim().is_empty() {
            std::fs::write(directory.join(name), std::fs::read(parent.join(name))?)?;
        }
    }
    Ok(())
}

/// The directory and all below it, each after its parent; none if it is not there.
pub(super) fn below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![directory.to_path_buf()];
    let mut next = 0;
    while next < found.len() {
        match children(&found[next]) {
            Ok(children) => {
                found.extend(children);
                next += 1;
            }
            // Gone since it was listed.
            Err(error) if is_gone(&error) => {
                found.remove(next);
            }
            Err(error) => return Err(cannot(format!("list cgroup {}", found[next].display()), error)),
        }
    }
    Ok(found)
}

fn children(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            children.push(entry.path());
        }
    }
    Ok(children)
}

/// Adds the processes of one directory; one that is gone has none.
pub(super) fn processes_in(directory: &Path, pids: &mut BTreeSet<i32>) -> io::Result<()> {
    let procs = directory.join("cgroup.procs");
    match std::fs::read_to_string(&procs) {
        // 0 stands for a process that this PID namespace has no number for.
        Ok(text) => {
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid != 0))
        }
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(cannot(format!("read {}", procs.display()), error)),
    }
    Ok(())
}

/// A file that was opened before its directory was removed answers ENODEV.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}
