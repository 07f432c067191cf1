//! The one way into the store, whatever an image comes from: documents are verified before they are read,
//! a layer's digest and diff id before the layer gets its name.

use std::error::Error;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

use super::document::{self, Configuration, DOCUMENT_BYTES, Descriptor, Document, DocumentError, Manifest};
use super::store::{Rights, Session, Store, hex};
use super::unpack::{self, Limits, UnpackError};
use crate::failpoint;
use crate::model::image::StoredImage;
use crate::model::observed::Outlook;
use crate::publish::remove_tree_at;

/// An index in an index in an index is as deep as anybody goes.
const INDEX_DEPTH: usize = 3;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("cannot {operation}")]
    Store { operation: &'static str, source: io::Error },
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("{what} is not what its digest {expected} says: it is {found}")]
    Digest { what: &'static str, expected: String, found: String },
    #[error("{what} {digest} is {found} bytes long and should be {expected}")]
    Size { what: &'static str, digest: String, expected: u64, found: u64 },
    #[error("cannot unpack layer {digest}")]
    Unpack { digest: String, source: UnpackError },
    #[error("layer {digest} needs more room than the image store has: {} MiB are free", free >> 20)]
    Room { digest: String, free: u64 },
    #[error("the image has {layers} layers and names {diff_ids}")]
    Layers { layers: usize, diff_ids: usize },
    #[error(transparent)]
    Archive(#[from] super::archive::ArchiveError),
    #[error(transparent)]
    Registry(#[from] super::registry::RegistryError),
}

impl ImportError {
    pub(crate) fn outlook(&self) -> Outlook {
        if self.lacks_room() {
            return Outlook::MayPass;
        }
        match self {
            ImportError::Registry(error) => error.outlook(),
            // A disc that fails, or a blob that was cut off on its way.
            ImportError::Store { .. }
            | ImportError::Digest { .. }
            | ImportError::Size { .. }
            | ImportError::Room { .. } => Outlook::MayPass,
            ImportError::Document(_)
            | ImportError::Unpack { .. }
            | ImportError::Layers { .. }
            | ImportError::Archive(_) => Outlook::Final,
        }
    }

    /// Whatever was being done: a disc without room is no fault of the image.
    pub(crate) fn lacks_room(&self) -> bool {
        matches!(self, ImportError::Room { .. }) || is_for_room(self)
    }
}

/// Whether a disc without room is what an error comes from.
pub(super) fn is_for_room(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let full =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    causes.any(|cause| cause.downcast_ref().is_some_and(full))
}

/// Bytes that whoever is not root would have.
pub(super) fn free_space(of: impl AsFd) -> Result<u64, ImportError> {
    let is = rustix::fs::fstatvfs(of)
        .map_err(|error| failed("ask for free space in the image store")(error.into()))?;
    Ok(is.f_bavail.saturating_mul(is.f_frsize))
}

/// Where the content that a descriptor names can be read.
pub(crate) trait Blobs {
    fn open<'a>(&'a mut self, blob: &Descriptor) -> Result<Box<dyn Read + 'a>, ImportError>;
}

/// A manifest as it was written, and what it says.
pub(crate) struct FoundManifest {
    pub(crate) text: Vec<u8>,
    pub(crate) manifest: Manifest,
}

/// The manifest for this machine that `text` is, or leads to.
pub(crate) fn resolve(blobs: &mut impl Blobs, text: Vec<u8>) -> Result<FoundManifest, ImportError> {
    let mut text = text;
    for _ in 0..=INDEX_DEPTH {
        match Document::read(&text)? {
            Document::Manifest(manifest) => return Ok(FoundManifest { text, manifest }),
            Document::Index(entries) => text = read_document(blobs, document::choose(&entries)?)?,
        }
    }
    Err(DocumentError::Refused { what: "image index", why: "leads to an index again and again" }.into())
}

/// Brings configuration and layers of an image in. Those that are there already are not fetched, unless only others may have
/// them: whoever asks with these rights has to be given them as well.
pub(crate) fn import(
    store: &Store,
    session: &Session,
    blobs: &mut impl Blobs,
    found: &FoundManifest,
    rights: Rights,
) -> Result<StoredImage, ImportError> {
    let Configuration { config, diff_ids } =
        Configuration::read(&read_document(blobs, &found.manifest.config)?)?;
    if diff_ids.len() != found.manifest.layers.len() {
        return Err(ImportError::Layers { layers: found.manifest.layers.len(), diff_ids: diff_ids.len() });
    }
    for (descriptor, diff_id) in found.manifest.layers.iter().zip(&diff_ids) {
        let held = store.hold_layer(diff_id).map_err(failed("look for a layer in the image store"))?;
        let is_public = store.is_public(diff_id);
        if held.is_none() || (rights == Rights::Anybody && !is_public) {
            let blob = blobs.open(descriptor)?;
            layer(store, session, blob, descriptor, diff_id)?;
        }
        if rights == Rights::Anybody && !is_public {
            store.note_public(diff_id).map_err(failed("note who may have a layer"))?;
        }
    }
    Ok(StoredImage { digest: digest_of(&found.text), layers: diff_ids, config })
}

/// A small blob, whole and verified.
pub(crate) fn read_document(blobs: &mut impl Blobs, descriptor: &Descriptor) -> Result<Vec<u8>, ImportError> {
    if descriptor.size > DOCUMENT_BYTES {
        return Err(
            DocumentError::Refused { what: "image manifest or configuration", why: "is over 4 MiB" }.into()
        );
    }
    let mut text = Vec::new();
    blobs
        .open(descriptor)?
        .take(descriptor.size + 1)
        .read_to_end(&mut text)
        .map_err(failed("read a document of the image"))?;
    verify("a document of the image", descriptor, text.len() as u64, digest_of(&text))?;
    Ok(text)
}

pub(crate) fn digest_of(content: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(content)))
}

/// Compares what came with what was announced.
pub(crate) fn verify(
    what: &'static str,
    announced: &Descriptor,
    size: u64,
    digest: String,
) -> Result<(), ImportError> {
    if size != announced.size {
        let (digest, expected) = (announced.digest.clone(), announced.size);
        return Err(ImportError::Size { what, digest, expected, found: size });
    }
    if digest != announced.digest {
        return Err(ImportError::Digest { what, expected: announced.digest.clone(), found: digest });
    }
    Ok(())
}

pub(crate) fn failed(operation: &'static str) -> impl Fn(io::Error) -> ImportError {
    move |source| ImportError::Store { operation, source }
}

fn layer(
    store: &Store,
    session: &Session,
    blob: Box<dyn Read + '_>,
    descriptor: &Descriptor,
    diff_id: &str,
) -> Result<(), ImportError> {
    let place = session.path().join("layer");
    let root = make_place(&place).map_err(failed("make a directory in the image store"))?;
    failpoint::reach("layer directory made").map_err(failed("make a directory in the image store"))?;
    let unpacked = place.join("fs");
    let free = free_space(&root)?;
    let trash = open_directory(&place.join("trash")).map_err(failed("open the image store"))?;

    let unreadable =
        |source| ImportError::Unpack { digest: descriptor.digest.clone(), source: UnpackError::Read(source) };
    // One byte more than announced, so that too long a blob is seen to be so.
    let mut compressed = Hashing::new(blob.take(descriptor.size.saturating_add(1)));
    let mut plain = Hashing::new(unpack::decompress(&mut compressed).map_err(unreadable)?);
    let sync = root.try_clone().map_err(failed("open the image store"))?;
    unpack::unpack(&mut plain, root, trash, Limits::for_free_space(free)).map_err(|source| {
        let digest = descriptor.digest.clone();
        // Others may have taken meanwhile what was free.
        if matches!(source, UnpackError::Room) || is_for_room(&source) {
            ImportError::Room { digest, free }
        } else {
            ImportError::Unpack { digest, source }
        }
    })?;
    let (_, found) = plain.end();
    io::copy(&mut compressed, &mut io::sink()).map_err(unreadable)?;
    let (size, digest) = compressed.end();
    verify("a layer", descriptor, size, digest)?;
    if found != diff_id {
        return Err(ImportError::Digest { what: "an unpacked layer", expected: diff_id.to_owned(), found });
    }
    failpoint::reach("layer unpacked").map_err(failed("unpack a layer"))?;
    rustix::fs::syncfs(&sync).map_err(|error| failed("sync the image store")(error.into()))?;
    commit(&unpacked, &store.layer(diff_id))
        .and_then(|()| failpoint::reach("layer committed"))
        .map_err(failed("put a layer into the image store"))?;
    let session = open_directory(session.path()).map_err(failed("open the image store"))?;
    remove_tree_at(session, "layer".as_ref()).map_err(failed("clean up in the image store"))
}

/// Gives a whole layer its name. Another process may have brought the same one in: then its is as good.
fn commit(unpacked: &Path, layer: &Path) -> io::Result<()> {
    match std::fs::rename(unpacked, layer) {
        Err(error)
            if !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) =>
        {
            return Err(error);
        }
        Ok(()) | Err(_) => {}
    }
    let above = layer.parent().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::fs::fsync(open_directory(above)?)?)
}

fn make_place(place: &Path) -> io::Result<OwnedFd> {
    let private = Mode::from_raw_mode(0o700);
    rustix::fs::mkdir(place, private)?;
    rustix::fs::mkdir(place.join("trash"), private)?;
    rustix::fs::mkdir(place.join("fs"), private)?;
    let root = open_directory(&place.join("fs"))?;
    rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755))?;
    Ok(root)
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Hashes and counts what is read through it.
pub(crate) struct Hashing<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R> Hashing<R> {
    pub(crate) fn new(inner: R) -> Hashing<R> {
        Hashing { inner, hash: Sha256::new(), count: 0 }
    }

    /// How many bytes came, and their digest.
    pub(crate) fn end(self) -> (u64, String) {
        (self.count, format!("sha256:{}", hex(&self.hash.finalize())))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.hash.update(&buffer[..got]);
        self.count += got as u64;
        Ok(got)
    }
}
