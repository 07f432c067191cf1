//! Processes by descriptor: a signal cannot hit another process that got the number, and how a process ended can
//! be asked by one that is not its parent.
#![expect(unsafe_code, reason = "real-time signal numbers, and PIDFD_GET_INFO, are not in rustix")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

/// `_IOWR(0xff, 11, struct pidfd_info)` with the structure's first published size, 64 bytes.
const PIDFD_GET_INFO: u32 = (3 << 30) | (64 << 16) | (0xff << 8) | 11;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `struct pidfd_info` of `linux/pidfd.h`.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    /// Numbers and credentials, of no use here.
    identity: [u32; 11],
    exit_code: i32,
}

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

/// How a process ended that was reaped after this descriptor was opened; `None` if it has not been reaped or the
/// kernel is older than 6.15.
pub(crate) fn exit_status(process: impl AsFd) -> Option<ExitStatus> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    let fd = process.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most the 64 bytes that the request's number names, the size of `info`.
    let answer = unsafe { libc::ioctl(fd, PIDFD_GET_INFO as _, &raw mut info) };
    let told = answer == 0 && info.mask & PIDFD_INFO_EXIT != 0;
    told.then(|| ExitStatus::from_raw(info.exit_code))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_kernel_tells_how_a_reaped_process_ended() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "read line; exit 37"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pidfd = open(i32::try_from(child.id()).unwrap()).unwrap();
        assert_eq!(exit_status(&pidfd), None);
        child.wait().unwrap();
        match exit_status(&pidfd) {
            Some(status) => assert_eq!(status.code(), Some(37)),
            None => println!("skipped: this kernel keeps no exit status for a pidfd"),
        }
        signal(&pidfd, libc::SIGKILL).unwrap();
    }

    #[test]
    fn the_structure_has_the_size_that_the_request_names() {
        assert_eq!(size_of::<PidfdInfo>(), 64);
    }
}
