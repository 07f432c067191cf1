//! A removal of most of a folder is more often an accident than a wish: it is held until a second look agrees.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::id::Uid;
use crate::model::time::Moment;

/// Between the two looks that must agree.
pub(crate) const SECOND_LOOK: Duration = Duration::from_secs(5);
/// Removals of up to this many objects are never held.
const FEW: usize = 3;

/// A removal that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) objects: BTreeSet<Uid>,
    pub(crate) since: Moment,
}

/// Whether `removed`, of `all` objects of a folder, may go; else what is held in place of `before`.
pub(crate) fn decide(
    removed: &BTreeSet<Uid>,
    all: usize,
    before: Option<&Held>,
    now: Moment,
) -> Result<(), Held> {
    if removed.len() <= FEW || removed.len() * 2 <= all {
        return Ok(());
    }
    match before {
        Some(held) if held.objects == *removed => {
            if now - held.since >= SECOND_LOOK {
                Ok(())
            } else {
                Err(held.clone())
            }
        }
        Some(_) | None => Err(Held { objects: removed.clone(), since: now }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(count: u8) -> BTreeSet<Uid> {
        (0..count).map(|byte| Uid::from_random([byte; 16])).collect()
    }

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn few_objects_or_half_of_them_go_at_once() {
        assert_eq!(decide(&uids(3), 3, None, at(0)), Ok(()));
        assert_eq!(decide(&uids(5), 10, None, at(0)), Ok(()));
        assert_eq!(decide(&uids(0), 0, None, at(0)), Ok(()));
    }

    #[test]
    fn most_of_a_folder_goes_when_a_second_look_agrees() {
        let held = decide(&uids(4), 4, None, at(0)).unwrap_err();
        assert_eq!(decide(&uids(4), 4, Some(&held), at(4)), Err(held.clone()));
        assert_eq!(decide(&uids(4), 4, Some(&held), at(5)), Ok(()));
    }

    #[test]
    fn a_second_look_that_differs_starts_the_wait_again() {
        let held = decide(&uids(4), 6, None, at(0)).unwrap_err();
        let again = decide(&uids(5), 6, Some(&held), at(6)).unwrap_err();
        assert_eq!(again.since, at(6));
    }
}
