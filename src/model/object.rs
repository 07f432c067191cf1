//! Declared things: their keys, and the records of them that outlive a reboot.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::api::Object;

use super::id::Uid;
use super::time::Timestamp;

/// What an object is known by: never the path of its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ObjectKey {
    /// The API group, empty for the core group.
    pub(crate) group: String,
    pub(crate) kind: String,
    /// Empty for kinds that live outside of namespaces.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.to_lowercase(), self.name)
    }
}

/// Where an object was declared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The watched directory, canonical.
    pub(crate) root: PathBuf,
    /// The manifest, relative to `root`.
    pub(crate) path: PathBuf,
}

impl Source {
    pub(crate) fn absolute(&self) -> PathBuf {
        self.root.join(&self.path)
    }
}

/// `<state-dir>/objects/<uid>/object.json`: the content in force, durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub(crate) format: u32,
    pub(crate) uid: Uid,
    pub(crate) key: ObjectKey,
    pub(crate) source: Source,
    /// The object as its author wrote it, no default filled in.
    pub(crate) authored: serde_json::Value,
    /// Counts changes of `authored`, from 1.
    pub(crate) generation: u64,
    pub(crate) created_at: Timestamp,
    /// Set when the object is to go; its record goes once its pod has gone.
    pub(crate) deletion: Option<Deletion>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deletion {
    pub(crate) at: Timestamp,
    /// Seconds, in place of the pod's own grace period.
    pub(crate) grace: Option<u32>,
}

/// A declared object together with the record of it that is in force.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) record: ObjectRecord,
    /// Defaults filled in.
    pub(crate) object: Object,
}
