//! Container logs in CRI format: written and rotated by the pod process, read and followed by commands.

mod arrivals;
pub(crate) mod bell;
pub(crate) mod budget;
pub(crate) mod follow;
pub(crate) mod line;
pub(crate) mod read;
pub(crate) mod reader;
pub(crate) mod write;
