//! The ground a pod stands on: namespaces, network, cgroup, and the kernel interfaces below them.

pub(crate) mod sys;
