//! Volumes: made ready in the pod process's mount namespace, each behind an anchor of its own, so that what a
//! container mounts was resolved once, by us, and cannot be swapped for something else afterwards.

pub(crate) mod files;
pub(crate) mod host_path;
pub(crate) mod shared;
pub(crate) mod sub_path;

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags};
use rustix::mount::MountFlags;

use crate::model::pod_plan::{Medium, PodPlan, VolumePlan};
use crate::paths::PodDir;

use shared::{Attached, SharedMounts};

#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {message}")]
    Refused { volume: String, message: String },
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : cannot {operation}: {source}")]
    Io { volume: String, operation: &'static str, source: io::Error },
}

impl VolumeError {
    fn io(volume: &str, operation: &'static str) -> impl FnOnce(io::Error) -> VolumeError {
        let volume = volume.to_owned();
        move |source| VolumeError::Io { volume, operation, source }
    }
}

/// Makes every volume of the pod ready below `pod.volume(name)`. `scratch` lies on disc and is the pod's alone.
pub(crate) fn make(
    plan: &PodPlan,
    pod: &PodDir,
    scratch: &Path,
    shared: &SharedMounts,
) -> Result<(), VolumeError> {
    for (name, volume) in &plan.volumes {
        let target = pod.volume(name);
        let attached = shared.attach(name, &target).map_err(VolumeError::io(name, "mount the host path"))?;
        if attached == Attached::Yes {
            continue;
        }
        make_one(name, volume, &target, scratch, plan)?;
    }
    Ok(())
}

/// Writes changed projected files into a living pod's volumes.
pub(crate) fn refresh(plan: &PodPlan, pod: &PodDir) -> Result<(), VolumeError> {
    for (name, volume) in &plan.volumes {
        match volume {
            VolumePlan::Files { files, .. } => {
                files::write(&pod.volume(name), files, plan.fs_group)
                    .map_err(VolumeError::io(name, "write its files"))?;
            }
            VolumePlan::EmptyDir { .. } | VolumePlan::HostPath { .. } => {}
        }
    }
    Ok(())
}

fn make_one(
    name: &str,
    volume: &VolumePlan,
    target: &Path,
    scratch: &Path,
    plan: &PodPlan,
) -> Result<(), VolumeError> {
    let fs_group = plan.fs_group;
    match volume {
        VolumePlan::EmptyDir { medium: Medium::Memory, limit } => {
            make_directory(target).map_err(VolumeError::io(name, "make its directory"))?;
            mount_tmpfs(target, *limit).map_err(VolumeError::io(name, "mount a tmpfs"))?;
            own(target, 0o777, fs_group).map_err(VolumeError::io(name, "set its owner and mode"))
        }
        VolumePlan::EmptyDir { medium: Medium::Disk, limit: _ } => {
            let source = scratch.join("volumes").join(name);
            make_directory(&source).map_err(VolumeError::io(name, "make its directory"))?;
            own(&source, 0o777, fs_group).map_err(VolumeError::io(name, "set its owner and mode"))?;
            make_directory(target).map_err(VolumeError::io(name, "make its directory"))?;
            rustix::mount::mount_bind(&source, target)
                .map_err(io::Error::from)
                .map_err(VolumeError::io(name, "bind its directory"))
        }
        VolumePlan::HostPath { path, kind } => {
            host_path::anchor(name, path, *kind, shared::propagation(plan, name), target)
        }
        VolumePlan::Files { files, medium: _ } => {
            // The pod's directory is tmpfs, so secrets are in memory whatever the medium.
            make_directory(target).map_err(VolumeError::io(name, "make its directory"))?;
            files::write(target, files, fs_group).map_err(VolumeError::io(name, "write its files"))
        }
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

fn mount_tmpfs(target: &Path, limit: Option<u64>) -> io::Result<()> {
    let options = match limit {
        Some(bytes) => format!("mode=0777,size={bytes}"),
        None => "mode=0777".to_owned(),
    };
    let options = std::ffi::CString::new(options)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(rustix::mount::mount("tmpfs", target, "tmpfs", flags, options.as_c_str())?)
}

/// Sets the mode against the umask, and hands a volume to `fsGroup` as the kubelet does: group, setgid, group rw.
fn own(path: &Path, mode: u32, fs_group: Option<u32>) -> io::Result<()> {
    match fs_group {
        Some(group) => {
            std::os::unix::fs::chown(path, None, Some(group))?;
            std::fs::set_permissions(path, Permissions::from_mode(mode | 0o2070))
        }
        None => std::fs::set_permissions(path, Permissions::from_mode(mode)),
    }
}

/// Binds what a descriptor stands for onto `target`, which is made a directory or an empty file to match.
fn bind_descriptor(source: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
    make_target(source, target)?;
    // The kernel resolves this link to the very file that is open, whatever its path leads to by now.
    let source = PathBuf::from(format!("/proc/self/fd/{}", source.as_raw_fd()));
    Ok(rustix::mount::mount_bind_recursive(&source, target)?)
}

/// Makes a directory or an empty file, as the source is.
fn make_target(source: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
    let is_directory = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(source)?.st_mode).is_dir();
    if is_directory {
        make_directory(target)?;
    } else {
        if let Some(parent) = target.parent() {
            make_directory(parent)?;
        }
        std::fs::File::create(target)?;
    }
    Ok(())
}

fn open_path(path: &Path) -> io::Result<rustix::fd::OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

fn chown_group(directory: impl AsFd, name: &str, group: Option<u32>) -> io::Result<()> {
    let Some(group) = group else { return Ok(()) };
    let group = Some(Gid::from_raw(group));
    Ok(rustix::fs::chownat(directory, name, None, group, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?)
}
