//! Limits of processor time that are out of force for a moment.

use std::io;
use std::path::{Path, PathBuf};

use super::Hierarchy;
use super::hierarchy::{Version, below};

/// While this lives, nothing in some directories waits for processor time. The quotas that were there come back afterwards;
/// with the process that holds this goes the pod they are of.
pub(crate) struct QuotaLifted(Vec<(PathBuf, String)>);

impl QuotaLifted {
    /// Of a directory, all that are below it, and of the pod that it is a container of: ending takes processor time, and
    /// many processes that share a hundredth of a core would take a minute for it.
    pub(super) fn below(hierarchies: &[Hierarchy], path: &Path) -> io::Result<QuotaLifted> {
        let mut lifted = QuotaLifted::of_pod(hierarchies, path);
        for hierarchy in hierarchies.iter().filter(|hierarchy| hierarchy.has("cpu")) {
            for directory in below(&hierarchy.directory(path))? {
                lifted.lift(hierarchy, &directory);
            }
        }
        Ok(lifted)
    }

    /// Of the pod alone that a container is of, whose quota holds for each of its containers.
    pub(super) fn of_pod(hierarchies: &[Hierarchy], container: &Path) -> QuotaLifted {
        let mut lifted = QuotaLifted(Vec::new());
        for hierarchy in hierarchies.iter().filter(|hierarchy| hierarchy.has("cpu")) {
            if let Some(pod) = pod_of(container) {
                lifted.lift(hierarchy, &hierarchy.directory(pod));
            }
        }
        lifted
    }

    fn lift(&mut self, hierarchy: &Hierarchy, directory: &Path) {
        let (name, none) = match hierarchy.version {
            Version::One => ("cpu.cfs_quota_us", "-1"),
            Version::Two => ("cpu.max", "max"),
        };
        let file = directory.join(name);
        // A kernel without bandwidth control has none, nor has the top directory.
        if let Ok(before) = std::fs::read_to_string(&file)
            && !before.starts_with(none)
            && std::fs::write(&file, none).is_ok()
        {
            self.0.push((file, before));
        }
    }
}

impl Drop for QuotaLifted {
    fn drop(&mut self) {
        put_back(&self.0);
    }
}

/// Of a container's directory, `…/pods/<uid>/<container>`.
fn pod_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|pod| pod.parent().is_some_and(|pods| pods.ends_with("pods")))
}

/// A directory that has been removed meanwhile needs no limit.
pub(super) fn put_back(limits: &[(PathBuf, String)]) {
    for (file, before) in limits {
        drop(std::fs::write(file, before.trim()));
    }
}
