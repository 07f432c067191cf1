//! `<run-dir>/pods/<uid>/`: finding pods, reading what their processes say, and why one is not started yet.

use std::io;

use crate::failpoint;
use crate::model::id::Uid;
use crate::model::record::{PodRecord, WaitingRecord};
use crate::paths::{Places, PodDir};
use crate::publish::{Durability, Published, publish_json, read_json, remove, remove_tree};

/// UIDs of the pods that have a directory, in order.
pub(crate) fn list(places: &Places) -> io::Result<Vec<Uid>> {
    let entries = match std::fs::read_dir(places.pods()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut uids = Vec::new();
    for entry in entries {
        if let Ok(uid) = Uid::try_from(entry?.file_name().to_string_lossy().into_owned()) {
            uids.push(uid);
        }
    }
    uids.sort();
    Ok(uids)
}

/// Removes a pod's directory, by the process that holds its lock. The goal goes late and the lock last: until then
/// the pod is seen to live, or, if this is cut short, to have left something. What another makes of the directory
/// after that is not ours.
pub(crate) fn leave(pod: &PodDir) -> io::Result<()> {
    let entries = match std::fs::read_dir(&pod.0) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if path == pod.lock() || path == pod.goal() {
            continue;
        }
        if entry.file_type()?.is_dir() { remove_tree(&path)? } else { remove(&path)? }
    }
    remove(&pod.goal())?;
    failpoint::reach("goal removed")?;
    remove(&pod.lock())?;
    match std::fs::remove_dir(&pod.0) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
            Err(error)
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(crate) fn write_record(pod: &PodDir, record: &PodRecord) -> io::Result<Published> {
    let published = publish_json(&pod.record(), record, Durability::Volatile)?;
    failpoint::reach("state published")?;
    Ok(published)
}

pub(crate) fn read_record(pod: &PodDir) -> io::Result<Option<PodRecord>> {
    read_json(&pod.record())
}

pub(crate) fn write_waiting(pod: &PodDir, waiting: &WaitingRecord) -> io::Result<Published> {
    std::fs::create_dir_all(&pod.0)?;
    publish_json(&pod.waiting(), waiting, Durability::Volatile)
}

pub(crate) fn read_waiting(pod: &PodDir) -> io::Result<Option<WaitingRecord>> {
    read_json(&pod.waiting())
}
