//! `<state-dir>/objects/<uid>/`: what was declared and how it ended, durable.

use std::collections::BTreeSet;
use std::io;

use crate::failpoint;
use crate::model::id::Uid;
use crate::model::job::{CronRecord, JobRecord};
use crate::model::object::ObjectRecord;
use crate::model::observed::{Finished, Interrupted};
use crate::paths::{ObjectDir, Places};
use crate::publish::{
    Durability, json, publish, publish_all, publish_json, read_json, remove, remove_abandoned, remove_tree,
    sync_directory, untraced,
};

/// Every readable object record, and the directories whose record could not be read (they are left alone).
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) objects: Vec<ObjectRecord>,
    pub(crate) unreadable: Vec<(String, io::Error)>,
}

pub(crate) fn load(places: &Places) -> io::Result<Loaded> {
    let mut loaded = Loaded::default();
    let entries = match std::fs::read_dir(places.objects()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(loaded),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Ok(uid) = Uid::try_from(name.clone()) else { continue };
        match read_json::<ObjectRecord>(&places.object(&uid).object()) {
            Ok(Some(record)) => loaded.objects.push(record),
            // Killed between making the directory and its record, or between removing the two.
            Ok(None) => {}
            Err(error) => loaded.unreadable.push((name, error)),
        }
    }
    loaded.objects.sort_by(|a, b| a.uid.cmp(&b.uid));
    Ok(loaded)
}

pub(crate) fn save(places: &Places, record: &ObjectRecord) -> io::Result<()> {
    save_all(places, &[record]).into_iter().collect()
}

/// Writes them down together, which takes a disc little longer than one; an answer for each.
pub(crate) fn save_all(places: &Places, records: &[&ObjectRecord]) -> Vec<io::Result<()>> {
    let mut made = BTreeSet::new();
    let files = records.iter().map(|record| {
        let directory = places.object(&record.uid);
        if make_directory(&directory)? {
            made.insert(&record.uid);
        }
        failpoint::reach("object directory made")?;
        Ok((directory.object(), json(record)?))
    });
    let mut saved = publish_all(files.collect(), 0o600, Durability::Durable);
    for saved in saved.iter_mut().filter(|saved| saved.is_ok()) {
        *saved = failpoint::reach("object recorded");
    }
    if !made.is_empty()
        && let Err(error) = sync_directory(&places.objects())
    {
        let unnamed = || Err(io::Error::new(error.kind(), error.to_string()));
        saved = saved.into_iter().map(|saved| saved.and_then(|()| unnamed())).collect();
    }
    for (record, _) in records.iter().zip(&saved).filter(|(_, saved)| saved.is_err()) {
        // What was not recorded for sure must not be found as an object later; one with an earlier record stays.
        if made.contains(&record.uid) {
            drop(forget(places, &record.uid));
        }
    }
    saved
}

/// Tells whether it was not there.
fn make_directory(object: &ObjectDir) -> io::Result<bool> {
    match std::fs::create_dir(&object.0) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(&object.0)?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Removes the directories of objects that have no record: what is left of one that was being made, or forgotten,
/// when the power went; and in the others what was being written. For whoever holds the instance's lock.
pub(crate) fn remove_halves(places: &Places) -> io::Result<()> {
    let entries = match std::fs::read_dir(places.objects()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let Ok(uid) = Uid::try_from(entry?.file_name().to_string_lossy().into_owned()) else { continue };
        let directory = places.object(&uid);
        match directory.object().symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => remove_tree(&directory.0)?,
            Ok(_) => remove_drafts(places, &uid)?,
            Err(_) => {}
        }
    }
    Ok(())
}

/// Waits until all that can be read of an object is on disc, for whoever tells of it to somebody who acts on it: a record
/// can be read for a moment before it is.
pub(crate) fn settle(places: &Places, uid: &Uid) -> io::Result<()> {
    match sync_directory(&places.object(uid).0) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes what processes that were killed had not finished writing of an object.
pub(crate) fn remove_drafts(places: &Places, uid: &Uid) -> io::Result<()> {
    remove_abandoned(&places.object(uid).0)
}

/// Removes all that is kept of an object; its record goes first, so that a cut in between leaves no object.
pub(crate) fn forget(places: &Places, uid: &Uid) -> io::Result<()> {
    let directory = places.object(uid);
    remove(&directory.object())?;
    failpoint::reach("object forgotten")?;
    remove_tree(&directory.0)
}

/// Records how a pod ended. The first record stands: a second is not written.
pub(crate) fn finish(places: &Places, uid: &Uid, finished: &Finished) -> io::Result<()> {
    let directory = places.object(uid);
    if finished_of(places, uid)?.is_some() {
        // It may have been written by a try that failed after that.
        return sync_directory(&directory.0);
    }
    if directory.0.is_dir() {
        publish_json(&directory.finished(), finished, Durability::Durable)?;
        failpoint::reach("end recorded")?;
    }
    Ok(())
}

pub(crate) fn finished_of(places: &Places, uid: &Uid) -> io::Result<Option<Finished>> {
    read_json(&places.object(uid).finished())
}

/// Marks that a pod was stopped and is to run again. One that has ended stays ended.
pub(crate) fn interrupt(places: &Places, uid: &Uid, interrupted: &Interrupted) -> io::Result<()> {
    let directory = places.object(uid);
    if finished_of(places, uid)?.is_none() && directory.0.is_dir() {
        publish_json(&directory.interrupted(), interrupted, Durability::Whole)?;
        failpoint::reach("interruption recorded")?;
    }
    Ok(())
}

pub(crate) fn interrupted_of(places: &Places, uid: &Uid) -> io::Result<Option<Interrupted>> {
    read_json(&places.object(uid).interrupted())
}

/// Records how a pod ended that was told to go for good, for whoever counts it or tells of it before its object goes. It
/// is no end of the object: a pod that is started again loses it.
pub(crate) fn depart(places: &Places, uid: &Uid, last: &Finished) -> io::Result<()> {
    let directory = places.object(uid);
    if directory.0.is_dir() {
        publish_json(&directory.departed(), last, Durability::Whole)?;
        failpoint::reach("departure recorded")?;
    }
    Ok(())
}

pub(crate) fn departed_of(places: &Places, uid: &Uid) -> io::Result<Option<Finished>> {
    read_json(&places.object(uid).departed())
}

/// Records what a controller knows of a Job.
pub(crate) fn save_job(places: &Places, uid: &Uid, record: &JobRecord) -> io::Result<()> {
    publish_json(&places.object(uid).job(), record, Durability::Durable)?;
    failpoint::reach("job counted")
}

pub(crate) fn job_of(places: &Places, uid: &Uid) -> io::Result<Option<JobRecord>> {
    read_json(&places.object(uid).job())
}

/// Records what a controller knows of a CronJob.
pub(crate) fn save_cron(places: &Places, uid: &Uid, record: &CronRecord) -> io::Result<()> {
    publish_json(&places.object(uid).cron(), record, Durability::Durable)?;
    failpoint::reach("schedule noted")
}

pub(crate) fn cron_of(places: &Places, uid: &Uid) -> io::Result<Option<CronRecord>> {
    read_json(&places.object(uid).cron())
}

/// Marks that containers of the pod are started in this boot, before the first one is.
pub(crate) fn mark_launched(places: &Places, uid: &Uid, boot_id: &str) -> io::Result<()> {
    remove(&places.object(uid).interrupted())?;
    remove(&places.object(uid).departed())?;
    publish(&places.object(uid).launched(), boot_id.as_bytes(), 0o600, Durability::Durable)?;
    failpoint::reach("launch marked")
}

pub(crate) fn launched_in(places: &Places, uid: &Uid) -> io::Result<Option<String>> {
    match untraced::read(&places.object(uid).launched()) {
        Ok(text) => String::from_utf8(text).map(Some).map_err(|_| io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
