//! Brings one image into the store, from a registry, an archive or a layout. Runs in a process of its own.

use std::error::Error;

use super::access::Access;
use super::archive;
use super::import::{self, ImportError, failed};
use super::registry::{RegistryError, Repository};
use super::store::{Rights, Session, Store, StoredReference};
use crate::failpoint;
use crate::model::image::{ImageRef, StoredImage};
use crate::model::observed::Outlook;
use crate::model::time::Timestamp;

/// Why an image could not be had, in words for the manifest's author.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct PullFailure {
    pub(crate) message: String,
    pub(crate) outlook: Outlook,
}

impl<E: Error> From<E> for PullFailure
where
    ImportError: From<E>,
{
    fn from(error: E) -> PullFailure {
        let error = ImportError::from(error);
        let outlook = error.outlook();
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            message = format!("{message}: {deeper}");
            cause = deeper.source();
        }
        PullFailure { message, outlook }
    }
}

/// Makes `image` present in the store, resolving its tag anew; `now` becomes the time of that. Blocks; at its
/// end the image is committed and synced.
pub(crate) fn pull(
    store: &Store,
    image: &ImageRef,
    access: &Access,
    now: Timestamp,
) -> Result<StoredImage, PullFailure> {
    let session = store.session().map_err(failed("open the image store"))?;
    let lock = store.lock_reference(image).map_err(failed("lock the image reference"))?;
    let stored = bring(store, &session, image, access, now)?;
    drop(lock);
    session.end().map_err(failed("clean up in the image store"))?;
    Ok(stored.image)
}

fn bring(
    store: &Store,
    session: &Session,
    image: &ImageRef,
    access: &Access,
    now: Timestamp,
) -> Result<StoredReference, PullFailure> {
    let (brought, manifest, fingerprint, rights) = match image {
        ImageRef::HostRoot => {
            return Err(PullFailure {
                message: format!("{image} is this machine's own root: there is nothing to pull"),
                outlook: Outlook::Final,
            });
        }
        ImageRef::Registry(reference) => {
            let (brought, manifest, rights) = fetch(store, session, reference, access)?;
            (brought, manifest, None, rights)
        }
        ImageRef::Guest(reference) => {
            let (brought, manifest, rights) = fetch(store, session, reference, &access.of_guests())?;
            (brought, manifest, None, rights)
        }
        ImageRef::Local { kind, path, tag } => {
            // Taken before the archive is read: one that changes meanwhile is seen as another afterwards.
            let version = archive::version(*kind, path)?;
            let (brought, manifest) = archive::bring(store, session, *kind, path, tag.as_deref())?;
            (brought, manifest, version, Rights::Anybody)
        }
    };
    let stored =
        StoredReference { reference: image.clone(), image: brought, resolved_at: now, fingerprint, rights };
    store.commit(&stored, &manifest).map_err(failed("commit the image"))?;
    Ok(stored)
}

fn fetch(
    store: &Store,
    session: &Session,
    reference: &str,
    access: &Access,
) -> Result<(StoredImage, Vec<u8>, Rights), ImportError> {
    let (mut repository, found) = admitted(Repository::all(reference, access, session)?)?;
    let found = import::resolve(&mut repository, found)?;
    failpoint::reach("manifest resolved").map_err(import::failed("resolve the image"))?;
    let rights = repository.rights();
    let brought = import::import(store, session, &mut repository, &found, rights)?;
    Ok((brought, found.text, rights))
}

/// The first that is let in, with what it is given; what the last is told counts, if none is.
fn admitted(all: Vec<Repository<'_>>) -> Result<(Repository<'_>, Vec<u8>), RegistryError> {
    let last = all.len().saturating_sub(1);
    for (at, repository) in all.into_iter().enumerate() {
        match repository.manifest() {
            Err(RegistryError::Denied { .. } | RegistryError::NoToken { .. }) if at < last => {}
            told => return told.map(|text| (repository, text)),
        }
    }
    Err(RegistryError::SetUp("there is nobody to ask as".to_owned()))
}

#[cfg(test)]
mod tests;
