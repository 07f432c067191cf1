//! Container logs in CRI format: written and rotated by the pod process, read and followed by commands.

pub(crate) mod write;
