//! Where a container's root file system comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// An `image:` as written, understood. `Display` gives the canonical form that names it in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum ImageRef {
    /// `droppod.local/host`: the machine's own root file system below a throw-away writable layer.
    HostRoot,
    /// `registry/repository:tag` or `…@sha256:…`, with Docker's defaults filled in.
    Registry(String),
    /// The same for a pod of a folder that others can write to: asked for without this machine's credentials, and kept
    /// apart from what was brought in with them.
    Guest(String),
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

/// An archive of images as it lay on disc when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    /// Size and mtime in nanoseconds.
    pub(crate) version: (u64, i128),
}

/// What a pull process is to bring into the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum PullRequest {
    Image(ImageRef),
    /// Every image in it, under the names that it gives them.
    Archive(Archive),
}

/// Where what is brought in comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Registry,
    /// This machine's own discs.
    Disc,
}

impl PullRequest {
    pub(crate) fn origin(&self) -> Origin {
        match self {
            PullRequest::Image(image) => image.origin(),
            PullRequest::Archive(_) => Origin::Disc,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{image}` is not an image reference: {why}")]
pub(crate) struct BadImageRef {
    pub(crate) image: String,
    pub(crate) why: &'static str,
}

/// Where Docker looks for a name that names no registry.
const DEFAULT_REGISTRY: &str = "docker.io";
const HOST_ROOT: &str = "droppod.local/host";

impl ImageRef {
    pub(crate) fn origin(&self) -> Origin {
        match self {
            ImageRef::Registry(_) | ImageRef::Guest(_) => Origin::Registry,
            ImageRef::HostRoot | ImageRef::Local { .. } => Origin::Disc,
        }
    }

    /// Understands an `image:`; `base` is the directory that relative archive paths start from.
    ///
    /// # Errors
    /// What makes it no reference; the container then waits with `InvalidImageName`.
    pub(crate) fn parse(image: &str, base: &Path) -> Result<ImageRef, BadImageRef> {
        let bad = |why| BadImageRef { image: image.chars().take(300).collect(), why };
        if image.is_empty() {
            return Err(bad("it is empty"));
        }
        if image.chars().any(|c| c.is_control()) || image.trim() != image {
            return Err(bad("it has blanks around it or control characters in it"));
        }
        if image == HOST_ROOT {
            return Ok(ImageRef::HostRoot);
        }
        if image.starts_with("droppod.local/") {
            return Err(bad("droppod.local has one image, `droppod.local/host`, without a tag"));
        }
        for kind in [LocalKind::OciLayout, LocalKind::OciArchive, LocalKind::DockerArchive] {
            if let Some(rest) = image.strip_prefix(kind.prefix()) {
                return local(kind, rest, base).map_err(bad);
            }
        }
        registry(image).map(ImageRef::Registry).map_err(bad)
    }

    /// The same image, for a pod of a folder that others can write to.
    pub(crate) fn for_guest(self) -> ImageRef {
        match self {
            ImageRef::Registry(reference) => ImageRef::Guest(reference),
            ImageRef::HostRoot | ImageRef::Guest(_) | ImageRef::Local { .. } => self,
        }
    }

    /// Repository and tag as `image ls` shows them; a digest stands where there is no tag.
    pub(crate) fn repository_and_tag(&self) -> (String, String) {
        match self {
            ImageRef::HostRoot => (HOST_ROOT.to_owned(), "<none>".to_owned()),
            ImageRef::Registry(reference) | ImageRef::Guest(reference) => match reference.rsplit_once('@') {
                Some((repository, digest)) => (repository.to_owned(), digest.to_owned()),
                None => reference
                    .rsplit_once(':')
                    .map(|(repository, tag)| (repository.to_owned(), tag.to_owned()))
                    .unwrap_or_else(|| (reference.to_owned(), "<none>".to_owned())),
            },
            ImageRef::Local { kind, path, tag } => (
                format!("{}{}", kind.prefix(), path.display()),
                tag.as_deref().unwrap_or("<none>").to_owned(),
            ),
        }
    }
}

impl LocalKind {
    fn prefix(self) -> &'static str {
        match self {
            LocalKind::OciLayout => "oci:",
            LocalKind::OciArchive => "oci-archive:",
            LocalKind::DockerArchive => "docker-archive:",
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageRef::HostRoot => f.write_str(HOST_ROOT),
            ImageRef::Registry(reference) => f.write_str(reference),
            ImageRef::Guest(reference) => write!(f, "{reference} (without credentials)"),
            ImageRef::Local { kind, path, tag } => {
                write!(f, "{}{}", kind.prefix(), path.display())?;
                tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))
            }
        }
    }
}

impl fmt::Display for PullRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PullRequest::Image(image) => image.fmt(f),
            PullRequest::Archive(archive) => archive.path.display().fmt(f),
        }
    }
}

fn local(kind: LocalKind, rest: &str, base: &Path) -> Result<ImageRef, &'static str> {
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => {
            check_tag(tag)?;
            (path, Some(tag.to_owned()))
        }
        Some(_) | None => (rest, None),
    };
    if path.is_empty() {
        return Err("the path is missing");
    }
    // `components` drops `.`, so that two spellings of one path name one image.
    Ok(ImageRef::Local { kind, path: base.join(path).components().collect(), tag })
}

/// The grammar of github.com/distribution/reference, with Docker's defaults filled in.
fn registry(image: &str) -> Result<String, &'static str> {
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    // A colon before the last slash belongs to the registry's port.
    let name_starts = named.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match named[name_starts..].split_once(':') {
        Some((last, tag)) => (&named[..name_starts + last.len()], Some(tag)),
        None => (named, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if names_a_host(host) => (host, path),
        Some(_) | None => (DEFAULT_REGISTRY, name),
    };
    check_host(host)?;
    check_repository(path)?;
    let host = if host == "index.docker.io" { DEFAULT_REGISTRY } else { host };
    let official = if host == DEFAULT_REGISTRY && !path.contains('/') { "library/" } else { "" };
    if host.len() + official.len() + path.len() > 254 {
        return Err("the name is longer than 255 characters");
    }
    // As the kubelet's runtimes do: beside a digest the tag says nothing.
    match digest {
        Some(digest) => {
            check_digest(digest)?;
            Ok(format!("{host}/{official}{path}@{digest}"))
        }
        None => Ok(format!("{host}/{official}{path}:{}", tag.unwrap_or("latest"))),
    }
}

fn names_a_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(|c| c.is_ascii_uppercase())
}

fn check_host(host: &str) -> Result<(), &'static str> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (host, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return Err("the registry's port is not a number up to 65535");
    }
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let well_formed = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(|label| {
            label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
        }),
    };
    if well_formed { Ok(()) } else { Err("the registry's name is not a host name") }
}

fn check_repository(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("the repository's name is missing");
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the repository's name has upper-case letters");
    }
    if path.len() == 64 && path.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("it is a bare image id; write repository@sha256:… instead");
    }
    for component in path.split('/') {
        if component.is_empty() {
            return Err("the repository's name has an empty part");
        }
        if !component.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')) {
            return Err("the repository's name has characters other than a-z, 0-9, `.`, `_`, `-`, `/`");
        }
        if component.split(|c: char| c.is_ascii_alphanumeric()).any(|run| !separates(run))
            || component.starts_with(['.', '_', '-'])
            || component.ends_with(['.', '_', '-'])
        {
            return Err("a part of the repository's name starts, ends or is joined with a wrong separator");
        }
    }
    Ok(())
}

fn separates(run: &str) -> bool {
    matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-')
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    if tag.is_empty() {
        return Err("the tag is empty");
    }
    if tag.len() > 128 {
        return Err("the tag is longer than 128 characters");
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let well_formed =
        tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-')) && tag.bytes().next().is_some_and(word);
    if well_formed { Ok(()) } else { Err("the tag has characters other than letters, digits, `_`, `.`, `-`") }
}

fn check_digest(digest: &str) -> Result<(), &'static str> {
    let Some(hex) = digest.strip_prefix("sha256:") else {
        return Err("the digest is not of the form sha256:…");
    };
    let well_formed = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if well_formed { Ok(()) } else { Err("the digest is not 64 lower-case hexadecimal digits") }
}

#[cfg(test)]
mod tests;
