//! Collecting children that have ended, our own and those that a subreaper inherits.

use std::io;

use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus};

/// A child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reaped {
    pub(crate) pid: i32,
    /// As the process left it, 0 to 255, or 128 + signal.
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
}

/// Every child that has ended by now. Only for a process that has no other way of waiting for its children: this
/// takes the end of any of them.
pub(crate) fn ended() -> io::Result<Vec<Reaped>> {
    let mut reaped = Vec::new();
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => reaped.extend(end_of(pid.as_raw_pid(), status)),
            Ok(None) | Err(Errno::CHILD) => return Ok(reaped),
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
