//! Waiting for what changes in directories, by events where there are any.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

/// Events are hints: without any, files are looked at as often as this.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// A flood of lines is taken in gulps.
const GULP: Duration = Duration::from_millis(10);

/// Rings when something changes in a watched directory.
#[derive(Debug)]
pub(crate) struct Bell(Option<OwnedFd>);

impl Bell {
    /// Where inotify is refused, waiting ends by time alone.
    pub(crate) fn hang() -> Bell {
        Bell(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok())
    }

    /// Watching a directory twice is fine. One that is not there yet is asked for again by its looker.
    pub(crate) fn watch(&self, directory: &Path) -> Option<Watch> {
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        // A watch that cannot be had costs only the time until the next look.
        inotify::add_watch(self.0.as_ref()?, directory, flags).ok().map(Watch)
    }

    /// What happens there is of no interest any more.
    pub(crate) fn forget(&self, watch: Watch) {
        if let Some(inotify) = &self.0 {
            // It may have gone with its directory.
            let _ = inotify::remove_watch(inotify, watch.0);
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

/// One directory that is watched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch(i32);

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
