//! Being born into a process namespace: `setns(2)` leads only children there, so whoever enters one makes a last child.
#![expect(unsafe_code, reason = "between clone and execve only bare system calls are allowed")]

use std::ffi::{CStr, CString, c_char};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::MemfdFlags;

use super::{execve, prctl, seccomp};
use crate::bundle::Terminal;
use crate::bundle::seccomp::{BIRTH_FLAGS, Filter};

/// Exit code of a process whose `execve` failed; the reason is in the verdict's pipe.
pub(crate) const NOT_STARTED: i32 = 128;

/// Bytes of a reason: beyond is cut off.
const WHY_LIMIT: usize = 1024;

/// A word in a file of memory: the kernel writes the child's number into it as the child is made. The child has neither
/// the file nor the memory, so nobody who takes hold of the child can write another.
#[derive(Debug)]
pub(crate) struct Register(File);

impl Register {
    pub(crate) fn new() -> io::Result<Register> {
        let mut file = File::from(rustix::fs::memfd_create("register", MemfdFlags::CLOEXEC)?);
        // Whoever writes first has the page on their account: not the container, which may have no memory left.
        file.write_all(&[0; 4])?;
        Ok(Register(file))
    }

    /// One that was handed over.
    pub(crate) fn of(descriptor: OwnedFd) -> Register {
        Register(descriptor.into())
    }

    /// The number of the child, as its maker's process namespace has it, once it is made.
    pub(crate) fn born(&self) -> io::Result<Option<i32>> {
        let mut number = [0; 4];
        self.0.read_exact_at(&mut number, 0)?;
        Ok(Some(i32::from_ne_bytes(number)).filter(|number| *number > 0))
    }

    /// In this process's memory until its end, and in that of no child.
    fn map(&self) -> io::Result<*mut i32> {
        let (access, fd) = (libc::PROT_READ | libc::PROT_WRITE, self.0.as_raw_fd());
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping where the kernel chooses, of a file that is open for the call and never becomes shorter.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4, access, flags, fd, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: that mapping, which nothing else uses.
        match unsafe { libc::madvise(page, 4, libc::MADV_DONTFORK) } {
            0 => Ok(page.cast()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl AsFd for Register {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What is executed.
#[derive(Debug)]
pub(crate) struct Program {
    /// The first of these that is there and may be executed.
    pub(crate) paths: Vec<CString>,
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    /// What is said before the kernel's reason.
    pub(crate) failed: CString,
    /// What is said if the paths were candidates, and none of them was it.
    pub(crate) candidates: Option<Candidates>,
}

#[derive(Debug)]
pub(crate) struct Candidates {
    /// None was there.
    pub(crate) missing: CString,
    /// One was there and may not be executed.
    pub(crate) forbidden: CString,
}

/// A birth that is made ready: nothing from here on allocates, or calls what `Filter::keeps_from_birth` does not name.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    program: &'a Program,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    terminal: Terminal,
    late: Option<&'a Filter>,
    verdict: BorrowedFd<'a>,
    register: *mut i32,
}

impl<'a> Birth<'a> {
    /// `late` is loaded by the child itself. Of `verdict` see [`said`].
    pub(crate) fn prepare(
        program: &'a Program,
        terminal: Terminal,
        late: Option<&'a Filter>,
        verdict: BorrowedFd<'a>,
        register: &Register,
    ) -> io::Result<Birth<'a>> {
        let (argv, env) = (execve::pointers(&program.argv), execve::pointers(&program.env));
        Ok(Birth { program, argv, env, terminal, late, verdict, register: register.map()? })
    }

    /// Makes a child of this process's own parent, which becomes the program; this process ends. One thread only.
    pub(crate) fn give(&self) -> ! {
        // SAFETY: as fork does it, on a copy of this thread's stack. The child runs `live` alone, which allocates
        // nothing, takes no lock and never returns; the register is mapped, aligned and read by nobody in this process.
        let child = unsafe {
            let flags = libc::c_ulong::from(BIRTH_FLAGS);
            libc::syscall(libc::SYS_clone, flags, 0_usize, self.register, 0_usize, 0_usize)
        };
        match child {
            -1 => self.end(c"cannot begin a process in the container: ", errno(&io::Error::last_os_error())),
            0 => self.live(),
            // SAFETY: ends this process and runs none of its code.
            _ => unsafe { libc::_exit(0) },
        }
    }

    fn live(&self) -> ! {
        // Its own session, for a terminal and so that a signal to its group reaches all that it starts.
        let _ = rustix::process::setsid();
        let mortal = prctl::die_with_parent();
        if self.terminal == Terminal::Yes {
            // One without job control is better than none.
            let _ = rustix::process::ioctl_tiocsctty(rustix::stdio::stdin());
        }
        if let Err(error) = mortal {
            self.end(c"cannot make the process end with its pod: ", errno(&error));
        }
        if let Some(filter) = self.late
            && let Err(error) = seccomp::load(&filter.program, filter.flags)
        {
            self.end(c"cannot load the seccomp filter: ", errno(&error));
        }
        let mut forbidden = false;
        for path in &self.program.paths {
            // SAFETY: all strings end in NUL, both arrays in a null pointer, and live in this process's memory.
            unsafe { libc::execve(path.as_ptr(), self.argv.as_ptr(), self.env.as_ptr()) };
            match (errno(&io::Error::last_os_error()), &self.program.candidates) {
                (libc::EACCES, Some(_)) => forbidden = true,
                (libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT, Some(_)) => {}
                (errno, _) => self.end(&self.program.failed, errno),
            }
        }
        match &self.program.candidates {
            Some(candidates) if forbidden => self.end(&candidates.forbidden, 0),
            Some(candidates) => self.end(&candidates.missing, 0),
            None => self.end(&self.program.failed, libc::ENOENT),
        }
    }

    /// Ends this process with a reason and, if it is not 0, the kernel's own.
    pub(crate) fn end(&self, why: &CStr, errno: i32) -> ! {
        // A reason that nobody reads any more is of no use to anybody.
        tell(self.verdict, why, errno);
        // SAFETY: ends this process and runs none of its code.
        unsafe { libc::_exit(NOT_STARTED) }
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// In one piece, by a bare system call.
pub(super) fn tell(verdict: BorrowedFd<'_>, why: &CStr, errno: i32) {
    let mut told = [0; WHY_LIMIT + 1 + size_of::<i32>()];
    let why = why.to_bytes();
    let length = why.len().min(WHY_LIMIT);
    told[..length].copy_from_slice(&why[..length]);
    told[length + 1..][..size_of::<i32>()].copy_from_slice(&errno.to_ne_bytes());
    let _ = rustix::io::write(verdict, &told[..length + 1 + size_of::<i32>()]);
}

/// What was told, in words.
pub(crate) fn said(told: &[u8]) -> String {
    let (why, reason) = parts(told);
    let reason = reason.map(|reason| reason.to_string());
    String::from_utf8_lossy(why).into_owned() + &reason.unwrap_or_default()
}

/// A reason and, behind a NUL, the number of the kernel's own.
pub(super) fn parts(told: &[u8]) -> (&[u8], Option<io::Error>) {
    let (why, number) = match told.iter().position(|byte| *byte == 0) {
        Some(end) => (&told[..end], told[end + 1..].first_chunk()),
        None => (told, None),
    };
    let number = number.map(|number| i32::from_ne_bytes(*number)).filter(|number| *number != 0);
    (why, number.map(io::Error::from_raw_os_error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_that_a_filter_is_asked_for_are_those_of_the_c_library() {
        let flags = libc::CLONE_PARENT | libc::CLONE_PARENT_SETTID | libc::SIGCHLD;
        assert_eq!(u32::try_from(flags), Ok(BIRTH_FLAGS));
    }

    #[test]
    fn a_reason_is_said_with_the_kernels_words() {
        let (reader, writer) = io::pipe().unwrap();
        tell(writer.as_fd(), c"exec: \"x\": ", libc::ENOENT);
        drop(writer);
        let mut told = Vec::new();
        io::Read::read_to_end(&mut &reader, &mut told).unwrap();
        assert_eq!(said(&told), "exec: \"x\": No such file or directory (os error 2)");
        assert_eq!(said(b"plain"), "plain");
        assert_eq!(said(b"cut off\0ab"), "cut off");
    }

    #[test]
    fn a_register_is_empty_until_a_child_is_made() {
        let register = Register::new().unwrap();
        assert_eq!(register.born().unwrap(), None);
        // SAFETY: mapped by the call in the same expression, and by nobody else.
        unsafe { *register.map().unwrap() = 42 };
        assert_eq!(register.born().unwrap(), Some(42));
    }
}
