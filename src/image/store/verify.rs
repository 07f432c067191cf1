//! Whether an image is still whole. A layer was verified as it was unpacked and cannot be hashed again: its archive
//! is gone.

use std::fmt;
use std::io;

use super::Store;
use crate::image::import::digest_of;
use crate::model::image::StoredImage;

/// Why pods cannot be made of an image any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    NoManifest,
    /// It is not the text that the image's digest is of.
    OtherManifest,
    NoLayer(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::NoManifest => f.write_str("its manifest is missing"),
            Flaw::OtherManifest => f.write_str("its manifest is not what the digest says"),
            Flaw::NoLayer(diff_id) => write!(f, "layer {diff_id} is missing"),
        }
    }
}

impl Store {
    pub(crate) fn flaws(&self, image: &StoredImage) -> io::Result<Vec<Flaw>> {
        let mut flaws = Vec::new();
        match std::fs::read(self.manifest(&image.digest)) {
            Ok(text) if digest_of(&text) == image.digest => {}
            Ok(_) => flaws.push(Flaw::OtherManifest),
            Err(error) if error.kind() == io::ErrorKind::NotFound => flaws.push(Flaw::NoManifest),
            Err(error) => return Err(error),
        }
        for diff_id in &image.layers {
            match std::fs::symlink_metadata(self.layer(diff_id)) {
                Ok(layer) if layer.is_dir() => {}
                Ok(_) => flaws.push(Flaw::NoLayer(diff_id.clone())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    flaws.push(Flaw::NoLayer(diff_id.clone()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(flaws)
    }
}
