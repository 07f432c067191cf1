//! Descriptors by number: those this process was started with.
#![expect(unsafe_code, reason = "a descriptor's number becomes its owner here")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::FdFlags;

/// Takes over a descriptor that this process was started with. `None` if there is none of that number, it is a
/// standard stream, or it was taken before.
pub(crate) fn inherited(number: i32) -> Option<OwnedFd> {
    if number < 3 {
        return None;
    }
    // SAFETY: borrowed for two calls that do not close it; a number that is not open is answered with EBADF.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = rustix::io::fcntl_getfd(descriptor).ok()?;
    // Whatever this process opens itself is close-on-exec; only what came through execve is not.
    if flags.contains(FdFlags::CLOEXEC) {
        return None;
    }
    rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC).ok()?;
    // SAFETY: open, not made by this process, and the flag set above keeps it from being taken a second time.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes every descriptor but the standard ones and `keep`, whoever owns them: for the last code before a program, in
/// a process that will not return to them. A kernel that cannot (before 5.9) leaves them to `execve`.
pub(crate) fn close_all_but(keep: &[BorrowedFd<'_>]) {
    let mut kept: Vec<u32> = keep.iter().map(|kept| kept.as_raw_fd().unsigned_abs()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for stop in kept.into_iter().chain([u32::MAX]) {
        // Nothing can have the number that the last range ends with.
        let last = stop.saturating_sub(1);
        if first <= last {
            // SAFETY: no memory is passed. What owns one of these descriptors is not used again: the caller's process
            // becomes another program or exits.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
        first = stop.saturating_add(1).max(3);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn only_what_came_through_execve_can_be_taken_and_only_once() {
        let ours = std::fs::File::open("/dev/null").unwrap();
        assert!(inherited(ours.as_raw_fd()).is_none());
        assert!(inherited(0).is_none());
        assert!(inherited(i32::MAX).is_none());

        rustix::io::fcntl_setfd(&ours, FdFlags::empty()).unwrap();
        let number = ours.into_raw_fd();
        let taken = inherited(number).unwrap();
        assert_eq!(taken.as_raw_fd(), number);
        assert!(inherited(number).is_none());
    }
}
