//! Where a container's root file system comes from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An `image:` as written, understood. `Display` gives the canonical form that names it in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum ImageRef {
    /// `droppod.local/host`: the machine's own root file system below a throw-away writable layer.
    HostRoot,
    /// `registry/repository:tag` or `…@sha256:…`, with Docker's defaults filled in.
    Registry(String),
    /// `oci:`, `oci-archive:` or `docker-archive:`, the path absolute.
    Local { kind: LocalKind, path: PathBuf, tag: Option<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum LocalKind {
    OciLayout,
    OciArchive,
    DockerArchive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

/// What of an image's configuration a container is made from (OCI image-spec, config.md).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageConfig {
    /// `NAME=value`, in the image's order.
    pub(crate) env: Vec<String>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    /// `user[:group]`, by name or number, empty for root.
    pub(crate) user: String,
    pub(crate) working_dir: String,
    pub(crate) stop_signal: Option<String>,
}

/// An image that is in the store, complete and verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredImage {
    /// `sha256:…` of the image manifest; what `imageID` shows.
    pub(crate) digest: String,
    /// Diff ids (`sha256:…`), the base layer first.
    pub(crate) layers: Vec<String>,
    pub(crate) config: ImageConfig,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{image}` is not an image reference: {why}")]
pub(crate) struct BadImageRef {
    pub(crate) image: String,
    pub(crate) why: &'static str,
}

impl ImageRef {
    /// Understands an `image:`; `base` is the directory that relative archive paths start from.
    ///
    /// # Errors
    /// What makes it no reference; the container then waits with `InvalidImageName`.
    pub(crate) fn parse(image: &str, base: &std::path::Path) -> Result<ImageRef, BadImageRef> {
        let bad = |why| BadImageRef { image: image.to_owned(), why };
        let local = [
            ("oci-archive:", LocalKind::OciArchive),
            ("docker-archive:", LocalKind::DockerArchive),
            ("oci:", LocalKind::OciLayout),
        ];
        if image == "droppod.local/host" {
            return Ok(ImageRef::HostRoot);
        }
        for (prefix, kind) in local {
            if let Some(rest) = image.strip_prefix(prefix) {
                let (path, tag) = match rest.rsplit_once(':') {
                    Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
                    _ => (rest, None),
                };
                if path.is_empty() {
                    return Err(bad("the path is missing"));
                }
                return Ok(ImageRef::Local { kind, path: base.join(path), tag });
            }
        }
        if image.is_empty() {
            return Err(bad("it is empty"));
        }
        Ok(ImageRef::Registry(image.to_owned()))
    }
}
