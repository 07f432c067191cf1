//! What processes leave for each other: goals, records, locks, leases, objects, and the words of the control
//! socket. Everything here can be read while nothing runs.

pub(crate) mod control;
pub(crate) mod deletions;
pub(crate) mod drafts;
pub(crate) mod exits;
pub(crate) mod goal;
pub(crate) mod hidden;
pub(crate) mod last_words;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod network;
pub(crate) mod objects;
pub(crate) mod pods;
pub(crate) mod pulls;
pub(crate) mod reread;
pub(crate) mod starts;
pub(crate) mod terminal;
pub(crate) mod watcher;
