//! A container's two output pipes and the log they end in.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::PipeFlags;

use crate::logs::write::{LogWriter, Stream};
use crate::model::time::Timestamp;

/// The reading ends; one is gone once every writer has closed it.
#[derive(Debug)]
pub(super) struct Output {
    stdout: Option<File>,
    stderr: Option<File>,
    log: LogWriter,
}

/// The container's ends.
#[derive(Debug)]
pub(super) struct Writers {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Output {
    pub(super) fn new(log: LogWriter) -> io::Result<(Output, Writers)> {
        let (stdout, stdout_writer) = pipe()?;
        let (stderr, stderr_writer) = pipe()?;
        let output = Output { stdout: Some(stdout), stderr: Some(stderr), log };
        Ok((output, Writers { stdout: stdout_writer, stderr: stderr_writer }))
    }

    /// Of a terminal, which has one stream.
    pub(super) fn of_terminal(master: OwnedFd, log: LogWriter) -> io::Result<Output> {
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Output { stdout: Some(master.into()), stderr: None, log })
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = (Stream, BorrowedFd<'_>)> {
        let stdout = self.stdout.iter().map(|file| (Stream::Stdout, file.as_fd()));
        stdout.chain(self.stderr.iter().map(|file| (Stream::Stderr, file.as_fd())))
    }

    /// Takes one buffer from a stream; a flood is taken turn by turn, so that it holds up nothing else.
    pub(super) fn read(&mut self, stream: Stream, now: Timestamp) {
        let file = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let mut buffer = [0; 64 * 1024];
        match file.as_mut().map(|file| file.read(&mut buffer)) {
            Some(Ok(0)) => *file = None,
            Some(Ok(count)) => self.log.take(stream, &buffer[..count], now),
            Some(Err(error)) if is_for_later(&error) => {}
            Some(Err(_)) => *file = None,
            None => {}
        }
    }

    /// The container has ended: takes what its pipes still hold, and ends the log. Bounded by what pipes can
    /// hold, in case somebody else has a writing end and keeps on writing.
    pub(super) fn finish(mut self, now: Timestamp) -> LogWriter {
        for stream in [Stream::Stdout, Stream::Stderr] {
            for _ in 0..32 {
                let pending = match stream {
                    Stream::Stdout => &self.stdout,
                    Stream::Stderr => &self.stderr,
                };
                let Some(file) = pending else { break };
                if rustix::io::ioctl_fionread(file).unwrap_or(0) == 0 {
                    break;
                }
                self.read(stream, now);
            }
        }
        self.log.finish(now);
        self.log
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
