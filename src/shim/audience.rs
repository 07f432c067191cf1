//! Who looks on at a container's output: somebody attached, or what is kept for the next who will be.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::farewell::{self, Farewell};
use crate::logs::write::Stream;
use crate::model::time::Moment;

/// Bytes kept of a container that somebody is expected at.
const BACKLOG_LIMIT: usize = 64 * 1024;

type Chunk = (Stream, Vec<u8>);

#[derive(Debug)]
pub(super) enum Audience {
    Away(Backlog),
    Present(Attached),
}

/// The end of what was written while nobody looked on.
#[derive(Debug)]
pub(super) struct Backlog {
    limit: usize,
    size: usize,
    chunks: VecDeque<Chunk>,
}

/// One caller and its ends of two pipes.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) stream: UnixStream,
    pub(super) text: Vec<u8>,
    stdout: File,
    stderr: File,
    /// What its pipes have not taken yet.
    pending: VecDeque<Chunk>,
    limit: usize,
}

/// Whether somebody is expected who wants to see what was written before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Yes,
    No,
}

impl Backlog {
    fn new(limit: usize) -> Backlog {
        Backlog { limit, size: 0, chunks: VecDeque::new() }
    }

    fn keep(&mut self, stream: Stream, bytes: &[u8]) {
        if self.limit == 0 {
            return;
        }
        self.size += bytes.len();
        self.chunks.push_back((stream, bytes.to_vec()));
        while self.size > self.limit
            && let Some((_, first)) = self.chunks.front_mut()
        {
            let surplus = (self.size - self.limit).min(first.len());
            first.drain(..surplus);
            self.size -= surplus;
            if first.is_empty() {
                self.chunks.pop_front();
            }
        }
    }
}

impl Attached {
    /// # Errors
    /// If the pipes cannot be made not to block: nobody who looks on may hold up the pod.
    pub(super) fn new(stream: UnixStream, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Attached> {
        rustix::io::ioctl_fionbio(&stdout, true)?;
        rustix::io::ioctl_fionbio(&stderr, true)?;
        let (stdout, stderr) = (stdout.into(), stderr.into());
        Ok(Attached { stream, text: Vec::new(), stdout, stderr, pending: VecDeque::new(), limit: 0 })
    }

    fn file(&self, stream: Stream) -> &File {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    /// The pipe that they do not empty.
    pub(super) fn behind(&self) -> Option<BorrowedFd<'_>> {
        self.pending.front().map(|(stream, _)| self.file(*stream).as_fd())
    }

    /// What they have not taken, they are not given.
    pub(super) fn give_up(&mut self) {
        self.pending.clear();
    }

    /// Closes the pipes.
    pub(super) fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// Writes what the pipes take.
    pub(super) fn pass_on(&mut self) -> io::Result<()> {
        while let Some((stream, bytes)) = self.pending.front() {
            match self.file(*stream).write(bytes) {
                Ok(count) if count == bytes.len() => drop(self.pending.pop_front()),
                Ok(count) => {
                    if let Some((_, bytes)) = self.pending.front_mut() {
                        bytes.drain(..count);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Audience {
    pub(super) fn new(expected: Expected) -> Audience {
        let limit = match expected {
            Expected::Yes => BACKLOG_LIMIT,
            Expected::No => 0,
        };
        Audience::Away(Backlog::new(limit))
    }

    pub(super) fn hear(&mut self, stream: Stream, bytes: &[u8]) {
        match self {
            Audience::Away(backlog) => backlog.keep(stream, bytes),
            Audience::Present(attached) => {
                attached.pending.push_back((stream, bytes.to_vec()));
                self.pass_on();
            }
        }
    }

    /// Somebody who does not read any more has gone.
    pub(super) fn pass_on(&mut self) {
        if let Audience::Present(attached) = self
            && attached.pass_on().is_err()
        {
            self.leave();
        }
    }

    pub(super) fn leave(&mut self) {
        if let Audience::Present(attached) = self {
            *self = Audience::Away(Backlog::new(attached.limit));
        }
    }

    /// The caller is given what was kept.
    pub(super) fn join(&mut self, mut attached: Attached) {
        if let Audience::Away(backlog) = self {
            attached.limit = backlog.limit;
            attached.pending = std::mem::take(&mut backlog.chunks);
            *self = Audience::Present(attached);
            self.pass_on();
        }
    }

    /// The pipe that somebody attached does not empty: until it is, nothing more is read from the container.
    pub(super) fn behind(&self) -> Option<BorrowedFd<'_>> {
        let Audience::Present(attached) = self else { return None };
        attached.behind()
    }

    /// The container has ended: what somebody attached has not taken yet is left to a farewell.
    pub(super) fn end(self, code: i32, now: Moment) -> Option<Farewell> {
        let Audience::Present(attached) = self else { return None };
        let mut farewells = vec![Farewell::new(attached, code, now)];
        farewell::say_due(&mut farewells, now);
        farewells.pop()
    }
}
