//! Following the logs of many containers at once, also of pods that are still to come.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::read::{Cursor, Line};

/// Events are hints: without any, files are looked at as often as this.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// A flood of lines is taken in gulps.
const GULP: Duration = Duration::from_millis(10);

/// Where a line comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

/// Every container below a log directory, as its directory appears.
#[derive(Debug)]
pub(crate) struct Tails {
    log: PathBuf,
    cursors: BTreeMap<PathBuf, (Origin, Cursor)>,
    /// Directories of pods that write no more, read to their end: of thousands, no file is kept open.
    closed: BTreeSet<PathBuf>,
}

impl Tails {
    pub(crate) fn of(log: PathBuf) -> Tails {
        Tails { log, cursors: BTreeMap::new(), closed: BTreeSet::new() }
    }

    /// Takes what has been handed on of a pod for all there is; to be called after its end and a drain.
    pub(crate) fn close(&mut self, pod: PathBuf) {
        self.cursors.retain(|directory, _| !directory.starts_with(&pod));
        self.closed.insert(pod);
    }

    /// Hands on every line up to the present end.
    pub(crate) fn drain(
        &mut self,
        bell: &Bell,
        sink: &mut dyn FnMut(&Origin, Line) -> io::Result<()>,
    ) -> io::Result<()> {
        self.discover(bell)?;
        for (origin, cursor) in self.cursors.values_mut() {
            cursor.drain(&mut |line| sink(origin, line))?;
        }
        Ok(())
    }

    fn discover(&mut self, bell: &Bell) -> io::Result<()> {
        bell.watch(&self.log);
        let pods = directories(&self.log)?;
        for (pod_name, pod) in pods.into_iter().filter(|(_, pod)| !self.closed.contains(pod)) {
            let mut parts = pod_name.splitn(3, '_');
            let (Some(namespace), Some(name)) = (parts.next(), parts.next()) else { continue };
            bell.watch(&pod);
            for (container, directory) in directories(&pod)? {
                bell.watch(&directory);
                self.cursors.entry(directory).or_insert_with_key(|directory| {
                    let (namespace, pod) = (namespace.to_owned(), name.to_owned());
                    (Origin { namespace, pod, container }, Cursor::at_run(directory.clone(), 0))
                });
            }
        }
        Ok(())
    }
}

/// Names and paths of the directories in a directory, in order. None if it is not there.
fn directories(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Rings when something changes in a watched directory.
#[derive(Debug)]
pub(crate) struct Bell(Option<OwnedFd>);

impl Bell {
    /// Where inotify is refused, waiting ends by time alone.
    pub(crate) fn hang() -> Bell {
        Bell(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok())
    }

    /// Watching a directory twice is fine. One that is not there yet is asked for again by its looker.
    pub(crate) fn watch(&self, directory: &Path) {
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        if let Some(inotify) = &self.0 {
            // A watch that cannot be had costs only the time until the next look.
            let _ = inotify::add_watch(inotify, directory, flags);
        }
    }

    /// Waits until something has changed, `also` has something to read or was hung up, or it is time to look
    /// again. Says whether it was `also`.
    pub(crate) fn wait(&self, also: BorrowedFd<'_>, events: PollFlags) -> io::Result<Woken> {
        let mut fds = vec![PollFd::from_borrowed_fd(also, events)];
        fds.extend(self.0.iter().map(|inotify| PollFd::new(inotify, PollFlags::IN)));
        wait_for(&mut fds, LOOK_AGAIN)?;
        if !fds[0].revents().is_empty() {
            return Ok(Woken::ByOther);
        }
        if let Some(inotify) = &self.0 {
            wait_for(&mut fds[..1], GULP)?;
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(inotify, &mut buffer);
            while reader.next().is_ok() {}
        }
        Ok(Woken::ByChange)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    ByChange,
    ByOther,
}

fn wait_for(fds: &mut [PollFd<'_>], at_most: Duration) -> io::Result<()> {
    let timeout = Timespec { tv_sec: 0, tv_nsec: at_most.subsec_nanos().into() };
    match poll(fds, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::write::{LogWriter, Stream};
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn containers_that_come_later_are_followed_from_their_first_line() {
        let log = std::env::temp_dir().join(format!("droppod-follow-{}", std::process::id()));
        std::fs::remove_dir_all(&log).ok();
        let bell = Bell::hang();
        let mut tails = Tails::of(log.clone());
        let mut seen = Vec::new();
        let mut drain = |tails: &mut Tails| {
            tails
                .drain(&bell, &mut |origin, line| {
                    let text = String::from_utf8(line.text).unwrap();
                    seen.push(format!("{}/{}/{} {text}", origin.namespace, origin.pod, origin.container));
                    Ok(())
                })
                .unwrap();
        };
        drain(&mut tails);
        for name in ["a", "b"] {
            let path = log.join(format!("default_{name}_uid")).join("main").join("0.log");
            LogWriter::open(&path).take(Stream::Stdout, b"hello\n", Timestamp::UNIX_EPOCH);
            drain(&mut tails);
        }
        assert_eq!(seen, ["default/a/main hello", "default/b/main hello"]);
        tails.close(log.join("default_a_uid"));
        assert_eq!(tails.cursors.len(), 1);
        tails.drain(&bell, &mut |_, _| panic!("nothing is read twice")).unwrap();
        assert_eq!(tails.cursors.len(), 1);
        std::fs::remove_dir_all(log).unwrap();
    }
}
