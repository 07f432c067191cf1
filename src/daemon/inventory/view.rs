//! What is known of a folder as a whole.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::model::id::Uid;
use crate::model::time::Moment;

use super::prune::Held;

/// What the last look at a folder told of it as a whole.
#[derive(Debug, Default)]
pub(crate) struct FolderView {
    pub(crate) state: FolderState,
    pub(super) restless_until: Option<Moment>,
    /// Files of objects in force that were seen going: their removal is nobody's accident.
    pub(super) went: BTreeSet<PathBuf>,
    pub(super) unremembered: Option<String>,
    pub(super) held: Option<Held>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum FolderState {
    #[default]
    Unseen,
    Seen,
    Lost(String),
    Refused(String),
}

impl FolderView {
    pub(crate) fn is_restless(&self, now: Moment) -> bool {
        self.restless_until.is_some_and(|until| now < until)
    }

    /// Objects whose removal waits for a second look.
    pub(crate) fn held(&self) -> Option<&BTreeSet<Uid>> {
        self.held.as_ref().map(|held| &held.objects)
    }
}
