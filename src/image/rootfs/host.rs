//! The machine's own root as an image: what of it is hidden, and what is mounted on it and shown all the same.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode};
use rustix::mount::{MountFlags, mount_bind, mount_remount};

use super::targets::{Kind, ensure_target};
use super::{HostRootMask, dress_like, open_directory};
use crate::image::inside;
use crate::paths::Places;
use crate::sandbox::mounts::{self, Mount};

pub(super) struct Host {
    /// Without symlinks, absolute.
    masked: Vec<Masked>,
    carried: Vec<Carried>,
}

struct Masked {
    path: PathBuf,
    is: rustix::fs::Stat,
}

/// A mount below `/usr` or `/opt`, which an overlay of the root alone would not show.
struct Carried {
    path: PathBuf,
    flags: MountFlags,
}

impl Host {
    pub(super) fn read(places: &Places, mask: HostRootMask) -> io::Result<Host> {
        let masked = match mask {
            HostRootMask::Masked => masked(places)?,
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
            if FileType::from_raw_mode(masked.is.st_mode) == FileType::Directory {
                rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700))?;
                let directory = open_directory_at(&parent, name)?;
                dress_like(&directory, &masked.is)?;
                inside::make_opaque(&directory)?;
            } else {
                inside::make_whiteout(&parent, name)?;
            }
        }
        Ok(())
    }

    /// Binds carried mounts below `root`, read-only, and `empty` over what is masked inside them.
    pub(super) fn carry_into(&self, root: &OwnedFd, empty: &Path) -> io::Result<()> {
        for carried in &self.carried {
            let file = std::fs::metadata(&carried.path);
            // Gone since the list was read, or on a server that does not answer: the others still count.
            let Ok(is) = file else { continue };
            let kind = if is.is_dir() { Kind::Directory } else { Kind::File };
            bind(root, &carried.path, &carried.path, kind, carried.flags)?;
        }
        for masked in &self.masked {
            let inside_carried = self.carried.iter().any(|carried| masked.path.starts_with(&carried.path));
            if inside_carried && FileType::from_raw_mode(masked.is.st_mode) == FileType::Directory {
                bind(root, empty, &masked.path, Kind::Directory, MountFlags::empty())?;
            }
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

/// What there is to mask, shortest first, nothing inside something that is masked already.
fn masked(places: &Places) -> io::Result<Vec<Masked>> {
    let mut paths: Vec<PathBuf> =
        ["/root", "/home", "/var/lib/droppod", "/var/log/pods"].map(PathBuf::from).to_vec();
    paths.extend([&places.state, &places.run, &places.log, &places.images].map(Clone::clone));
    paths.extend(named("/etc", |name| name.starts_with(b"shadow") || name.starts_with(b"gshadow"))?);
    paths.extend(named("/etc/ssh", |name| name.starts_with(b"ssh_host_") && name.ends_with(b"_key"))?);
    let mut real: Vec<PathBuf> = Vec::new();
    for path in paths {
        match std::fs::canonicalize(&path) {
            Ok(path) => real.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    real.sort();
    let mut found: Vec<Masked> = Vec::new();
    for path in real {
        if path != Path::new("/") && !found.iter().any(|above| path.starts_with(&above.path)) {
            found.push(Masked { is: rustix::fs::lstat(&path)?, path });
        }
    }
    Ok(found)
}

fn named(directory: &str, wanted: impl Fn(&[u8]) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if wanted(name.as_bytes()) {
            found.push(Path::new(directory).join(name));
        }
    }
    Ok(found)
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
