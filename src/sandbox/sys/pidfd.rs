//! Processes by descriptor: a signal cannot hit another process that got the number.
#![expect(unsafe_code, reason = "real-time signal numbers and the ends of processes are not in rustix")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::CapabilitySet;

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

/// How a process of somebody else's ended, of which the descriptor was opened while it was there and had the number `pid`.
/// `None` as long as it has not, and where the kernel does not tell.
pub(crate) fn end(process: impl AsFd, pid: i32) -> Option<End> {
    // The look comes before the question: if nobody has waited for the process by then, the number still was its own.
    let unreaped = status_of_zombie(pid);
    let info = ask(process).ok()?;
    let is_kept = info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0;
    let status = if is_kept { info.exit_code } else { unreaped? };
    if libc::WIFEXITED(status) {
        return Some(End { code: libc::WEXITSTATUS(status), signal: None });
    }
    let signal = libc::WTERMSIG(status);
    Some(End { code: 128 + signal, signal: Some(signal) })
}

/// The last field of proc_pid_stat(5).
fn status_of_zombie(pid: i32) -> Option<i32> {
    let own = rustix::thread::capabilities(None).ok()?;
    if !own.effective.contains(CapabilitySet::SYS_PTRACE) {
        // Whoever may not look is told 0.
        return None;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.strip_prefix("Z ")?.trim_end().rsplit_once(' ')?.1.parse().ok()
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
    use std::process::{Command, Stdio};

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    /// Before and after somebody, who does not look at how it ended, has waited for the process.
    fn ends_of(script: &str) -> [Option<End>; 2] {
        let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
        let pid = child.id().cast_signed();
        let process = open(pid).unwrap();
        assert_eq!(end(&process, pid), None, "it has not ended");
        drop(child.stdin.take());
        waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        let unreaped = end(&process, pid);
        child.wait().unwrap();
        [unreaped, end(&process, pid)]
    }

    #[test]
    fn how_a_process_ended_is_told_before_and_after_it_was_reaped() {
        let ends = ends_of("read line; exit 3");
        if !can_ask() || ends[1].is_none() {
            println!("skipped: this kernel keeps no ends (Linux 6.15)");
            return;
        }
        let both = |code, signal| [Some(End { code, signal }); 2];
        assert_eq!(ends, both(3, None));
        assert_eq!(ends_of("read line"), both(1, None));
        assert_eq!(ends_of("read line; kill -TERM $$"), both(143, Some(15)));
    }
}
