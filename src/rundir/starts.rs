//! `<run-dir>/starts/<uid>.json`: what whoever directs a pod remembers of it while its processes come and go.

use std::collections::BTreeSet;
use std::io;

use crate::failpoint;
use crate::model::id::Uid;
use crate::model::record::StartRecord;
use crate::paths::Places;
use crate::publish::{Durability, publish_json, read_json, remove};

pub(crate) fn write(places: &Places, uid: &Uid, record: &StartRecord) -> io::Result<()> {
    std::fs::create_dir_all(places.starts())?;
    publish_json(&places.start(uid), record, Durability::Volatile)?;
    failpoint::reach("start recorded")
}

pub(crate) fn read(places: &Places, uid: &Uid) -> io::Result<Option<StartRecord>> {
    read_json(&places.start(uid))
}

pub(crate) fn forget(places: &Places, uid: &Uid) -> io::Result<()> {
    remove(&places.start(uid))
}

/// Removes the records of pods that are not among these.
pub(crate) fn keep_only(places: &Places, uids_kept: &BTreeSet<&Uid>) -> io::Result<()> {
    for uid in uids(places)?.iter().filter(|uid| !uids_kept.contains(uid)) {
        forget(places, uid)?;
    }
    Ok(())
}

fn uids(places: &Places) -> io::Result<Vec<Uid>> {
    let entries = match std::fs::read_dir(places.starts()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut uids = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let uid = name.strip_suffix(".json").and_then(|uid| Uid::try_from(uid.to_owned()).ok());
        uids.extend(uid);
    }
    Ok(uids)
}
