//! Brings one image into the store, from a registry, an archive or a layout. Runs in a process of its own.

use crate::model::image::{ImageRef, StoredImage};

use super::store::Store;

/// Why an image could not be had, in words for the manifest's author.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct PullFailure {
    pub(crate) message: String,
}

/// Makes `image` present in the store, resolving its tag anew. Blocks; at its end the image is committed and synced.
pub(crate) fn pull(store: &Store, image: &ImageRef) -> Result<StoredImage, PullFailure> {
    let _ = (store, image);
    unimplemented!()
}
