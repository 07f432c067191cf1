//! What processes that were killed had not finished writing, wherever records of an instance lie.

use std::io;

use crate::paths::Places;
use crate::publish::remove_abandoned;

use super::pods;

/// Removes it. For whoever has taken the instance over from them.
///
/// # Errors
/// The first; the rest is removed nevertheless.
pub(crate) fn remove(places: &Places) -> io::Result<()> {
    let shared = [&places.run, &places.state, &places.starts(), &places.pulls(), &places.folders()];
    let mut removed = Ok(());
    for directory in shared {
        removed = removed.and(remove_abandoned(directory));
    }
    for uid in pods::list(places)? {
        removed = removed.and(remove_abandoned(&places.pod(&uid).0));
    }
    removed
}
