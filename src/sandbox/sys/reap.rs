//! Collecting children that have ended, our own and those that a subreaper inherits.
#![expect(unsafe_code, reason = "whose end it is that waitid tells is not in rustix")]

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};

/// A child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reaped {
    pub(crate) pid: i32,
    /// As the process left it, 0 to 255, or 128 + signal.
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
}

/// A child that has ended and is not reaped, so that its number is still its own; `None` if there is none. Only for a
/// process that has no other way of waiting for its children: this tells the end of any of them.
pub(crate) fn unreaped() -> io::Result<Option<i32>> {
    // SAFETY: it is made of integers alone, for which zero is a value.
    let mut told: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel writes no more than the structure, which lives across the call.
    if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut told, flags) } != 0 {
        return match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
            error => Err(error),
        };
    }
    // SAFETY: what waitid tells has a process; it stays zero if nobody has ended.
    let pid = unsafe { told.si_pid() };
    Ok(Some(pid).filter(|pid| *pid > 0))
}

/// Reaps a child; `None` if it has not ended or is none of ours.
pub(crate) fn reap(pid: i32) -> io::Result<Option<Reaped>> {
    let Some(number) = Pid::from_raw(pid) else { return Ok(None) };
    loop {
        match rustix::process::waitpid(Some(number), WaitOptions::NOHANG) {
            Ok(ended) => return Ok(ended.and_then(|(_, status)| end_of(pid, status))),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// `None` for a child that was only stopped or continued, which waiting without `UNTRACED` does not tell.
fn end_of(pid: i32, status: WaitStatus) -> Option<Reaped> {
    if let Some(code) = status.exit_status() {
        return Some(Reaped { pid, code, signal: None });
    }
    let signal = status.terminating_signal()?;
    Some(Reaped { pid, code: 128 + signal, signal: Some(signal) })
}
