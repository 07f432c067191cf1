//! Making and retiring an instance: its run directory on tmpfs, its marks, what of it lies outside of it.

pub(crate) mod up;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, UnmountFlags};
use sha2::{Digest, Sha256};

use super::cgroup::Cgroups;
use super::failure::cannot;
use super::{mounts, network};
use crate::model::id::InstanceId;
use crate::paths::Places;
use crate::publish::{Durability, publish, remove, remove_tree};
use crate::sandbox::sys::identity::boot_id;
use crate::sandbox::sys::pidfd;

/// How long a retirement waits for one process that is on its way out.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

const TMPFS_MAGIC: u32 = 0x0102_1994;
/// Where a kernel without tmpfs, or an initramfs, keeps files in memory.
const RAMFS_MAGIC: u32 = 0x8584_58f6;

/// Whether this run directory was in use earlier in this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boot {
    Same,
    /// First use since the machine started: nothing in it counts.
    New,
}

/// What becomes of the run directory when an instance is retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunDirectory {
    /// A `watch` comes back to it.
    Keep,
    /// That of an `up`, which nobody comes back to.
    Remove,
}

/// The hash that names an instance, of its run directory's canonical path.
pub(crate) fn id_of(run: &Path) -> InstanceId {
    let hash = Sha256::digest(canonical(run).as_os_str().as_encoded_bytes());
    InstanceId(hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect())
}

/// As `canonicalize`, also of a path whose last parts do not exist yet.
fn canonical(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(canonical), _, _) => canonical,
        (Err(_), Some(parent), Some(name)) => canonical(parent).join(name),
        (Err(_), _, _) => path,
    }
}

/// A network that is being removed. To drop it is to wait for that.
#[derive(Debug)]
#[must_use]
pub(crate) struct Retirement(Option<JoinHandle<io::Result<()>>>);

impl Drop for Retirement {
    fn drop(&mut self) {
        // What has come of it is seen by `retire`, which does all of it that has not been done.
        drop(self.0.take().map(JoinHandle::join));
    }
}

/// Makes state, run and log directories (0700), mounts a tmpfs (nosuid, nodev, mode 0700) on the run directory if
/// it does not lie on one and nothing in it is in use, which that would hide; voids what an earlier boot left in it, marks
/// it with the boot id. Refuses directories that are another user's or writable by others.
pub(crate) fn prepare(places: &Places) -> io::Result<Boot> {
    // First, because those of an `up` lie in it.
    make_own(&places.run)?;
    let boot = boot_id()?;
    let is_marked = || std::fs::read_to_string(places.boot_mark()).is_ok_and(|mark| mark == boot);
    let is_in_use =
        || Ok::<_, io::Error>(up::any_in_memory(places)? || is_marked() && has_entries(&places.pods())?);
    if !in_memory(&places.run)? && !is_in_use()? {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("tmpfs", &places.run, "tmpfs", flags, Some(c"mode=0700"))
            .map_err(|error| cannot(format!("mount a tmpfs on {}", places.run.display()), error.into()))?;
    }
    make_own(&places.state)?;
    make_own(&places.log)?;
    let marked = is_marked();
    if !marked {
        void(places)?;
    }
    for directory in [places.pods(), places.leases(), places.pulls(), places.deletions(), places.objects()] {
        make_own(&directory)?;
    }
    publish(&places.boot_mark(), boot.as_bytes(), 0o600, Durability::Volatile)?;
    Ok(if marked { Boot::Same } else { Boot::New })
}

/// Begins with what takes the kernel longest of [`retire`], for one whose pods have all ended and have taken back their
/// pins and ports.
pub(crate) fn begin_to_retire(places: &Places) -> Retirement {
    let id = places.id.clone();
    Retirement(std::thread::Builder::new().spawn(move || network::remove(&id)).ok())
}

/// Removes all that the instance has outside of its state directory if no pod of it is left: nft table, bridge,
/// cgroups, and with `RunDirectory::Remove` its run directory and tmpfs. Works from any process, also from a pod
/// process on its way out (which enters the host's namespaces by the descriptors it kept). Doing it twice is fine.
///
/// # Errors
/// `ResourceBusy` while another process is still in the instance's cgroup, or something mounted in the run
/// directory; everything else is removed nevertheless.
pub(crate) fn retire(places: &Places, run: RunDirectory) -> io::Result<()> {
    if has_entries(&places.pods())? {
        return Ok(());
    }
    let network = network::remove(&places.id);
    let cgroup = remove_cgroup(places);
    let directory = match run {
        // The next to come may take another range.
        RunDirectory::Keep => remove(&places.network()),
        RunDirectory::Remove => remove_run(places),
    };
    network.and(cgroup).and(directory)
}

/// Makes a directory that only its owner enters, also those above it that are missing; one that is there must be
/// as safe.
fn make_own(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| cannot(format!("make directory {}", path.display()), error))?;
    let is = path.symlink_metadata()?;
    let unsafe_because = if !is.is_dir() {
        "it is not a directory itself"
    } else if is.uid() != rustix::process::geteuid().as_raw() {
        "it belongs to another user"
    } else if is.mode() & 0o022 != 0 {
        "others may write to it"
    } else {
        return Ok(());
    };
    let refusal = io::Error::new(io::ErrorKind::PermissionDenied, unsafe_because);
    Err(cannot(format!("trust directory {}", path.display()), refusal))
}

fn in_memory(path: &Path) -> io::Result<bool> {
    // As wide as the machine's word, and signed; a magic number has 32 bits.
    let kind = rustix::fs::statfs(path)?.f_type as u32;
    Ok([TMPFS_MAGIC, RAMFS_MAGIC].contains(&kind))
}

/// Directories of `up` stay: each is an instance with a mark of its own.
fn void(places: &Places) -> io::Result<()> {
    for directory in [places.pods(), places.leases(), places.pulls(), places.deletions(), places.starts()] {
        remove_tree(&directory)?;
    }
    remove(&places.network())
}

fn remove_cgroup(places: &Places) -> io::Result<()> {
    let cgroups = Cgroups::probe()?;
    let path = places.cgroup();
    let own = rustix::process::getpid().as_raw_pid();
    if cgroups.processes(&path)?.contains(&own) {
        // A pod process sits in what it is about to remove.
        cgroups.join(Path::new("/"))?;
    }
    wait_until_left(&cgroups, &path)?;
    cgroups.remove(&path)?;
    if let Some(shared) = path.parent() {
        cgroups.remove_empty(shared);
    }
    Ok(())
}

/// A pod process removes its pod's directory and then ends: those that are about to are waited for, not for long.
fn wait_until_left(cgroups: &Cgroups, path: &Path) -> io::Result<()> {
    while let Some(pid) = cgroups.processes(path)?.first().copied() {
        // One that has ended meanwhile cannot be opened; the next round finds it gone.
        let Ok(process) = pidfd::open(pid) else { continue };
        if poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE))? == 0 {
            break;
        }
    }
    Ok(())
}

fn remove_run(places: &Places) -> io::Result<()> {
    let run = &places.run;
    // What is mounted further in may be somebody's data: it is not to be walked into.
    if let Some(point) = mounts::within(run)?.into_iter().find(|point| point != run) {
        let busy = io::Error::new(io::ErrorKind::ResourceBusy, format!("{} is mounted", point.display()));
        return Err(cannot(format!("remove {}", run.display()), busy));
    }
    match rustix::mount::unmount(run, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // Not mounted, or gone.
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(cannot(format!("unmount {}", run.display()), error.into())),
    }
    remove_tree(run).map_err(|error| cannot(format!("remove {}", run.display()), error))?;
    if let Some(ups) = run.parent().filter(|parent| parent.ends_with("up")) {
        // Other instances of `up` may be in it, and a `watch` may have the directory above.
        let above = ups.parent().filter(|_| std::fs::remove_dir(ups).is_ok());
        drop(above.map(std::fs::remove_dir));
    }
    Ok(())
}

fn has_entries(directory: &Path) -> io::Result<bool> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(cannot(format!("list {}", directory.display()), error)),
    }
}

#[cfg(test)]
mod tests;
