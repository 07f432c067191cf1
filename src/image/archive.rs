//! Images that lie on this machine: OCI layouts, as a directory or in a tar, and what `docker save` writes.

mod source;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::document::{Descriptor, Document, Manifest};
use super::import::{self, ImportError};
use super::store::{Rights, Session, Store, StoredReference, fingerprint};
use crate::model::image::{ImageRef, LocalKind, StoredImage};
use crate::model::time::Timestamp;
use source::Source;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("cannot open {path}")]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {path} as a tar archive")]
    Tar { path: PathBuf, source: super::unpack::UnpackError },
    #[error("{path} holds no {missing}")]
    Missing { path: PathBuf, missing: String },
    #[error("{path} holds a {document} that cannot be understood")]
    Json { path: PathBuf, document: &'static str, source: serde_json::Error },
    #[error("{path} holds several images: add the tag of one, {tags}")]
    Ambiguous { path: PathBuf, tags: String },
    #[error("{path} names no image in it, so it cannot be loaded; use it as `{kind}:{path}` in a manifest")]
    Nameless { path: PathBuf, kind: &'static str },
}

/// An image in an archive: its names, and its manifest or what leads to it.
struct Candidate {
    /// Full references, or bare tags.
    names: Vec<String>,
    manifest: Vec<u8>,
}

/// One line of what `docker save` calls `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Brings in the image that a local reference names.
pub(crate) fn bring(
    store: &Store,
    session: &Session,
    kind: LocalKind,
    path: &Path,
    tag: Option<&str>,
) -> Result<(StoredImage, Vec<u8>), ImportError> {
    let mut source = Source::open(path, session)?;
    let candidates = match kind {
        LocalKind::OciLayout | LocalKind::OciArchive => laid_out(&mut source)?,
        LocalKind::DockerArchive => saved(&mut source)?,
    };
    let chosen = choose(path, candidates, tag)?;
    let found = import::resolve(&mut source, chosen.manifest)?;
    Ok((import::import(store, session, &mut source, &found, Rights::Anybody)?, found.text))
}

/// Brings in every named image of an archive or layout under its own names, for `image load` and preloading.
pub(crate) fn load(store: &Store, path: &Path, now: Timestamp) -> Result<Vec<ImageRef>, ImportError> {
    let session = store.session().map_err(import::failed("open the image store"))?;
    let mut source = Source::open(path, &session)?;
    let is_layout = source.has("index.json");
    let mut candidates = if is_layout { laid_out(&mut source)? } else { saved(&mut source)? };
    let full = |candidate: &Candidate| candidate.names.iter().any(|name| reference(name).is_some());
    if is_layout && !candidates.iter().any(full) && source.has("manifest.json") {
        candidates = saved(&mut source)?;
    }
    let mut loaded = Vec::new();
    for Candidate { names, manifest } in candidates {
        let references: Vec<ImageRef> = names.iter().filter_map(|name| reference(name)).collect();
        if references.is_empty() {
            continue;
        }
        let found = import::resolve(&mut source, manifest)?;
        let image = import::import(store, &session, &mut source, &found, Rights::Anybody)?;
        for reference in references {
            let stored = StoredReference {
                reference,
                image: image.clone(),
                resolved_at: now,
                fingerprint: None,
                rights: Rights::Anybody,
            };
            store.commit(&stored, &found.text).map_err(import::failed("commit an image"))?;
            loaded.push(stored.reference);
        }
    }
    session.end().map_err(import::failed("clean up in the image store"))?;
    if loaded.is_empty() {
        let kind = if is_layout { "oci-archive" } else { "docker-archive" };
        return Err(ArchiveError::Nameless { path: path.to_owned(), kind }.into());
    }
    Ok(loaded)
}

/// What tells whether the file behind a local reference has changed since.
pub(crate) fn version(kind: LocalKind, path: &Path) -> Result<Option<(u64, i128)>, ArchiveError> {
    fingerprint(kind, path).map_err(|source| ArchiveError::Open { path: path.to_owned(), source })
}

/// A name that an archive gives its image, if it is a whole reference and not a tag alone.
fn reference(name: &str) -> Option<ImageRef> {
    if !name.contains([':', '/']) {
        return None;
    }
    match ImageRef::parse(name, Path::new("/")) {
        Ok(reference @ ImageRef::Registry(_)) => Some(reference),
        Ok(ImageRef::HostRoot | ImageRef::Guest(_) | ImageRef::Local { .. }) | Err(_) => None,
    }
}

fn choose(path: &Path, candidates: Vec<Candidate>, tag: Option<&str>) -> Result<Candidate, ArchiveError> {
    let path = || path.to_owned();
    let Some(tag) = tag else {
        let tags: Vec<&str> =
            candidates.iter().flat_map(|candidate| &candidate.names).map(|name| tag_of(name)).collect();
        let tags = tags.join(", ");
        let mut candidates = candidates.into_iter();
        return match (candidates.next(), candidates.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(ArchiveError::Ambiguous { path: path(), tags }),
            (None, _) => Err(ArchiveError::Missing { path: path(), missing: "image".to_owned() }),
        };
    };
    let fits = |candidate: &Candidate| candidate.names.iter().any(|name| tag_of(name) == tag);
    candidates
        .into_iter()
        .find(fits)
        .ok_or_else(|| ArchiveError::Missing { path: path(), missing: format!("image with the tag `{tag}`") })
}

fn tag_of(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => tag,
        Some(_) | None => name,
    }
}

/// The images that a layout's `index.json` lists.
fn laid_out(source: &mut Source) -> Result<Vec<Candidate>, ImportError> {
    let index = source.document("index.json")?;
    let entries = match Document::read(&index)? {
        Document::Index(entries) => entries,
        Document::Manifest(_) => Vec::new(),
    };
    let mut candidates = Vec::new();
    for descriptor in &entries {
        let names: Vec<String> = ["io.containerd.image.name", "org.opencontainers.image.ref.name"]
            .iter()
            .filter_map(|key| descriptor.annotation(key))
            .map(str::to_owned)
            .collect();
        candidates.push(Candidate { names, manifest: import::read_document(source, descriptor)? });
    }
    // Entries for several platforms and without names are one image.
    if candidates.len() > 1
        && candidates.iter().all(|candidate| candidate.names.is_empty())
        && entries.iter().all(|entry| entry.platform.is_some())
    {
        return Ok(vec![Candidate { names: Vec::new(), manifest: index }]);
    }
    Ok(candidates)
}

/// The images of a `docker save` archive, each with the manifest that Docker leaves out.
fn saved(source: &mut Source) -> Result<Vec<Candidate>, ImportError> {
    let text = source.document("manifest.json")?;
    let list: Vec<Saved> = serde_json::from_slice(&text).map_err(|error| ArchiveError::Json {
        path: source.path().to_owned(),
        document: "manifest.json",
        source: error,
    })?;
    let mut candidates = Vec::new();
    for saved in list {
        let config = source.describe(&saved.config)?;
        let layers = saved
            .layers
            .iter()
            .map(|layer| source.describe(layer))
            .collect::<Result<Vec<Descriptor>, _>>()?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            config: Descriptor {
                media_type: "application/vnd.oci.image.config.v1+json".to_owned(),
                ..config
            },
            layers,
        };
        let manifest = serde_json::to_vec(&manifest).map_err(|error| ArchiveError::Json {
            path: source.path().to_owned(),
            document: "manifest.json",
            source: error,
        })?;
        candidates.push(Candidate { names: saved.repo_tags.unwrap_or_default(), manifest });
    }
    Ok(candidates)
}

impl Source {
    /// Describes a file of a `docker save` archive by its content, so that it can be asked for by digest.
    fn describe(&mut self, name: &str) -> Result<Descriptor, ImportError> {
        let (size, digest) = self.hash(name)?;
        self.name_digest(digest.clone(), name);
        Ok(Descriptor {
            media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
            digest,
            size,
            annotations: None,
            platform: None,
        })
    }
}

#[cfg(test)]
mod tests;
