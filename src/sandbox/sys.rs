//! The fence: every `unsafe` block of droppod is in here, one kernel interface a file, safe functions out.

pub(crate) mod clock;
pub(crate) mod identity;
