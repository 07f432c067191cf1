//! `<run-dir>/pulls/`: what pull processes could not do. A pull that succeeded is seen as an image in the store.

use std::io;

use serde::{Deserialize, Serialize};

use crate::model::image::ImageRef;
use crate::model::observed::PullError;
use crate::model::time::Moment;
use crate::paths::Places;
use crate::publish::{Durability, Published, publish_json, read_json};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedPull {
    pub(crate) image: ImageRef,
    pub(crate) error: PullError,
    pub(crate) retry_at: Moment,
    /// Of a local archive as it was then: another one is not waited with.
    #[serde(default)]
    pub(crate) version: Option<(u64, i128)>,
}

/// `file` names the reference; see `image::store::file_name`.
pub(crate) fn write(places: &Places, file: &str, failed: &FailedPull) -> io::Result<Published> {
    std::fs::create_dir_all(places.pulls())?;
    publish_json(&places.pulls().join(file), failed, Durability::Volatile)
}

pub(crate) fn read(places: &Places, file: &str) -> io::Result<Option<FailedPull>> {
    read_json(&places.pulls().join(file))
}
