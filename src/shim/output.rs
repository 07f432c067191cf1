//! A container's two output pipes and the log they end in.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::PipeFlags;

use super::audience::{Audience, Expected};
use super::farewell::Farewell;
use crate::logs::write::{LogWriter, Stream};
use crate::model::time::{Now, Timestamp};

/// The reading ends; one is gone once every writer has closed it.
#[derive(Debug)]
pub(super) struct Output {
    stdout: Option<File>,
    stderr: Option<File>,
    log: LogWriter,
    pub(super) audience: Audience,
}

/// The container's ends.
#[derive(Debug)]
pub(super) struct Writers {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Output {
    pub(super) fn new(log: LogWriter, expected: Expected) -> io::Result<(Output, Writers)> {
        let (stdout, stdout_writer) = pipe()?;
        let (stderr, stderr_writer) = pipe()?;
        let audience = Audience::new(expected);
        let output = Output { stdout: Some(stdout), stderr: Some(stderr), log, audience };
        Ok((output, Writers { stdout: stdout_writer, stderr: stderr_writer }))
    }

    /// Of a terminal, which has one stream.
    pub(super) fn of_terminal(master: OwnedFd, log: LogWriter) -> io::Result<Output> {
        rustix::io::ioctl_fionbio(&master, true)?;
        let audience = Audience::new(Expected::Yes);
        Ok(Output { stdout: Some(master.into()), stderr: None, log, audience })
    }

    /// Of a terminal that is still there.
    pub(super) fn master(&self) -> Option<io::Result<OwnedFd>> {
        let master = self.stdout.as_ref().filter(|file| rustix::termios::isatty(file))?;
        Some(master.try_clone().map(OwnedFd::from))
    }

    /// What is read next; nothing while somebody attached has not taken what was, or the log has no room for more.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = (Stream, BorrowedFd<'_>)> {
        let stdout = self.stdout.iter().map(|file| (Stream::Stdout, file.as_fd()));
        let all = stdout.chain(self.stderr.iter().map(|file| (Stream::Stderr, file.as_fd())));
        all.filter(|_| self.audience.behind().is_none() && !self.log.is_full())
    }

    /// Whether the container waits for the reader of its log.
    pub(super) fn is_held(&self) -> bool {
        self.log.is_full()
    }

    /// The reader may have gone on.
    pub(super) fn look_at_reader(&mut self) {
        self.log.look_again();
    }

    /// Nothing is held up for a reader that is gone.
    pub(super) fn forget_reader(&mut self) {
        self.log.forget_reader();
    }

    /// Takes one buffer from a stream; a flood is taken turn by turn, so that it holds up nothing else. Tells whether there
    /// was something.
    pub(super) fn read(&mut self, stream: Stream, now: Timestamp) -> bool {
        let file = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let mut buffer = [0; 64 * 1024];
        match file.as_mut().map(|file| file.read(&mut buffer)) {
            Some(Ok(count)) if count > 0 => {
                self.log.take(stream, &buffer[..count], now);
                self.audience.hear(stream, &buffer[..count]);
                return true;
            }
            Some(Err(error)) if is_for_later(&error) => {}
            Some(Ok(_) | Err(_)) => *file = None,
            None => {}
        }
        false
    }

    /// The container has ended: takes what its pipes still hold, and ends the log. Bounded by what pipes can
    /// hold, in case somebody else has a writing end and keeps on writing. Each is read, not asked how much there is: what
    /// was written to a terminal is on its way for a moment, and only who reads waits for it.
    pub(super) fn finish(mut self, code: i32, now: Now) -> (LogWriter, Option<Farewell>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            for _ in 0..32 {
                if !self.read(stream, now.wall) {
                    break;
                }
            }
        }
        let farewell = self.audience.end(code, now.boot);
        self.log.finish(now.wall);
        (self.log, farewell)
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // Only our end: the container's programs expect theirs to block.
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader.into(), writer))
}
