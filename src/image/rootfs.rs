//! A container's root: an overlay of the image's layers below a throw-away writable layer, mounted in the calling
//! process's mount namespace, with `dev proc sys etc run tmp` guaranteed to be real directories.

use std::path::Path;

use super::store::Store;
use crate::model::pod_plan::ContainerPlan;
use crate::paths::Places;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RootfsError {
    #[error("cannot {operation} for the root file system of container {container}")]
    Io { operation: &'static str, container: String, source: std::io::Error },
    #[error("container {container}: the image is not in the store")]
    NoImage { container: String },
}

/// Mounts the root of `container` at `target`. `scratch` is a directory for the writable layer: on disc for
/// images, on tmpfs for the host's own root (an upper layer cannot lie inside its lower one).
pub(crate) fn mount(
    store: &Store,
    container: &ContainerPlan,
    places: &Places,
    scratch: &Path,
    target: &Path,
) -> Result<(), RootfsError> {
    let _ = (store, container, places, scratch, target);
    unimplemented!()
}

/// A numeric user, primary group and further groups, from `/etc/passwd` and `/etc/group` inside a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("there is no user `{0}` in the image")]
    NoUser(String),
    #[error("there is no group `{0}` in the image")]
    NoGroup(String),
    #[error("the container must not run as root, but its user is root")]
    IsRoot,
    #[error("cannot read accounts of the image")]
    Read(#[from] std::io::Error),
}

/// Who the container runs as, looked up inside the mounted root, through no symlink that leaves it.
pub(crate) fn account(root: &Path, container: &ContainerPlan) -> Result<Account, AccountError> {
    let _ = (root, container);
    unimplemented!()
}
