//! Control groups, versions 1, hybrid and 2, without systemd: `/droppod/<instance>/{shims,pods/<uid>/<container>}`.

use std::io;
use std::path::Path;

use crate::bundle::Controllers;
use crate::model::pod_plan::Resources;

/// Where this machine's hierarchies are mounted. Probed once in a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgroups {
    hierarchies: Vec<std::path::PathBuf>,
}

impl Cgroups {
    pub(crate) fn probe() -> io::Result<Cgroups> {
        Ok(Cgroups { hierarchies: Vec::new() })
    }

    pub(crate) fn controllers(&self) -> Controllers {
        let _ = &self.hierarchies;
        unimplemented!()
    }

    /// Moves the calling process into `path` in every hierarchy, making it.
    pub(crate) fn join(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        unimplemented!()
    }

    /// Makes a pod's directory and writes its limits.
    pub(crate) fn make(&self, path: &Path, resources: &Resources) -> io::Result<()> {
        let _ = (path, resources);
        unimplemented!()
    }

    /// Writes limits to a directory that exists; a limit that is absent becomes unlimited.
    pub(crate) fn limit(&self, path: &Path, resources: &Resources) -> io::Result<()> {
        let _ = (path, resources);
        unimplemented!()
    }

    /// How many processes the kernel's OOM killer has taken in this directory and below.
    pub(crate) fn oom_kills(&self, path: &Path) -> io::Result<u64> {
        let _ = path;
        unimplemented!()
    }

    /// SIGKILL to every process in this directory and below, until there is none (frozen ones thawed, forks caught).
    pub(crate) fn kill(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        unimplemented!()
    }

    /// Every process in this directory and below.
    pub(crate) fn processes(&self, path: &Path) -> io::Result<Vec<i32>> {
        let _ = path;
        unimplemented!()
    }

    /// Removes the directory and all below it, bottom up, in every hierarchy. One that is not there is as good as
    /// removed; one that is busy is `ResourceBusy`.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        unimplemented!()
    }
}
