//! Instances of `up`: each a run directory below the machine's own, whose lock its command holds.
//!
//! A command that is killed leaves its instance to its pods, the last of which retires it. Where that is killed, too,
//! or there was none yet, the watcher or the next command sweeps it. Making and sweeping exclude each other by the lock
//! of the directory that holds them all.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;

use super::super::cgroup::Cgroups;
use super::super::failure::cannot;
use super::super::mounts;
use super::{RunDirectory, id_of, in_memory, make_own, prepare, retire};
use crate::paths::Places;
use crate::publish::remove_tree;
use crate::rundir::lock::{self, Lock};
use crate::rundir::{last_words, pods};
use crate::sandbox::sys::identity::random_uid;

/// An instance that this process directs.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) places: Places,
    /// Says that somebody does.
    _alive: Lock,
}

/// Makes and prepares an instance of its own, of which only the images are the machine's.
pub(crate) fn make(machine: &Places) -> io::Result<Up> {
    let id: String = random_uid()?.as_str().chars().take(8).collect();
    let ups = machine.ups();
    let _not_swept = loop {
        match make_own(&ups) {
            // The last instance has just taken it along.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            made => made?,
        }
        let shared = match Lock::share_directory(&ups) {
            // Removed with the last instance in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            shared => shared?,
        };
        match rustix::fs::mkdirat(&shared, id.as_str(), Mode::RWXU) {
            Ok(()) => break shared,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(cannot(format!("make a directory in {}", ups.display()), error.into())),
        }
    };
    let places = places(ups.join(id), machine);
    prepare(&places)?;
    let taken = Lock::try_take_directory(&places.run)?;
    let _alive = taken.ok_or_else(|| cannot(format!("lock {}", places.run.display()), Errno::BUSY.into()))?;
    Ok(Up { places, _alive })
}

/// Removes the instances that nobody directs, that were not kept and have no living pod.
///
/// # Errors
/// The first that could not be removed; the others are nevertheless.
pub(crate) fn sweep_dead(machine: &Places) -> io::Result<()> {
    let ups = machine.ups();
    // Somebody is making one, and swept before that.
    let Some(_alone) = lock_if_there(&ups)? else { return Ok(()) };
    let mut swept = Ok(());
    for up in all(machine)? {
        swept = swept.and(sweep(&up));
    }
    swept
}

/// The instances below a machine's, whether somebody directs them or not.
pub(crate) fn all(machine: &Places) -> io::Result<Vec<Places>> {
    let ups = machine.ups();
    let cannot = |error| cannot(format!("list {}", ups.display()), error);
    match std::fs::read_dir(&ups) {
        Ok(entries) => entries.map(|entry| Ok(places(entry.map_err(cannot)?.path(), machine))).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(cannot(error)),
    }
}

/// Whether any has a tmpfs of its own in the machine's run directory, as it has where that is none.
pub(super) fn any_in_memory(machine: &Places) -> io::Result<bool> {
    Ok(all(machine)?.iter().any(|up| in_memory(&up.run).unwrap_or(true)))
}

/// For a pod process on its way out whose `up` is gone: retires the instance unless another pod lives, which then
/// does it.
pub(crate) fn retire_orphaned(up: &Places) -> io::Result<()> {
    // Somebody may sweep it just now.
    let _ours = match Lock::take_directory(&up.run) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        taken => taken.map_err(|error| cannot(format!("lock {}", up.run.display()), error))?,
    };
    if has_living_pod(up)? { Ok(()) } else { clear(up, &up.cgroup().join("pods")) }
}

fn sweep(up: &Places) -> io::Result<()> {
    let Some(_ours) = lock_if_there(&up.run)? else { return Ok(()) };
    if up.kept().exists() || has_living_pod(up)? {
        return Ok(());
    }
    clear(up, &up.cgroup())
}

fn clear(up: &Places, processes: &Path) -> io::Result<()> {
    Cgroups::probe()?.kill(processes)?;
    // A folder that cannot be written to must not keep the rest from being cleared up.
    drop(last_words::say(up));
    // What is mounted further in may be somebody's data: retirement says so.
    if mounts::within(&up.run)?.iter().all(|point| *point == up.run) {
        remove_tree(&up.pods())?;
    }
    retire(up, RunDirectory::Remove)
}

fn has_living_pod(up: &Places) -> io::Result<bool> {
    for uid in pods::list(up)? {
        if lock::is_held(&up.pod(&uid).lock())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lock_if_there(directory: &Path) -> io::Result<Option<Lock>> {
    match Lock::try_take_directory(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        taken => taken.map_err(|error| cannot(format!("lock {}", directory.display()), error)),
    }
}

fn places(run: PathBuf, machine: &Places) -> Places {
    let (state, log) = (run.join("state"), run.join("log"));
    Places { id: id_of(&run), state, log, images: machine.images.clone(), run }
}
