//! The image store: `<images>/refs/<file name of a reference>` holds a [`StoredReference`], `layers/<diff id>/`
//! an unpacked layer, complete and committed by rename, `manifests/<digest>` an image's manifest as it was
//! found, `preloaded/` which archives have been loaded, `public/` which layers anybody may have. A layer is stored once, whoever uses it. Everything unfinished lies below `tmp/`.
//!
//! Locks, all by flock, so that they end with their process: `lock` is held shared by whoever brings images in
//! and alone by whoever removes layers; a session's directory by its process; a layer, shared, by each pod whose
//! root it is part of.

mod preloaded;
mod rights;
mod session;
mod verify;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::inside;
use crate::failpoint;
use crate::model::image::{ImageRef, LocalKind, StoredImage};
use crate::model::time::Timestamp;
use crate::publish::{self, Durability};
pub(crate) use rights::Rights;
pub(crate) use session::Session;

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
    /// What an older binary has written down may have been brought in with any.
    #[serde(default)]
    pub(crate) rights: Rights,
}

/// What [`Store::collect`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Collected {
    /// How many layers are gone.
    Layers(usize),
    /// An image is being brought in; nothing was looked at.
    Busy,
}

impl Store {
    pub(crate) fn at(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    pub(crate) fn find(&self, image: &ImageRef) -> io::Result<Option<StoredReference>> {
        let found = self.find_named(image)?;
        let ImageRef::Guest(reference) = image else { return Ok(found) };
        if found.is_some() {
            return Ok(found);
        }
        let shared = self.find_named(&ImageRef::Registry(reference.clone()))?;
        Ok(shared.filter(|stored| stored.rights == Rights::Anybody))
    }

    fn find_named(&self, image: &ImageRef) -> io::Result<Option<StoredReference>> {
        let stored: Option<StoredReference> = publish::read_json(&self.reference(image))?;
        Ok(stored.filter(|stored| stored.reference == *image))
    }

    /// Whether the archive behind a local reference is another one than was loaded.
    pub(crate) fn is_stale(stored: &StoredReference) -> io::Result<bool> {
        match &stored.reference {
            ImageRef::HostRoot | ImageRef::Registry(_) | ImageRef::Guest(_) => Ok(false),
            // One that is gone is no other: what was loaded from it is there.
            ImageRef::Local { kind, path, .. } => {
                let present = fingerprint(*kind, path)?;
                Ok(present.is_some() && present != stored.fingerprint)
            }
        }
    }

    /// Every reference, sorted; one that cannot be read is left out, since a pull writes it anew.
    pub(crate) fn all(&self) -> io::Result<Vec<StoredReference>> {
        let mut found: Vec<StoredReference> = Vec::new();
        for name in names(&self.root.join("refs"))? {
            match publish::read_json(&self.root.join("refs").join(name)) {
                Ok(stored) => found.extend(stored),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(found)
    }

    /// Where an unpacked layer lies; `diff_id` is `sha256:…`.
    pub(crate) fn layer(&self, diff_id: &str) -> PathBuf {
        self.root.join("layers").join(diff_id.trim_start_matches("sha256:"))
    }

    /// A layer that stays as long as the handle is held; `None` if it is not in the store.
    pub(crate) fn hold_layer(&self, diff_id: &str) -> io::Result<Option<OwnedFd>> {
        let path = self.layer(diff_id);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let layer = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(layer) => layer,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        rustix::fs::flock(&layer, FlockOperation::LockShared)?;
        // Between the two steps it may have been moved out to be removed.
        let held = rustix::fs::fstat(&layer)?;
        let named = inside::look(rustix::fs::CWD, path.as_os_str())?;
        Ok(named.filter(|named| named.st_ino == held.st_ino && named.st_dev == held.st_dev).map(|_| layer))
    }

    /// Size of an image as registries count it, compressed; `None` if its manifest cannot be read.
    pub(crate) fn size(&self, image: &StoredImage) -> Option<u64> {
        let text = std::fs::read(self.manifest(&image.digest)).ok()?;
        let manifest: super::document::Manifest = serde_json::from_slice(&text).ok()?;
        manifest.layers.iter().try_fold(manifest.config.size, |sum, layer| sum.checked_add(layer.size))
    }

    /// Makes the reference stand for its image, durably.
    pub(crate) fn commit(&self, stored: &StoredReference, manifest: &[u8]) -> io::Result<()> {
        self.prepare()?;
        publish::publish(&self.manifest(&stored.image.digest), manifest, 0o600, Durability::Durable)?;
        failpoint::reach("manifest committed")?;
        publish::publish_json(&self.reference(&stored.reference), stored, Durability::Durable)?;
        failpoint::reach("reference committed")
    }

    /// Forgets a reference; says whether there was one. Its layers stay until [`Store::collect`].
    pub(crate) fn remove(&self, image: &ImageRef) -> io::Result<bool> {
        let known = self.find(image)?.is_some();
        publish::remove(&self.reference(image))?;
        Ok(known)
    }

    /// Removes layers and manifests that no reference names and no pod uses.
    pub(crate) fn collect(&self) -> io::Result<Collected> {
        self.prepare()?;
        let lock = self.lock_file()?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Collected::Busy),
            Err(error) => return Err(error.into()),
        }
        let known = self.all()?;
        let layers: BTreeSet<PathBuf> =
            known.iter().flat_map(|stored| &stored.image.layers).map(|layer| self.layer(layer)).collect();
        let manifests: BTreeSet<PathBuf> =
            known.iter().map(|stored| self.manifest(&stored.image.digest)).collect();
        let session = Session::below(&self.root.join("tmp"))?;
        self.remove_drafts()?;
        failpoint::reach("layers marked")?;
        let mut removed = 0;
        for name in names(&self.root.join("layers"))? {
            let path = self.root.join("layers").join(&name);
            if !layers.contains(&path) && session.take(&path)? {
                removed += 1;
            }
        }
        for name in names(&self.root.join("manifests"))? {
            let path = self.root.join("manifests").join(name);
            if !manifests.contains(&path) {
                publish::remove(&path)?;
            }
        }
        self.forget_public()?;
        self.forget_preloads()?;
        for name in names(&self.root.join("locks"))? {
            publish::remove(&self.root.join("locks").join(name))?;
        }
        session.end()?;
        Ok(Collected::Layers(removed))
    }

    /// Whether anybody brings images in, or was killed at it.
    pub(crate) fn has_sessions(&self) -> bool {
        std::fs::read_dir(self.root.join("tmp")).is_ok_and(|mut sessions| sessions.next().is_some())
    }

    /// Removes what those that were killed have left of their work.
    pub(crate) fn sweep(&self) -> io::Result<()> {
        session::sweep(&self.root.join("tmp"))
    }

    /// A place to bring an image in; until it ends no layer is removed.
    pub(crate) fn session(&self) -> io::Result<Session> {
        self.prepare()?;
        let lock = self.lock_file()?;
        rustix::fs::flock(&lock, FlockOperation::LockShared)?;
        self.remove_drafts()?;
        Ok(Session::below(&self.root.join("tmp"))?.holding(lock))
    }

    /// Waits until no other process brings in the same reference; that ends when the handle is dropped.
    pub(crate) fn lock_reference(&self, image: &ImageRef) -> io::Result<File> {
        let lock = open_lock(&self.root.join("locks").join(file_name(image)))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    }

    fn reference(&self, image: &ImageRef) -> PathBuf {
        self.root.join("refs").join(file_name(image))
    }

    fn manifest(&self, digest: &str) -> PathBuf {
        self.root.join("manifests").join(digest.trim_start_matches("sha256:"))
    }

    fn lock_file(&self) -> io::Result<File> {
        open_lock(&self.root.join("lock"))
    }

    /// What processes that were killed had not finished writing.
    fn remove_drafts(&self) -> io::Result<()> {
        let places = ["refs", "manifests", "preloaded"];
        places.iter().try_for_each(|place| publish::remove_abandoned(&self.root.join(place)))
    }

    fn prepare(&self) -> io::Result<()> {
        for place in ["refs", "layers", "public", "manifests", "preloaded", "locks", "tmp"] {
            // An image's setuid programs must be out of reach of the machine's users.
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(self.root.join(place))?;
        }
        Ok(())
    }
}

/// A file name that stands for a reference, here and in `rundir::pulls`.
pub(crate) fn file_name(image: &ImageRef) -> String {
    file_name_of(&image.to_string())
}

fn file_name_of(name: &str) -> String {
    let readable: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' })
        .take(120)
        .collect();
    let hash = hex(&Sha256::digest(name.as_bytes()));
    // Hidden files are skipped by those who list directories.
    format!("{}-{}", readable.trim_start_matches('.'), &hash[..32])
}

/// Of an image on this machine's own discs, as it is now; `None` of others, and of one that is not there.
pub(crate) fn version(image: &ImageRef) -> Option<(u64, i128)> {
    match image {
        ImageRef::HostRoot | ImageRef::Registry(_) | ImageRef::Guest(_) => None,
        ImageRef::Local { kind, path, .. } => fingerprint(*kind, path).ok().flatten(),
    }
}

/// What tells one version of a local image from another without reading it.
pub(crate) fn fingerprint(kind: LocalKind, path: &Path) -> io::Result<Option<(u64, i128)>> {
    let is = match kind {
        LocalKind::OciLayout => std::fs::metadata(path.join("index.json")),
        LocalKind::OciArchive | LocalKind::DockerArchive => std::fs::metadata(path),
    };
    match is {
        Ok(is) => Ok(Some(version_of(&is))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Size and mtime in nanoseconds.
pub(crate) fn version_of(is: &std::fs::Metadata) -> (u64, i128) {
    (is.len(), i128::from(is.mtime()) * 1_000_000_000 + i128::from(is.mtime_nsec()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn open_lock(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?.into())
}

/// Names in a directory, without hidden ones; none if there is no such directory.
fn names(directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags, Mode::empty()) {
        Ok(directory) => {
            let hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
            Ok(publish::names(directory)?.into_iter().filter(|name| !hidden(name)).collect())
        }
        Err(Errno::NOENT) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
