//! Declared things: their keys, and the records of them that outlive a reboot.

use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
        let kind = self.kind.to_lowercase();
        match self.group.as_str() {
            "" => write!(f, "{kind}/{}", self.name),
            group => write!(f, "{kind}.{group}/{}", self.name),
        }
    }
}

/// Where an object was declared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The watched directory, absolute, as it was named: a link in it may lead elsewhere by now.
    pub(crate) root: PathBuf,
    /// The manifest, relative to `root`.
    pub(crate) path: PathBuf,
}

/// Byte by byte. Each pass looks every file up in several maps, and paths by themselves are compared by their components,
/// which takes longer than all else that is done for a file that has not changed.
impl Ord for Source {
    fn cmp(&self, other: &Source) -> Ordering {
        bytes(&self.root).cmp(bytes(&other.root)).then_with(|| bytes(&self.path).cmp(bytes(&other.path)))
    }
}

impl PartialOrd for Source {
    fn partial_cmp(&self, other: &Source) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        bytes(&self.path) == bytes(&other.path) && bytes(&self.root) == bytes(&other.root)
    }
}

impl Eq for Source {}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
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
    pub(crate) authored: Arc<serde_json::Value>,
    /// Counts changes of `authored`, from 1.
    pub(crate) generation: u64,
    pub(crate) created_at: Timestamp,
    /// Set when the object is to go; its record goes once its pod has gone.
    pub(crate) deletion: Option<Deletion>,
    /// Set on what a controller made; it goes with its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Owner>,
}

/// Who made an object. Its UID is hashed from both, so that making it twice makes it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) uid: Uid,
    /// Tells it from the owner's others: which pod of a Job it is, from 0; when a Job of a CronJob was due, in
    /// seconds.
    pub(crate) number: u64,
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
    pub(crate) object: Arc<Object>,
}

impl Known {
    /// A file says that it is to be there: it was neither made by a controller nor told to go.
    pub(crate) fn is_declared(&self) -> bool {
        self.record.deletion.is_none() && self.record.owner.is_none()
    }

    /// It comes from a folder that others can write to, whose objects are kept apart from all others.
    pub(crate) fn is_apart(&self) -> bool {
        let scope = self.record.key.namespace.rsplit_once('-').map(|(_, scope)| scope);
        scope.is_some_and(|scope| scope.len() == SCOPE && scope == scope_of(&self.record.source.root))
    }
}

/// Length of a scope's name.
const SCOPE: usize = 9;

/// What ends the namespaces of a folder that others can write to: eight hexadecimal digits of its path, after a letter.
pub(crate) fn scope_of(root: &Path) -> String {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    digest.iter().take(4).fold("u".to_owned(), |scope, byte| scope + &format!("{byte:02x}"))
}
