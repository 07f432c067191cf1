//! The image store: `<images>/refs/<file name of a reference>` holds a [`StoredReference`], `layers/<diff id>/`
//! an unpacked layer, complete and committed by rename. A layer is stored once, whoever uses it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::image::{ImageRef, StoredImage};
use crate::model::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    root: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredReference {
    pub(crate) reference: ImageRef,
    pub(crate) image: StoredImage,
    /// When the reference was last found to stand for this image.
    pub(crate) resolved_at: Timestamp,
    /// Of a local archive when it was loaded: size and mtime in nanoseconds.
    pub(crate) fingerprint: Option<(u64, i128)>,
}

impl Store {
    pub(crate) fn at(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    pub(crate) fn find(&self, image: &ImageRef) -> io::Result<Option<StoredReference>> {
        let _ = (image, &self.root);
        unimplemented!()
    }

    pub(crate) fn all(&self) -> io::Result<Vec<StoredReference>> {
        unimplemented!()
    }

    /// Where an unpacked layer lies; `diff_id` is `sha256:…`.
    pub(crate) fn layer(&self, diff_id: &str) -> PathBuf {
        self.root.join("layers").join(diff_id.trim_start_matches("sha256:"))
    }
}

/// A file name that stands for a reference, here and in `rundir::pulls`.
pub(crate) fn file_name(image: &ImageRef) -> String {
    let _ = image;
    unimplemented!()
}
