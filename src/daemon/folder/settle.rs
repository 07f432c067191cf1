//! When a file may be read, and when what an edit would end may be ended.
//!
//! ```text
//! made or written to ──▶ writing ──close, rename onto it, 30 s──▶ may be read
//! any change in the folder ──▶ restless ──150 ms without another, at most 30 s──▶ quiet
//! ```
//!
//! Whether anybody has a file open for writing is asked of the kernel; where it does not say, events tell. Where no
//! events come, a file may be read when a later look finds it unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::time::Moment;
use crate::sandbox::sys::writers::Writers;

/// How long a folder must be left alone before an edit may end anything.
pub(crate) const QUIET: Duration = Duration::from_millis(150);
/// Longest wait for a writer to close its file, and for a folder to come to rest.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between the two looks that must find a file equal where no events come.
pub(crate) const SECOND_LOOK: Duration = Duration::from_secs(1);

/// What an event says about a file. Losing one only costs time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Made, or written to, by somebody who may go on.
    Writing(PathBuf),
    Closed(PathBuf),
    /// Renamed to this name, so whole.
    Arrived(PathBuf),
    /// A manifest was deleted or renamed away, by itself: not with the directory it was in.
    Went(PathBuf),
    /// Something was made, changed or taken away at this name, which may be a directory's.
    Touched(PathBuf),
    /// What is in a directory, or counts in it, may have changed.
    Other,
    /// Events were lost.
    Overflow,
}

/// Whether a hint is worth a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heed {
    Look,
    /// More of what is known: the look that is due anyway will do.
    Wait,
}

/// How changes of a folder become known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    Events,
    Polling,
}

#[derive(Debug)]
pub(crate) struct Settling {
    sight: Sight,
    hints: Hints,
    writing: BTreeMap<PathBuf, Moment>,
    went: BTreeSet<PathBuf>,
    restless: Option<Restless>,
}

/// Where events have told to look since the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hints {
    Everywhere,
    At(BTreeSet<PathBuf>),
}

#[derive(Debug, Clone, Copy)]
struct Restless {
    since: Moment,
    last: Moment,
}

impl Settling {
    pub(crate) fn new(sight: Sight) -> Settling {
        Settling {
            sight,
            hints: Hints::Everywhere,
            writing: BTreeMap::new(),
            went: BTreeSet::new(),
            restless: None,
        }
    }

    /// Events begin or cease to come.
    pub(crate) fn see_by(&mut self, sight: Sight) {
        if sight != self.sight {
            // What changed before was told by nobody.
            self.hints = Hints::Everywhere;
        }
        self.sight = sight;
    }

    /// Where to look: with no events, everywhere.
    pub(crate) fn take_hints(&mut self) -> Hints {
        match self.sight {
            Sight::Events => std::mem::replace(&mut self.hints, Hints::At(BTreeSet::new())),
            Sight::Polling => Hints::Everywhere,
        }
    }

    pub(crate) fn look_everywhere(&mut self) {
        self.hints = Hints::Everywhere;
    }

    fn hint(&mut self, path: &Path) {
        match &mut self.hints {
            Hints::Everywhere => {}
            Hints::At(paths) => drop(paths.insert(path.to_owned())),
        }
    }

    pub(crate) fn hear(&mut self, hint: Hint, now: Moment) -> Heed {
        self.stirred(now);
        match hint {
            Hint::Writing(path) => {
                self.hint(&path);
                let known = self.writing.contains_key(&path);
                self.writing.entry(path).or_insert(now);
                if known { Heed::Wait } else { Heed::Look }
            }
            Hint::Closed(path) | Hint::Arrived(path) => {
                self.hint(&path);
                self.writing.remove(&path);
                Heed::Look
            }
            Hint::Went(path) => {
                self.hint(&path);
                self.writing.remove(&path);
                self.went.insert(path);
                Heed::Look
            }
            Hint::Touched(path) => {
                self.hint(&path);
                Heed::Look
            }
            Hint::Other => {
                self.look_everywhere();
                Heed::Look
            }
            Hint::Overflow => {
                self.look_everywhere();
                // The close of any of them may be among what was lost.
                self.writing.clear();
                Heed::Look
            }
        }
    }

    /// Something in the folder has changed.
    pub(crate) fn stirred(&mut self, now: Moment) {
        let since = match self.restless {
            Some(known) if now - known.last < QUIET => known.since,
            Some(_) | None => now,
        };
        self.restless = Some(Restless { since, last: now });
    }

    /// A file that was found to differ at `first_seen`: readable, or when to look again. `linked` files came
    /// into being whole.
    pub(crate) fn may_read(
        &mut self,
        path: &Path,
        first_seen: Moment,
        linked: Linked,
        writers: Writers,
        now: Moment,
    ) -> Result<(), Moment> {
        let due = match (writers, self.sight, linked) {
            (Writers::Somebody, _, _) => {
                let since = *self.writing.entry(path.to_owned()).or_insert(now);
                // An event tells of the close, if it is not lost.
                if now < since + PATIENCE {
                    return Err((now + SECOND_LOOK).min(since + PATIENCE));
                }
                None
            }
            (Writers::Nobody, Sight::Events, _) => None,
            (Writers::Unknown, Sight::Events, Linked::No) => {
                self.writing.get(path).map(|since| *since + PATIENCE)
            }
            // Those that write by way of another machine are counted there.
            (Writers::Nobody | Writers::Unknown, Sight::Polling, Linked::No) => {
                Some(first_seen + SECOND_LOOK)
            }
            (Writers::Nobody, Sight::Polling, Linked::Yes)
            | (Writers::Unknown, Sight::Events | Sight::Polling, Linked::Yes) => None,
        };
        match due {
            Some(due) if now < due => Err(due),
            Some(_) | None => {
                self.writing.remove(path);
                Ok(())
            }
        }
    }

    /// Whether the folder has come to rest, or when it will have if nothing else happens. Patience that has come to its
    /// end begins anew: a storm of edits ends what runs once in a while, not with each of them.
    pub(crate) fn quiet(&mut self, now: Moment) -> Result<(), Moment> {
        let Some(Restless { since, last }) = self.restless else { return Ok(()) };
        let (rested, spent) = (last + QUIET, since + PATIENCE);
        if now < rested.min(spent) {
            return Err(rested.min(spent));
        }
        if now < rested {
            self.restless = Some(Restless { since: now, last });
        }
        Ok(())
    }

    /// Files that were seen going since this was asked last.
    pub(crate) fn take_went(&mut self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.went)
    }

    /// Forgets writers of files that are not there.
    pub(crate) fn keep_only(&mut self, mut is_there: impl FnMut(&Path) -> bool) {
        self.writing.retain(|path, _| is_there(path));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linked {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    fn web() -> PathBuf {
        PathBuf::from("web.yaml")
    }

    #[test]
    fn a_renamed_file_is_read_at_once_and_a_written_one_after_its_close() {
        let mut settling = Settling::new(Sight::Events);
        assert_eq!(settling.hear(Hint::Arrived(web()), at(0)), Heed::Look);
        assert_eq!(settling.may_read(&web(), at(0), Linked::No, Writers::Unknown, at(0)), Ok(()));

        assert_eq!(settling.hear(Hint::Writing(web()), at(10)), Heed::Look);
        assert_eq!(settling.hear(Hint::Writing(web()), at(20)), Heed::Wait);
        assert_eq!(settling.may_read(&web(), at(10), Linked::No, Writers::Unknown, at(25)), Err(at(30_010)));
        assert_eq!(settling.hear(Hint::Closed(web()), at(30)), Heed::Look);
        assert_eq!(settling.may_read(&web(), at(10), Linked::No, Writers::Unknown, at(30)), Ok(()));
    }

    #[test]
    fn a_writer_that_never_closes_is_waited_for_30_seconds() {
        let mut settling = Settling::new(Sight::Events);
        settling.hear(Hint::Writing(web()), at(0));
        assert!(settling.may_read(&web(), at(0), Linked::No, Writers::Unknown, at(29_999)).is_err());
        assert_eq!(settling.may_read(&web(), at(0), Linked::No, Writers::Unknown, at(30_000)), Ok(()));
    }

    #[test]
    fn a_link_needs_no_close() {
        let mut settling = Settling::new(Sight::Events);
        settling.hear(Hint::Writing(web()), at(0));
        assert_eq!(settling.may_read(&web(), at(0), Linked::Yes, Writers::Unknown, at(0)), Ok(()));
    }

    #[test]
    fn lost_events_let_nobody_wait_for_a_close_that_was_lost() {
        let mut settling = Settling::new(Sight::Events);
        settling.hear(Hint::Writing(web()), at(0));
        settling.hear(Hint::Overflow, at(1));
        assert_eq!(settling.may_read(&web(), at(0), Linked::No, Writers::Unknown, at(1)), Ok(()));
    }

    #[test]
    fn who_has_a_file_open_for_writing_is_waited_for_whatever_events_tell() {
        let mut settling = Settling::new(Sight::Events);
        let mut look =
            |linked, writers, millis| settling.may_read(&web(), at(0), linked, writers, at(millis));
        assert_eq!(look(Linked::No, Writers::Somebody, 0), Err(at(1000)));
        assert_eq!(look(Linked::Yes, Writers::Somebody, 29_500), Err(at(30_000)));
        assert_eq!(look(Linked::Yes, Writers::Somebody, 30_000), Ok(()));
        settling.hear(Hint::Writing(web()), at(40_000));
        // As of a name that was given to a file which is whole.
        assert_eq!(settling.may_read(&web(), at(0), Linked::No, Writers::Nobody, at(40_000)), Ok(()));
    }

    #[test]
    fn without_events_two_looks_must_agree() {
        let mut settling = Settling::new(Sight::Polling);
        assert_eq!(settling.may_read(&web(), at(0), Linked::No, Writers::Unknown, at(0)), Err(at(1000)));
        assert_eq!(settling.may_read(&web(), at(0), Linked::No, Writers::Unknown, at(1000)), Ok(()));
    }

    #[test]
    fn a_folder_is_quiet_150_ms_after_its_last_change_and_never_kept_waiting_for_ever() {
        let mut settling = Settling::new(Sight::Events);
        assert_eq!(settling.quiet(at(0)), Ok(()));
        settling.stirred(at(0));
        assert_eq!(settling.quiet(at(100)), Err(at(150)));
        assert_eq!(settling.quiet(at(150)), Ok(()));
        for beat in 10..400 {
            settling.stirred(at(beat * 100));
        }
        assert_eq!(settling.quiet(at(39_950)), Ok(()));
        for beat in 400..600 {
            settling.stirred(at(beat * 100));
            assert!(settling.quiet(at(beat * 100 + 1)).is_err(), "a storm that goes on is let through once");
        }
    }
}
