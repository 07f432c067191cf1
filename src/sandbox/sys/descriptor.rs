//! Descriptors by number: those this process was started with, and which of them the next program gets.
#![expect(
    unsafe_code,
    reason = "a descriptor's number becomes its owner here, and close_range is not in rustix"
)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

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

/// Lets the next program have no descriptor from `first` on but those in `keep`.
pub(crate) fn close_on_exec_from(first: u32, keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    // SAFETY: sets a flag of descriptors, closes none.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if answer != 0 {
        close_on_exec_each(first)?;
    }
    for descriptor in keep {
        rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    Ok(())
}

/// For a kernel older than 5.11.
fn close_on_exec_each(first: u32) -> io::Result<()> {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| u32::try_from(*number).is_ok_and(|number| number >= first))
        .collect();
    for number in open {
        // SAFETY: borrowed for one call that does not close it; the directory's own descriptor is closed by now
        // and answered with EBADF.
        let _ = rustix::io::fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::CLOEXEC);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};

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
