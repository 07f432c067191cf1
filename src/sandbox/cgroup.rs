//! Control groups, versions 1, hybrid and 2, without systemd: `/droppod/<instance>/{shims,pods/<uid>/<container>}`.
//!
//! A path is the same below every hierarchy's mount point. A version 1 hierarchy has the controllers it is mounted
//! with; in version 2 they are passed down by each directory to the ones below it, which then may hold no process
//! of its own. A hybrid machine mounts a version 2 hierarchy without controllers beside those of version 1, and a service
//! manager one of version 1 that only names processes: pod processes are moved along in these, so that they leave their
//! caller's place there, too, and their containers with them.

mod hierarchy;
mod kill;
mod limits;
mod quota;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use hierarchy::is_home;
use hierarchy::{Hierarchy, Version, below};
pub(crate) use quota::QuotaLifted;

use super::failure::cannot;
use super::mounts;
use super::sys::bpf;
use crate::bundle::{CgroupView, Controllers, devices};
use crate::model::pod_plan::Resources;

/// Where this machine's hierarchies are mounted. Probed once in a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgroups {
    hierarchies: Vec<Hierarchy>,
}

/// See [`Cgroups::doors`].
#[derive(Debug)]
pub(crate) struct Doors {
    /// What is joined where version 2 is all there is.
    pub(crate) unified: Option<PathBuf>,
    /// The same opened: whoever is born there needs no door.
    pub(crate) birthplace: Option<std::fs::File>,
    /// What a process with one thread writes 0 to: of version 2 before it is in the container's namespaces, as nobody joins
    /// one from in there before Linux 5.16.
    pub(crate) early: Vec<std::fs::File>,
    /// The one behind which processor time is limited comes last.
    pub(crate) late: Vec<std::fs::File>,
}

impl Cgroups {
    pub(crate) fn probe() -> io::Result<Cgroups> {
        Ok(Cgroups { hierarchies: hierarchy::among(mounts::table()?)? })
    }

    pub(crate) fn controllers(&self) -> Controllers {
        let has = |name| self.hierarchies.iter().any(|hierarchy| hierarchy.has(name));
        Controllers {
            memory: has("memory"),
            cpu: has("cpu"),
            pids: has("pids"),
            devices: has("devices"),
            huge_pages: has("hugetlb"),
        }
    }

    /// Moves the calling process, which has one thread, into `path` in every hierarchy, making it.
    pub(crate) fn join(&self, path: &Path) -> io::Result<()> {
        for hierarchy in self.hierarchies.iter().filter(|hierarchy| !hierarchy.is_home(path)) {
            hierarchy.make(path)?;
            let door = hierarchy.door(path);
            // 0 is the writer, whatever its number is in the namespace that the mount was made in.
            std::fs::write(&door, "0")
                .map_err(|error| cannot(format!("join cgroup {}", door.display()), error))?;
        }
        Ok(())
    }

    /// Where a process can be born that is to [`Cgroups::join`] `path`, in the hierarchy that is slow to join; made if
    /// need be. Without it there is only joining, which says why.
    pub(crate) fn birthplace(&self, path: &Path) -> Option<std::fs::File> {
        let hierarchy = self.hierarchies.iter().find(|hierarchy| hierarchy.version == Version::Two)?;
        hierarchy.make(path).and_then(|()| std::fs::File::open(hierarchy.directory(path))).ok()
    }

    /// Whether all that is controlled is by version 2.
    fn is_unified(&self) -> bool {
        let has = |version| self.hierarchies.iter().any(|one| one.version == version && !one.only_names());
        has(Version::Two) && !has(Version::One)
    }

    /// Whether containers have places of their own in a hierarchy: where a controller limits them, or the program of
    /// [`Cgroups::restrict_devices`].
    fn has_places(&self, hierarchy: &Hierarchy) -> bool {
        match hierarchy.version {
            Version::One => !hierarchy.only_names(),
            Version::Two => !self.controllers().devices,
        }
    }

    /// What a container whose control groups lie at `path` sees of them; its directories of version 1 are made, as
    /// they are to be bound. Of a hybrid's version 2 hierarchy it sees nothing.
    pub(crate) fn view(&self, path: &Path) -> io::Result<CgroupView> {
        if self.is_unified() {
            return Ok(CgroupView::Unified);
        }
        let mut hierarchies = Vec::new();
        let controlling = |one: &&Hierarchy| one.version == Version::One && !one.only_names();
        for hierarchy in self.hierarchies.iter().filter(controlling) {
            hierarchy.make(path)?;
            hierarchies.extend(hierarchy.name().map(|name| (name, hierarchy.directory(path))));
        }
        Ok(CgroupView::Hierarchies(hierarchies))
    }

    /// What keeps containers that are not privileged from all but the usual devices, in words; `Err` if nothing does.
    /// Looking changes nothing.
    pub(crate) fn device_control(&self) -> io::Result<&'static str> {
        if self.controllers().devices {
            return Ok("devices controller");
        }
        self.filtered()?;
        bpf::load_device_program(&devices::program()).map(|_| "eBPF")
    }

    /// Where the program of [`Cgroups::restrict_devices`] works.
    fn filtered(&self) -> io::Result<&Hierarchy> {
        let lacks = || io::Error::other("neither a devices controller nor control groups of version 2");
        self.hierarchies.iter().find(|hierarchy| hierarchy.version == Version::Two).ok_or_else(lacks)
    }

    /// Keeps the processes of a container from all but the usual devices, where version 1 with its devices controller
    /// does not do it.
    ///
    /// # Errors
    /// As of [`Cgroups::device_control`].
    pub(crate) fn restrict_devices(&self, path: &Path) -> io::Result<()> {
        let hierarchy = self.filtered().map_err(|error| cannot("restrict devices", error))?;
        hierarchy.make(path)?;
        let directory = hierarchy.directory(path);
        let cannot = |error| cannot(format!("restrict devices in cgroup {}", directory.display()), error);
        let cgroup = std::fs::File::open(&directory).map_err(cannot)?;
        bpf::load_device_program(&devices::program())
            .and_then(|program| bpf::attach_device_program(&program, &cgroup))
            .map_err(cannot)
    }

    /// Gives a container's first process its place in version 2 beside version 1, if it is to have one there: libcontainer
    /// knows of none. Between the making of a container and the start of its program.
    pub(crate) fn put_beside(&self, pid: i32, path: &Path) -> io::Result<()> {
        let beside = |one: &&Hierarchy| one.version == Version::Two && !self.is_unified();
        let mut places = self.hierarchies.iter().filter(beside).filter(|one| self.has_places(one));
        places.try_for_each(|hierarchy| hierarchy.put(pid, path))
    }

    /// Takes back what version 1 lets a container use that nobody has asked for. Between the making of a container and
    /// the start of its program.
    pub(crate) fn refuse_unasked_devices(&self, path: &Path) -> io::Result<()> {
        let Some(hierarchy) = self.hierarchies.iter().find(|hierarchy| hierarchy.has("devices")) else {
            return Ok(());
        };
        let file = hierarchy.directory(path).join("devices.deny");
        std::fs::write(&file, devices::UNASKED)
            .map_err(|error| cannot(format!("restrict devices by {}", file.display()), error))
    }

    /// How a process comes to a container at `path`, whose first process this is, in each hierarchy where containers have a
    /// place.
    pub(crate) fn doors(&self, path: &Path, first: i32) -> io::Result<Doors> {
        let open = |hierarchy: &Hierarchy, path: &Path| {
            let door = hierarchy.door(path);
            std::fs::File::options()
                .write(true)
                .open(&door)
                .map_err(|error| cannot(format!("open {}", door.display()), error))
        };
        let is_two = |one: &&Hierarchy| one.version == Version::Two;
        if let Some(hierarchy) = self.hierarchies.iter().find(is_two).filter(|_| self.is_unified()) {
            // A container that passes controllers down takes no process itself, but in the groups that it has made: where its
            // first process is, others can be. Of one that is elsewhere by a privilege nothing is made.
            let own = hierarchy::home_of(&first.to_string()).filter(|home| home.starts_with(path));
            let path = own.as_deref().unwrap_or(path);
            let directory = hierarchy.directory(path);
            // Not made: a container that has ended has none.
            let opened = std::fs::File::open(&directory)
                .map_err(|error| cannot(format!("open {}", directory.display()), error))?;
            let early = vec![open(hierarchy, path)?];
            return Ok(Doors {
                unified: Some(path.to_owned()),
                birthplace: Some(opened),
                early,
                late: Vec::new(),
            });
        }
        let with_places = self.hierarchies.iter().filter(|hierarchy| self.has_places(hierarchy));
        let (two, one): (Vec<&Hierarchy>, Vec<&Hierarchy>) = with_places.partition(is_two);
        let (limiting, others): (Vec<&Hierarchy>, Vec<&Hierarchy>) =
            one.into_iter().partition(|hierarchy| hierarchy.has("cpu"));
        let early = two.into_iter().map(|hierarchy| open(hierarchy, path)).collect::<io::Result<_>>()?;
        let late = others.into_iter().chain(limiting).map(|hierarchy| open(hierarchy, path));
        Ok(Doors { unified: None, birthplace: None, early, late: late.collect::<io::Result<_>>()? })
    }

    /// Moves a child into `path` in every hierarchy, making it.
    pub(crate) fn put(&self, pid: i32, path: &Path) -> io::Result<()> {
        self.hierarchies.iter().try_for_each(|hierarchy| hierarchy.put(pid, path))
    }

    /// Makes a pod's directory and writes its limits.
    pub(crate) fn make(&self, path: &Path, resources: &Resources) -> io::Result<()> {
        for hierarchy in &self.hierarchies {
            hierarchy.make(path)?;
            hierarchy.pass_controllers_down(path);
        }
        self.limit(path, resources)
    }

    /// Writes limits to a directory that exists; a limit that is absent becomes unlimited.
    ///
    /// # Errors
    /// The first that a hierarchy gave; the others are written nevertheless.
    pub(crate) fn limit(&self, path: &Path, resources: &Resources) -> io::Result<()> {
        let each = self.hierarchies.iter().map(|hierarchy| limits::write(hierarchy, path, resources));
        each.fold(Ok(()), Result::and)
    }

    /// How many processes the kernel's OOM killer has taken in this directory and below.
    pub(crate) fn oom_kills(&self, path: &Path) -> io::Result<u64> {
        match self.hierarchies.iter().find(|hierarchy| hierarchy.has("memory")) {
            Some(hierarchy) => limits::oom_kills(hierarchy, path),
            None => Ok(0),
        }
    }

    /// SIGKILL to every process in this directory and below, until there is none (frozen ones thawed, forks caught).
    ///
    /// # Errors
    /// `TimedOut` if one is still there after a second, which a process in an uninterruptible wait can bring about.
    /// It will be gone when that ends; ask again.
    pub(crate) fn kill(&self, path: &Path) -> io::Result<()> {
        kill::kill(self, path)
    }

    /// As long as the answer lives, the pod's other containers cannot keep this one from its processor time.
    pub(crate) fn lift_pod_quota(&self, container: &Path) -> QuotaLifted {
        QuotaLifted::of_pod(&self.hierarchies, container)
    }

    /// Every process in this directory and below.
    pub(crate) fn processes(&self, path: &Path) -> io::Result<Vec<i32>> {
        let mut pids = BTreeSet::new();
        for hierarchy in &self.hierarchies {
            for directory in below(&hierarchy.directory(path))? {
                hierarchy::processes_in(&directory, &mut pids)?;
            }
        }
        Ok(pids.into_iter().collect())
    }

    /// Whether a process is in this very directory.
    pub(crate) fn is_in(&self, path: &Path, pid: i32) -> bool {
        let mut pids = BTreeSet::new();
        // A hierarchy that cannot be read tells nothing.
        self.hierarchies.iter().any(|hierarchy| {
            hierarchy::processes_in(&hierarchy.directory(path), &mut pids).is_ok() && pids.contains(&pid)
        })
    }

    /// Removes the directory and all below it, bottom up, in every hierarchy. One that is not there is as good as
    /// removed; one that is busy is `ResourceBusy`.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        let mut refused = Ok(());
        for hierarchy in &self.hierarchies {
            for directory in below(&hierarchy.directory(path))?.iter().rev() {
                match std::fs::remove_dir(directory) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        // What can go goes, also when something else cannot.
                        refused =
                            refused.and(Err(cannot(format!("remove cgroup {}", directory.display()), error)));
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
        refused
    }

    /// Removes the directory where nothing is left in it.
    pub(super) fn remove_empty(&self, path: &Path) {
        for hierarchy in &self.hierarchies {
            // One that is in use answers EBUSY, and that is not looked for first: it could change meanwhile.
            drop(std::fs::remove_dir(hierarchy.directory(path)));
        }
    }

    /// Every directory at `path` and below, in every hierarchy.
    pub(super) fn directories(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for hierarchy in &self.hierarchies {
            all.extend(below(&hierarchy.directory(path))?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
