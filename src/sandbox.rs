//! The ground a pod stands on: namespaces, network, cgroup, and the kernel interfaces below them.

pub(crate) mod cgroup;
pub(crate) mod instance;
pub(crate) mod namespace;
pub(crate) mod network;
pub(crate) mod spawn;
pub(crate) mod sys;
