//! What is known of a file of a folder from the looks at it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::time::{Moment, Now};

use super::open::{Sighting, Stamp};
use super::scan::Scan;

/// A file that changed less than this before it was read may change again without its times showing it.
const CLOCK_GRAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) sighting: Sighting,
    pub(super) first_seen: Moment,
    /// The stamp of the content that was read last.
    pub(super) read: Option<Stamp>,
}

/// The files of a folder, by their path in it.
#[derive(Debug, Default)]
pub(super) struct Files {
    all: BTreeMap<PathBuf, Tracked>,
    unsure: BTreeSet<PathBuf>,
}

/// For reading alone.
impl Deref for Files {
    type Target = BTreeMap<PathBuf, Tracked>;

    fn deref(&self) -> &BTreeMap<PathBuf, Tracked> {
        &self.all
    }
}

impl Files {
    /// Takes over what a scan has seen; tells which files are not as they were at the one before.
    pub(super) fn notice(&mut self, scan: &Scan, now: Moment) -> BTreeSet<PathBuf> {
        let differing: BTreeSet<PathBuf> = match &scan.part {
            None => differing(&self.all, &scan.manifests).into_iter().map(Path::to_owned).collect(),
            Some(part) => {
                let before = |path: &PathBuf| self.all.get(path).map(|tracked| &tracked.sighting);
                part.iter().filter(|path| before(path) != scan.manifests.get(*path)).cloned().collect()
            }
        };
        for path in &differing {
            match (scan.manifests.get(path), self.all.get_mut(path)) {
                (Some(sighting), Some(tracked)) => {
                    tracked.sighting = sighting.clone();
                    tracked.first_seen = now;
                }
                (Some(sighting), None) => {
                    let tracked = Tracked { sighting: sighting.clone(), first_seen: now, read: None };
                    self.all.insert(path.clone(), tracked);
                }
                (None, _) => drop(self.all.remove(path)),
            }
            self.note_unsure(path);
        }
        differing
    }

    /// The content was read that the file has with this stamp; without one, it is to be read again.
    pub(super) fn note_read(&mut self, path: &Path, stamp: Option<Stamp>) {
        if let Some(tracked) = self.all.get_mut(path) {
            tracked.read = stamp;
        }
        self.note_unsure(path);
    }

    /// Those that may have changed though no event has told of it.
    pub(super) fn unsure(&self) -> impl Iterator<Item = &PathBuf> {
        self.unsure.iter()
    }

    fn note_unsure(&mut self, path: &Path) {
        if self.all.get(path).is_some_and(Tracked::is_unsure) {
            self.unsure.insert(path.to_owned());
        } else {
            self.unsure.remove(path);
        }
    }
}

/// Paths that only one of them has, or with another sighting: both are gone through once.
fn differing<'a>(
    before: &'a BTreeMap<PathBuf, Tracked>,
    after: &'a BTreeMap<PathBuf, Sighting>,
) -> Vec<&'a Path> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut differing: Vec<&Path> = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return differing,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((path, _)), Some((other, _))) => path.cmp(other),
        };
        let was = if order.is_le() { before.next() } else { None };
        let is = if order.is_ge() { after.next() } else { None };
        let is_same = was.map(|(_, tracked)| &tracked.sighting) == is.map(|(_, sighting)| sighting);
        let path = was.map(|(path, _)| path).or(is.map(|(path, _)| path));
        differing.extend(path.filter(|_| !is_same).map(PathBuf::as_path));
    }
}

impl Tracked {
    /// It may have changed though no event has told of it: what a link leads to, or a content that is not read yet.
    fn is_unsure(&self) -> bool {
        match &self.sighting {
            Sighting::File { stamp, linked, .. } => *linked || self.read != Some(*stamp),
            Sighting::Odd(_) => false,
        }
    }
}

/// Whether a second change could hide behind the same times: after a change just now, and where the file system gives
/// all files the same time, the epoch or the second after it. Such a file is read again at the next look.
pub(super) fn is_fresh(stamp: &Stamp, now: Now) -> bool {
    let grain = i128::try_from(CLOCK_GRAIN.as_nanos()).unwrap_or(i128::MAX);
    (now.wall.as_nanosecond() - stamp.changed).abs() < grain || stamp.changed <= grain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn a_file_whose_time_is_just_now_or_tells_nothing_is_read_at_each_look() {
        let nanos = |millis: i128| millis * 1_000_000;
        let at = |millis: i128| {
            let stamp =
                Stamp { device: 1, inode: 2, size: 3, modified: nanos(millis), changed: nanos(millis) };
            let wall = Timestamp::from_second(2_000_000_000).unwrap();
            is_fresh(&stamp, Now { wall, boot: Moment(Duration::from_secs(7)) })
        };
        let now = 2_000_000_000_000;
        // Also of a clock that was set back since.
        for fresh in [now, now - 999, now + 999] {
            assert!(at(fresh), "{fresh}");
        }
        for settled in [now - 1_000, now - 3_600_000, now + 1_000, 1_001] {
            assert!(!at(settled), "{settled}");
        }
        for constant in [0, 1, 1_000, -1] {
            assert!(at(constant), "{constant}");
        }
    }
}
