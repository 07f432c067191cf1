//! Why a process could not become its program.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::PipeFlags;

use crate::sandbox::sys::birth::said;

/// Bytes of a reason that are read: a name and a few words.
const LIMIT: u64 = 8 * 1024;

/// The reading end of a pipe that ends without a byte when `execve` has succeeded, and holds the reason when it has not.
#[derive(Debug)]
pub(super) struct Verdict(File);

impl Verdict {
    pub(super) fn pipe() -> io::Result<(Verdict, OwnedFd)> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        Ok((Verdict(reader.into()), writer))
    }

    /// What stands in it by now, whoever may still have the other end: somebody in the container may have taken hold of
    /// it, and may have written anything. Before the process has ended or the pipe has something to tell, nobody knows how
    /// long an `execve` takes, of a program on a file system that does not answer for ever.
    pub(super) fn failure(&self) -> Option<String> {
        let mut told = Vec::new();
        drop((&self.0).take(LIMIT).read_to_end(&mut told));
        let shown = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
        let why: String = said(&told).chars().map(shown).collect();
        Some(why).filter(|why| !why.is_empty())
    }
}

impl AsFd for Verdict {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_there_before_its_pipe_ends_and_moves_no_cursor() {
        let (verdict, writer) = Verdict::pipe().unwrap();
        assert_eq!(verdict.failure(), None, "and nobody waits for it");
        rustix::io::write(&writer, b"exec: \"x\": \x1b[2Jno").unwrap();
        assert_eq!(verdict.failure().as_deref(), Some("exec: \"x\": \u{fffd}[2Jno"));
        drop(writer);
        assert_eq!(verdict.failure(), None);
    }
}
