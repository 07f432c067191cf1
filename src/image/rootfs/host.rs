//! The machine's own root as an image: what of it is hidden, and what is mounted on it and shown all the same.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::mount::{MountFlags, mount_bind, mount_remount};

use super::masked::{self, Masked, What};
use super::targets::{Kind, ensure_target};
use super::{HostRootMask, Nothing, dress_like, open_directory};
use crate::image::inside;
use crate::paths::Places;
use crate::sandbox::mounts::{self, Mount};

pub(super) struct Host {
    masked: Vec<Masked>,
    carried: Vec<Carried>,
}

/// A mount below `/usr` or `/opt`, which an overlay of the root alone would not show.
struct Carried {
    path: PathBuf,
    flags: MountFlags,
}

impl Host {
    pub(super) fn read(places: &Places, mask: &HostRootMask) -> io::Result<Host> {
        let masked = match mask {
            HostRootMask::Masked(hidden) => masked::masked(places, hidden)?,
            HostRootMask::Full => Vec::new(),
        };
        let carried = carried(mounts::table()?);
        Ok(Host { masked, carried })
    }

    /// Hides what is masked, in the writable layer before it is mounted: an opaque directory, a whiteout.
    pub(super) fn mask_in(&self, upper: &Path) -> io::Result<()> {
        let upper = open_directory(upper)?;
        for masked in &self.masked {
            let (Some(parent), Some(name)) = (masked.path.parent(), masked.path.file_name()) else {
                continue;
            };
            let parent = cover(&upper, parent)?;
            if inside::look(&parent, name)?.is_some() {
                continue;
            }
            match &masked.what {
                What::Directory(is) => {
                    rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700))?;
                    let directory = open_directory_at(&parent, name)?;
                    dress_like(&directory, is)?;
                    inside::make_opaque(&directory)?;
                }
                What::File | What::Absent => inside::make_whiteout(&parent, name)?,
            }
        }
        Ok(())
    }

    /// Binds carried mounts below `root`, read-only, and what is in `nothing`, an empty directory and an empty file, over
    /// what is masked inside them.
    pub(super) fn carry_into(&self, root: &OwnedFd, nothing: &Nothing) -> io::Result<()> {
        for carried in &self.carried {
            let file = std::fs::metadata(&carried.path);
            // Gone since the list was read, or on a server that does not answer: the others still count.
            let Ok(is) = file else { continue };
            let kind = if is.is_dir() { Kind::Directory } else { Kind::File };
            bind(root, &carried.path, &carried.path, kind, carried.flags)?;
        }
        for masked in &self.masked {
            if !self.carried.iter().any(|carried| masked.path.starts_with(&carried.path)) {
                continue;
            }
            let (source, kind) = match masked.what {
                What::Directory(_) => (&nothing.directory, Kind::Directory),
                What::File => (&nothing.file, Kind::File),
                // There is nothing to bind over, and a mount of somebody else's to be left as it is.
                What::Absent => continue,
            };
            bind(root, source, &masked.path, kind, MountFlags::empty())?;
        }
        Ok(())
    }
}

fn bind(root: &OwnedFd, source: &Path, path: &Path, kind: Kind, flags: MountFlags) -> io::Result<()> {
    let resolved = ensure_target(root.as_fd(), path, kind)?;
    let open = || inside::open(root, &resolved, rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW);
    let below = open()?;
    mount_bind(source, inside::through_proc(below.as_fd()))?;
    // Opened again: the first handle is to what the mount covers.
    let mounted = open()?;
    mount_remount(inside::through_proc(mounted.as_fd()), flags | MountFlags::BIND | MountFlags::RDONLY, "")?;
    Ok(())
}

/// Makes the directories down to `path` in an upper layer, each looking like the one it covers.
fn cover(upper: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let mut reached = upper.try_clone()?;
    let mut covered = PathBuf::from("/");
    for name in path.components().filter_map(|component| match component {
        std::path::Component::Normal(name) => Some(name),
        _ => None,
    }) {
        covered.push(name);
        if inside::look(&reached, name)?.is_none() {
            rustix::fs::mkdirat(&reached, name, Mode::from_raw_mode(0o700))?;
            dress_like(open_directory_at(&reached, name)?, &rustix::fs::stat(&covered)?)?;
        }
        reached = open_directory_at(&reached, name)?;
    }
    Ok(reached)
}

fn open_directory_at(parent: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = rustix::fs::OFlags::RDONLY
        | rustix::fs::OFlags::DIRECTORY
        | rustix::fs::OFlags::NOFOLLOW
        | rustix::fs::OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Mounts below `/usr` and `/opt`, in the order in which they were made.
fn carried(mounts: Vec<Mount>) -> Vec<Carried> {
    let shown =
        mounts.into_iter().filter(|mount| mount.point.starts_with("/usr") || mount.point.starts_with("/opt"));
    let flags = |options: &str| {
        options.split(',').fold(MountFlags::empty(), |flags, option| match option {
            "nosuid" => flags | MountFlags::NOSUID,
            "nodev" => flags | MountFlags::NODEV,
            "noexec" => flags | MountFlags::NOEXEC,
            _ => flags,
        })
    };
    shown.map(|mount| Carried { flags: flags(&mount.options), path: mount.point }).collect()
}
