//! stdout, whose reader may be slow: it is waited for, until somebody's patience is over.

use std::io::{self, PipeReader, Stdout, Write, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::model::time::Moment;
use crate::sandbox::sys::clock;

/// What a pipe takes without blocking once it says that it takes something.
const PIPE_BUF: usize = 4096;
/// How long a reader may stand still once nobody has patience with it.
const AT_MOST: Duration = Duration::from_secs(3);

/// What tells that stdout takes nothing from what went wrong with what is to be shown.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unwritten(io::Error);

/// Whether it was stdout that failed.
pub(super) fn is_of_stdout(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Unwritten>())
}

/// Writing fails with `TimedOut` if its reader stands still after `patience` was hung up.
#[derive(Debug)]
pub(super) struct Outlet {
    out: Stdout,
    patience: PipeReader,
    until: Option<Moment>,
}

impl Outlet {
    pub(super) fn new(patience: PipeReader) -> Outlet {
        Outlet { out: stdout(), patience, until: None }
    }

    fn wait(&mut self) -> io::Result<()> {
        loop {
            let left = self.until.map(|until| until - clock::boot());
            if left.is_some_and(|left| left.is_zero()) {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "nobody takes what is written to stdout",
                ));
            }
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = vec![PollFd::from_borrowed_fd(self.out.as_fd(), PollFlags::OUT)];
            if self.until.is_none() {
                fds.push(PollFd::new(&self.patience, PollFlags::IN));
            }
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let hung_up = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
            if !fds[0].revents().is_empty() {
                return Ok(());
            }
            if hung_up {
                self.until = Some(clock::boot() + AT_MOST);
            }
        }
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.wait()?;
            match rustix::io::write(self.out.as_fd(), &bytes[..bytes.len().min(PIPE_BUF)]) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::PIPE) => return Err(Errno::PIPE.into()),
                Err(error) => {
                    let error = io::Error::from(error);
                    return Err(io::Error::new(error.kind(), Unwritten(error)));
                }
                Ok(count) => {
                    self.until = self.until.map(|_| clock::boot() + AT_MOST);
                    return Ok(count);
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
