//! Processes by descriptor: a signal cannot hit another process that got the number.
#![expect(unsafe_code, reason = "real-time signal numbers are not in rustix")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

/// `NotFound` if there is no such process.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => Err(io::ErrorKind::NotFound.into()),
        answer => Ok(answer?),
    }
}

/// Sends a signal, also a real-time one, which some images stop by. One that has ended is as good as signalled.
pub(crate) fn signal(process: impl AsFd, signal: i32) -> io::Result<()> {
    let (fd, none) = (process.as_fd().as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
    // SAFETY: the descriptor is open for the call, no siginfo is given; a bad signal number is refused.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, 0) };
    if answer == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}
