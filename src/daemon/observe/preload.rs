//! Archives that may hold an image which is absent: `*.tar` in the preload directory and in `images/` beside the
//! manifests that name the image.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::image::store::{Store, version_of};
use crate::model::image::{Archive, ImageRef};
use crate::model::observed::{ImageObservation, Preload};
use crate::paths::Places;
use crate::publish::untraced;
use crate::sandbox::sys::clock;

use super::{ObserveError, Seen};
use crate::daemon::execute::children::Children;
use crate::daemon::folder::open::Owner;
use crate::daemon::folder::trust::{self, Trust};

const BESIDE_MANIFESTS: &str = "images";

/// Adds what is being loaded and what should be. As long as there is any of it, nobody can say that an image of a
/// registry is not here.
pub(super) fn observe(
    places: &Places,
    store: &Store,
    sought: &BTreeMap<ImageRef, BTreeSet<PathBuf>>,
    children: &Children,
    trust: Trust,
    seen: &mut Seen,
) {
    let loading = children.loading().map(|archive| (archive.clone(), Preload::UnderWay));
    seen.observed.preloads.extend(loading);
    let sought =
        || sought.iter().filter(|(image, _)| matches!(image, ImageRef::Registry(_) | ImageRef::Guest(_)));
    let beside = sought().flat_map(|(_, beside)| beside).map(|directory| directory.join(BESIDE_MANIFESTS));
    let mut directories: BTreeSet<PathBuf> = beside.collect();
    if sought().next().is_some() {
        directories.insert(places.preload());
    }
    let now = clock::boot();
    for directory in directories {
        match archives(&directory, trust, seen) {
            Ok(archives) => {
                let due = archives.into_iter().filter(|archive| {
                    !store.has_preloaded(archive) && !children.could_not_load(archive, now)
                });
                for archive in due {
                    seen.observed.preloads.entry(archive).or_insert(Preload::Due);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => seen.failures.push(ObserveError::Archives { directory, source }),
        }
    }
    if !seen.observed.preloads.is_empty() {
        let images = sought().map(|(image, _)| (image.clone(), ImageObservation::Preloading));
        seen.observed.images.extend(images);
    }
}

/// The archives of a directory that nobody else could have put there.
fn archives(directory: &Path, trust: Trust, seen: &mut Seen) -> io::Result<Vec<Archive>> {
    let mut found = Vec::new();
    // A link would lead to where others may write, here and below.
    if !std::fs::symlink_metadata(directory)?.is_dir() {
        return Ok(found);
    }
    if trust == Trust::Checked
        && let Some((path, why)) = trust::folder_objection(directory)?
    {
        seen.failures.push(ObserveError::Untrusted { path, why });
        return Ok(found);
    }
    for name in untraced::list(directory)? {
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let path = directory.join(name);
        if hidden || path.extension().is_none_or(|extension| extension != "tar") {
            continue;
        }
        let is = std::fs::symlink_metadata(&path)?;
        let owner = Owner { uid: is.uid(), mode: is.mode() & 0o7777 };
        match trust::objection(owner).filter(|_| trust == Trust::Checked) {
            Some(why) => seen.failures.push(ObserveError::Untrusted { path, why }),
            None if is.is_file() => found.push(Archive { path, version: version_of(&is) }),
            None => {}
        }
    }
    Ok(found)
}
