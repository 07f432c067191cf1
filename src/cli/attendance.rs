//! Whether somebody acts on what changes in a folder.

use std::path::Path;

use crate::paths::Places;
use crate::rundir::lock;

use super::tell;

/// Who holds the lock of an instance, as the holder has signed it; `None` if nobody does.
pub(crate) fn holder(places: &Places) -> Option<String> {
    // A lock that cannot be looked at (another user's) is not ours to judge: say that somebody has it.
    let held = lock::is_held(&places.lock()).unwrap_or(true);
    held.then(|| std::fs::read_to_string(places.lock()).unwrap_or_default().trim().to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    Yes,
    No,
}

/// Says on stderr if nobody watches the folder, with the command that starts somebody.
pub(crate) fn look(places: &Places, folder: &Path) -> Watched {
    if holder(places).is_some() {
        return Watched::Yes;
    }
    tell(&format!(
        "note: no watcher runs on {folder}, nothing is started or stopped until one does:\n  \
         droppod watch {folder}",
        folder = folder.display()
    ));
    Watched::No
}
