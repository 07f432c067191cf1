//! The ground a pod stands on: namespaces, network, cgroup, and the kernel interfaces below them.

pub(crate) mod beside;
pub(crate) mod capability;
pub(crate) mod census;
pub(crate) mod cgroup;
mod failure;
pub(crate) mod heat;
pub(crate) mod host;
pub(crate) mod host_devices;
pub(crate) mod instance;
pub(crate) mod leftover;
pub(crate) mod mounts;
pub(crate) mod namespace;
mod netlink;
pub(crate) mod network;
pub(crate) mod oom;
pub(crate) mod spawn;
pub(crate) mod sys;
