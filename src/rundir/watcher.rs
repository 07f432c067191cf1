//! `watcher.json`: what the watcher that took the instance's lock last was given. Whether it still runs, the lock
//! tells; this outlives it, for who speaks in its place.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::manifest::Strictness;
use crate::manifest::podsecurity::Level;
use crate::paths::Places;
use crate::publish::{Durability, publish_json, read_json};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watcher {
    /// Absolute, as they were named.
    pub(crate) folders: Vec<PathBuf>,
    /// Where status files go if not beside the manifests, absolute.
    pub(crate) status_dir: Option<PathBuf>,
    pub(crate) namespace: String,
    pub(crate) strictness: Strictness,
    pub(crate) pod_security: Level,
    /// Folders that others can write to.
    pub(crate) untrusted: BTreeSet<PathBuf>,
}

pub(crate) fn write(places: &Places, watcher: &Watcher) -> io::Result<()> {
    publish_json(&places.watcher(), watcher, Durability::Whole)?;
    Ok(())
}

pub(crate) fn read(places: &Places) -> io::Result<Option<Watcher>> {
    read_json(&places.watcher())
}
