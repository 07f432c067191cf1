//! What a look at a folder tells.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::model::time::Moment;

use super::scan::Beside;

#[derive(Debug)]
pub(crate) enum Look {
    /// Nothing can be said of its files, so nothing that came from them is touched.
    Lost(String),
    /// Others can write to it, so nothing in it counts.
    Refused(String),
    Seen(Box<News>),
}

#[derive(Debug, Default)]
pub(crate) struct News {
    /// Every manifest that is there, of those of which something is to be told.
    pub(crate) present: BTreeSet<PathBuf>,
    /// The only ones of which something is to be told, if that is not all.
    pub(crate) part: Option<BTreeSet<PathBuf>>,
    /// Those whose content may have changed, with the content.
    pub(crate) read: BTreeMap<PathBuf, Vec<u8>>,
    /// Those that are not read, and why.
    pub(crate) odd: BTreeMap<PathBuf, String>,
    /// Those that were seen going from the folder, which is still the same.
    pub(crate) went: BTreeSet<PathBuf>,
    /// Those that somebody is writing to.
    pub(crate) settling: BTreeSet<PathBuf>,
    /// How status files lie beside them, if all of the folder was looked at.
    pub(crate) beside: Option<Beside>,
    /// Why it could not be written down which directory the folder is: until it is, its loss could not be told
    /// from the deletion of its files, so nothing may be taken from it.
    pub(crate) unremembered: Option<String>,
    /// Until then nothing may be ended on account of an edit; absent for a quiet folder.
    pub(crate) restless_until: Option<Moment>,
    pub(crate) again_at: Option<Moment>,
}
