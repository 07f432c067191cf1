//! `<run-dir>/deletions/<uid>.json`: that an object is to go which no file declares. Put there by `delete`, carried out and
//! taken away by the watcher, which alone writes what is in force.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use crate::model::id::Uid;
use crate::paths::Places;
use crate::publish::{Durability, publish_json, read_json, remove};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// Seconds, in place of the pods' own.
    pub(crate) grace: Option<u32>,
}

pub(crate) fn ask(places: &Places, uid: &Uid, wanted: Wanted) -> io::Result<()> {
    std::fs::create_dir_all(places.deletions())?;
    publish_json(&places.deletion(uid), &wanted, Durability::Volatile)?;
    Ok(())
}

pub(crate) fn asked(places: &Places) -> io::Result<BTreeMap<Uid, Wanted>> {
    let entries = match std::fs::read_dir(places.deletions()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut asked = BTreeMap::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let uid = name.strip_suffix(".json").and_then(|uid| Uid::try_from(uid.to_owned()).ok());
        if let Some(uid) = uid
            && let Some(wanted) = read_json(&places.deletion(&uid))?
        {
            asked.insert(uid, wanted);
        }
    }
    Ok(asked)
}

/// It is done, or there is nothing to be done.
pub(crate) fn done(places: &Places, uid: &Uid) -> io::Result<()> {
    remove(&places.deletion(uid))
}
