//! hostPath volumes that are mounted with a propagation: what is mounted below them later passes between the host and
//! the container, which takes a source whose mount lets it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::{VolumeError, host_path, make_target};
use crate::model::pod_plan::{PodPlan, Propagation, VolumePlan};
use crate::sandbox::mounts::{self, Standing};

/// Copies of mounts that are attached nowhere yet, and still pass on to the host what is mounted below them.
#[derive(Debug, Default)]
pub(crate) struct SharedMounts(BTreeMap<String, OwnedFd>);

impl SharedMounts {
    /// To be called in the host's mount namespace: in one of the pod's own, copies would be the host's slaves.
    pub(crate) fn take(plan: &PodPlan) -> Result<SharedMounts, VolumeError> {
        let mut taken = BTreeMap::new();
        for (name, volume) in &plan.volumes {
            let VolumePlan::HostPath { path, kind } = volume else { continue };
            let asked = propagation(plan, name);
            if asked == Propagation::None {
                continue;
            }
            let source = host_path::find(name, path, *kind)?;
            let standing = standing(&source).map_err(VolumeError::io(name, "look at its mount"))?;
            refuse(name, path, asked, standing)?;
            if asked == Propagation::Bidirectional {
                let flags = OpenTreeFlags::OPEN_TREE_CLONE
                    | OpenTreeFlags::OPEN_TREE_CLOEXEC
                    | OpenTreeFlags::AT_RECURSIVE
                    | OpenTreeFlags::AT_EMPTY_PATH;
                let copy = open_tree(source.as_fd(), "", flags)
                    .map_err(io::Error::from)
                    .map_err(VolumeError::io(name, "copy its mount"))?;
                taken.insert(name.clone(), copy);
            }
        }
        Ok(SharedMounts(taken))
    }

    /// Attaches the copy at `target`; tells whether there was one.
    pub(super) fn attach(&self, name: &str, target: &Path) -> io::Result<Attached> {
        let Some(copy) = self.0.get(name) else { return Ok(Attached::No) };
        make_target(copy.as_fd(), target)?;
        move_mount(copy.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        Ok(Attached::Yes)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attached {
    Yes,
    No,
}

/// The widest that a container asks for.
pub(super) fn propagation(plan: &PodPlan, volume: &str) -> Propagation {
    let mounts = plan.all_containers().flat_map(|container| &container.mounts);
    let asked = mounts.filter(|mount| mount.volume == volume).map(|mount| mount.propagation);
    asked.fold(Propagation::None, |widest, asked| match (widest, asked) {
        (Propagation::Bidirectional, _) | (_, Propagation::Bidirectional) => Propagation::Bidirectional,
        (Propagation::HostToContainer, _) | (_, Propagation::HostToContainer) => Propagation::HostToContainer,
        (Propagation::None, Propagation::None) => Propagation::None,
    })
}

fn standing(source: &OwnedFd) -> io::Result<Standing> {
    let is = rustix::fs::statx(source, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    let mount = mounts::table()?.into_iter().find(|mount| mount.id == is.stx_mnt_id);
    Ok(mount.map_or(Standing::Private, |mount| mount.standing))
}

/// In the container runtimes' words.
fn refuse(volume: &str, path: &Path, asked: Propagation, is: Standing) -> Result<(), VolumeError> {
    let wanted = match (asked, is) {
        (Propagation::None, _) | (_, Standing::Shared) | (Propagation::HostToContainer, Standing::Slave) => {
            return Ok(());
        }
        (Propagation::HostToContainer, Standing::Private) => "shared or slave",
        (Propagation::Bidirectional, Standing::Slave | Standing::Private) => "shared",
    };
    let message = format!("path \"{}\" is not on a {wanted} mount", path.display());
    Err(VolumeError::Refused { volume: volume.to_owned(), message })
}
