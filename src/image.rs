//! Images: registries and archives in, verified layers in the store, root file systems out.

pub(crate) mod access;
pub(crate) mod archive;
pub(crate) mod document;
pub(crate) mod import;
pub(crate) mod inside;
pub(crate) mod keyring;
pub(crate) mod passwd;
pub(crate) mod pull;
pub(crate) mod registry;
pub(crate) mod rootfs;
pub(crate) mod store;
pub(crate) mod unpack;

#[cfg(test)]
mod tests;
