//! Who may have what the store holds: of an image its reference tells, of a layer that anybody may have
//! `<images>/public/<diff id>`.
//!
//! A diff id is no secret. Whoever had a layer for naming it could write an image around one of somebody else's.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, names};
use crate::publish;

/// Who may have an image for the asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Rights {
    /// A registry gave it to this machine's credentials.
    #[default]
    Credentials,
    /// A registry gave it to nobody in particular, or the machine's owner laid it here.
    Anybody,
}

impl Store {
    /// Whether a layer has once been brought in whole by somebody without credentials. What an older binary has brought
    /// in may have been with any.
    pub(crate) fn is_public(&self, diff_id: &str) -> bool {
        self.public(diff_id).exists()
    }

    /// Lost in a power cut, it costs a download.
    pub(crate) fn note_public(&self, diff_id: &str) -> io::Result<()> {
        File::create(self.public(diff_id)).map(drop)
    }

    /// Forgets layers that are not there any more.
    pub(super) fn forget_public(&self) -> io::Result<()> {
        for name in names(&self.root.join("public"))? {
            if !self.root.join("layers").join(&name).exists() {
                publish::remove(&self.root.join("public").join(name))?;
            }
        }
        Ok(())
    }

    fn public(&self, diff_id: &str) -> PathBuf {
        self.root.join("public").join(diff_id.trim_start_matches("sha256:"))
    }
}
