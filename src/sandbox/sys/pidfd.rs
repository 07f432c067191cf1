//! Processes by descriptor: a signal cannot hit another process that got the number.
#![expect(unsafe_code, reason = "real-time signal numbers and the ends of processes are not in rustix")]

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

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// As the process left it, 0 to 255, or 128 + signal.
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
}

/// Whether this kernel answers questions about a process at all (Linux 6.13). It keeps ends from 6.15 on.
pub(crate) fn can_ask() -> bool {
    open(std::process::id().cast_signed()).is_ok_and(|own| ask(own).is_ok())
}

/// How a process of somebody else's ended, of which the descriptor was opened while it was there. `None` as long as nobody
/// has waited for it, and where the kernel does not keep it.
pub(crate) fn end(process: impl AsFd) -> Option<End> {
    let info = ask(process).ok()?;
    if info.mask & u64::from(libc::PIDFD_INFO_EXIT) == 0 {
        return None;
    }
    let status = info.exit_code;
    if libc::WIFEXITED(status) {
        return Some(End { code: libc::WEXITSTATUS(status), signal: None });
    }
    let signal = libc::WTERMSIG(status);
    Some(End { code: 128 + signal, signal: Some(signal) })
}

fn ask(process: impl AsFd) -> io::Result<libc::pidfd_info> {
    // SAFETY: it is made of integers alone, for which zero is a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: the descriptor is open for the call, and the kernel writes no more than the size that the request tells.
    let answer = unsafe { libc::ioctl(process.as_fd().as_raw_fd(), libc::PIDFD_GET_INFO, &mut info) };
    if answer == 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Of a process that was reaped by somebody who does not look at how it ended.
    fn end_of(script: &str) -> Option<End> {
        let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let process = open(child.id().cast_signed()).unwrap();
        assert_eq!(end(&process), None, "nobody has waited for it");
        child.wait().unwrap();
        end(&process)
    }

    #[test]
    fn the_kernel_keeps_how_a_process_ended_after_it_was_reaped() {
        let Some(exited) = end_of("exit 3") else {
            println!("skipped: this kernel keeps no ends (Linux 6.15)");
            return;
        };
        assert!(can_ask());
        assert_eq!(exited, End { code: 3, signal: None });
        assert_eq!(end_of("kill -TERM $$"), Some(End { code: 143, signal: Some(15) }));
    }
}
