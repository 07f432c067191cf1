//! A container's root: an overlay of the image's layers below a throw-away writable layer, mounted in the calling
//! process's mount namespace, with `dev proc sys etc run tmp` guaranteed to be real directories.

mod host;
mod masked;
mod overlay;
mod targets;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid};

pub(crate) use super::passwd::{AccountError, account};
use super::store::Store;
use super::{inside, rootfs::overlay::Overlay};
use crate::model::image::ImageRef;
use crate::model::pod_plan::ContainerPlan;
use crate::paths::Places;
use crate::publish::remove_tree_at;
pub(crate) use targets::{Kind, ensure_target};

#[derive(Debug, thiserror::Error)]
pub(crate) enum RootfsError {
    #[error("cannot {operation} for the root file system of container {container}")]
    Io { operation: &'static str, container: String, source: std::io::Error },
    #[error("container {container}: the image is not in the store")]
    NoImage { container: String },
}

/// How much of the machine a container on the host's own root sees (`droppod.dev/host-root`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostRootMask {
    /// All but other people's homes, password hashes, SSH host keys, droppod's own directories, and these paths.
    Masked(Vec<PathBuf>),
    Full,
}

/// Keeps the layers of a mounted root in the store. To be held for as long as the root is mounted.
#[derive(Debug)]
#[must_use = "the layers may be removed from below the container once this is dropped"]
pub(crate) struct HeldLayers {
    _layers: Vec<OwnedFd>,
}

/// Mounts the root of `container` at `target`, a directory that is there. `scratch` is a directory for this
/// container's writable layer: on disc for images, on tmpfs for the host's own root (an upper layer cannot lie
/// inside its lower one). What an earlier root left in it is removed first.
pub(crate) fn mount(
    store: &Store,
    container: &ContainerPlan,
    places: &Places,
    mask: &HostRootMask,
    scratch: &Path,
    target: &Path,
) -> Result<HeldLayers, RootfsError> {
    let failed = |operation| {
        let container = container.name.clone();
        move |source| RootfsError::Io { operation, container, source }
    };
    let mut held = Vec::new();
    let mut lower = Vec::new();
    if let ImageRef::HostRoot = container.image.reference {
        lower.push(PathBuf::from("/"));
    } else {
        let missing = || RootfsError::NoImage { container: container.name.clone() };
        let image = container.image.stored.as_ref().ok_or_else(missing)?;
        for layer in image.layers.iter().rev() {
            let layer_held = store.hold_layer(layer).map_err(failed("open a layer"))?;
            held.push(layer_held.ok_or_else(missing)?);
            lower.push(store.layer(layer));
        }
    }
    let overlay = prepare(scratch, lower).map_err(failed("make a writable layer"))?;
    let host_root = match container.image.reference {
        ImageRef::HostRoot => {
            let host = host::Host::read(places, mask).map_err(failed("see what the host's root holds"))?;
            host.mask_in(&overlay.upper).map_err(failed("mask parts of the host"))?;
            Some(host)
        }
        ImageRef::Registry(_) | ImageRef::Guest(_) | ImageRef::Local { .. } => None,
    };
    let root = overlay.mount(target).map_err(failed("mount an overlay"))?;
    if let Some(host) = host_root {
        let nothing = Nothing { directory: scratch.join("empty"), file: scratch.join("nothing") };
        std::fs::write(&nothing.file, "").map_err(failed("make an empty file"))?;
        host.carry_into(&root, &nothing).map_err(failed("carry over a mount of the host"))?;
    }
    targets::guard(&root).map_err(failed("make dev, proc, sys, etc, run and tmp"))?;
    Ok(HeldLayers { _layers: held })
}

/// What is bound over what is to be hidden.
struct Nothing {
    directory: PathBuf,
    file: PathBuf,
}

/// `<scratch>/{upper,work,empty}`, empty, the upper one looking like the root that it covers.
fn prepare(own: &Path, mut lower: Vec<PathBuf>) -> io::Result<Overlay> {
    let private = Mode::from_raw_mode(0o700);
    if let (Some(above), Some(name)) = (own.parent(), own.file_name()) {
        std::fs::create_dir_all(above)?;
        remove_tree_at(open_directory(above)?, name)?;
    }
    rustix::fs::mkdir(own, private)?;
    for name in ["upper", "work", "empty"] {
        rustix::fs::mkdir(own.join(name), private)?;
    }
    inside::set_mode(open_directory(&own.join("empty"))?, 0o755)?;
    // An image may have no layer, an overlay may not.
    if lower.is_empty() {
        lower.push(own.join("empty"));
    }
    let upper = open_directory(&own.join("upper"))?;
    let covered = rustix::fs::stat(&lower[0])?;
    dress_like(&upper, &covered)?;
    Ok(Overlay { lower, upper: own.join("upper"), work: own.join("work") })
}

/// Gives a directory in an upper layer the owner and mode of what it covers.
fn dress_like(directory: impl AsFd, covered: &rustix::fs::Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(covered.st_uid), Gid::from_raw(covered.st_gid));
    rustix::fs::fchown(&directory, Some(uid), Some(gid))?;
    Ok(rustix::fs::fchmod(&directory, Mode::from_raw_mode(covered.st_mode & 0o7777))?)
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests;
