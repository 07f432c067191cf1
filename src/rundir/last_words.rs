//! `last-words.json` in the run directory of an `up`: what its status files are to say if it is killed. Whoever clears
//! up after it writes them, so that none goes on telling of pods that run.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::lock::is_within_held;
use crate::paths::Places;
use crate::publish::status::{Place, Refusal};
use crate::publish::{Durability, publish_json, read_json};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastWord {
    /// Canonical.
    pub(crate) directory: PathBuf,
    /// Of the status file.
    pub(crate) name: String,
    pub(crate) text: String,
}

pub(crate) fn leave(places: &Places, words: &[&LastWord]) -> io::Result<()> {
    publish_json(&places.last_words(), &words, Durability::Volatile)?;
    Ok(())
}

/// Writes them, all that can be. A folder that is gone needs none.
pub(crate) fn say(places: &Places) -> io::Result<()> {
    let words: Vec<LastWord> = read_json(&places.last_words())?.unwrap_or_default();
    let mut said = Ok(());
    // Where somebody watches by now, that one tells of the manifests.
    for LastWord { directory, name, text } in
        words.into_iter().filter(|word| !is_within_held(&word.directory))
    {
        let written = Place::in_directory(&directory, name).and_then(|place| place.write_over(&text));
        said = said.and(match written {
            Ok(()) | Err(Refusal::NoFolder | Refusal::NotOurs(_)) => Ok(()),
            Err(Refusal::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(refusal) => Err(io::Error::other(refusal)),
        });
    }
    said
}
