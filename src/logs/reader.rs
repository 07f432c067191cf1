//! Whoever shows every line of every container, and how far that is: what it has not read is not removed.
//!
//! A directory is there for as long as somebody reads. In it lies a symlink for each container whose reader has left the
//! first log file, to `<run>.<inode>` of the one that it reads; all before that have been read. A symlink, because it is
//! replaced whole and needs no room on a tmpfs that logs have filled.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::id::Uid;
use crate::publish::remove_tree;

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) run: u32,
    /// Of the file.
    pub(crate) inode: u64,
}

/// What the reader leaves behind itself.
#[derive(Debug)]
pub(crate) struct Marks(PathBuf);

impl Marks {
    /// From now on somebody reads.
    pub(crate) fn begin(directory: PathBuf) -> io::Result<Marks> {
        std::fs::create_dir_all(&directory)?;
        Ok(Marks(directory))
    }

    pub(super) fn put(&self, pod: &Uid, container: &str, place: Place) -> io::Result<()> {
        let mark = mark(&self.0, pod, container);
        // No container has a dot in its name.
        let draft = self.0.join(format!("{pod}.{container}.new"));
        crate::publish::remove(&draft)?;
        std::os::unix::fs::symlink(format!("{}.{}", place.run, place.inode), &draft)?;
        std::fs::rename(draft, mark)
    }

    /// Of a container that writes no more.
    pub(super) fn remove(&self, pod: &Uid, container: &str) -> io::Result<()> {
        crate::publish::remove(&mark(&self.0, pod, container))
    }

    /// Nobody reads any more, and nothing is to be kept for anybody.
    pub(crate) fn end(self) -> io::Result<()> {
        remove_tree(&self.0)
    }
}

/// The reader of one container's log, as its writer sees it.
#[derive(Debug)]
pub(crate) struct Reader {
    directory: PathBuf,
    mark: PathBuf,
}

impl Reader {
    pub(crate) fn of(directory: &Path, pod: &Uid, container: &str) -> Reader {
        Reader { directory: directory.to_owned(), mark: mark(directory, pod, container) }
    }

    /// Whether the reader has gone on from the oldest file that is there of a run.
    pub(super) fn has_left(&self, oldest: Place) -> bool {
        match std::fs::read_link(&self.mark) {
            Ok(at) => at
                .to_str()
                .and_then(parse)
                .is_none_or(|at| at.run > oldest.run || (at.run == oldest.run && at.inode != oldest.inode)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => !self.directory.exists(),
            // What cannot be looked at holds up nobody.
            Err(_) => true,
        }
    }
}

fn mark(directory: &Path, pod: &Uid, container: &str) -> PathBuf {
    directory.join(format!("{pod}.{container}"))
}

fn parse(text: &str) -> Option<Place> {
    let (run, inode) = text.split_once('.')?;
    Some(Place { run: run.parse().ok()?, inode: inode.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_until_its_reader_has_gone_on_or_left() {
        let directory = std::env::temp_dir().join(format!("droppod-reader-{}", std::process::id()));
        let pod = Uid::from_random([7; 16]);
        let reader = Reader::of(&directory, &pod, "main");
        let oldest = Place { run: 1, inode: 10 };
        assert!(reader.has_left(oldest), "nobody reads");
        let marks = Marks::begin(directory).unwrap();
        assert!(!reader.has_left(oldest), "it has not begun");
        for (run, inode, left) in [(0, 9, false), (1, 10, false), (1, 11, true), (2, 10, true)] {
            marks.put(&pod, "main", Place { run, inode }).unwrap();
            assert_eq!(reader.has_left(oldest), left, "{run} {inode}");
        }
        marks.end().unwrap();
        assert!(reader.has_left(oldest), "it has left");
    }
}
