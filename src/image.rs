//! Images: registries and archives in, verified layers in the store, root file systems out.

pub(crate) mod pull;
pub(crate) mod rootfs;
pub(crate) mod store;
