//! What the pod's containers can write to in memory: file systems of the pod's own, in its own mount namespace and gone
//! with that, each with a limit, and charged by the kernel to the container that writes. A pod that fills them harms
//! itself alone; the run directory, on which all pods are governed, holds nothing that a container can write to.

use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, unmount};

use super::{GroundError, failed, make_directory};
use crate::failpoint;
use crate::paths::PodDir;

/// Files below `/etc`, termination messages, projected volumes: the size of the `/dev/shm` that container runtimes give.
const FILES: &CStr = c"mode=0755,size=64m";
const SHM: &CStr = c"mode=1777,size=64m";
/// What one run of a container writes above the host's root. Several pods that fill theirs must not be out of memory
/// together, and no kill of a process gives it back before the run's end.
const LAYER: &CStr = c"mode=0700,size=25%";

/// Whatever a container's own mounts may forbid, no file here is a device or lends its owner's rights.
const FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

pub(super) fn mount(pod: &PodDir) -> io::Result<()> {
    make_directory(&pod.mounts(), 0o755)?;
    rustix::mount::mount("files", pod.mounts(), "tmpfs", FLAGS, FILES)?;
    failpoint::reach("room mounted")
}

pub(super) fn mount_shm(pod: &PodDir) -> io::Result<PathBuf> {
    let target = pod.mounts().join("shm");
    make_directory(&target, 0o755)?;
    rustix::mount::mount("shm", &target, "tmpfs", FLAGS | MountFlags::NOEXEC, SHM)?;
    failpoint::reach("shared memory mounted")?;
    Ok(target)
}

/// Room for one layer while `work` mounts a root on it. From then on that root alone holds it: it costs no line in the
/// table of mounts, and its memory is free again once the run is over.
pub(super) fn with_layer<T>(
    pod: &PodDir,
    work: impl FnOnce(&Path) -> Result<T, GroundError>,
) -> Result<T, GroundError> {
    let place = pod.mounts().join("layer");
    make_directory(&place, 0o700).map_err(failed("make a mount point"))?;
    rustix::mount::mount("layer", &place, "tmpfs", FLAGS, LAYER)
        .map_err(io::Error::from)
        .map_err(failed("mount the writable layer"))?;
    let done = work(&place);
    unmount(&place, UnmountFlags::DETACH)
        .map_err(io::Error::from)
        .map_err(failed("let go of the writable layer"))?;
    done
}
