//! Signals: as a descriptor for a poll loop, and put back as a program expects to find them.
#![expect(unsafe_code, reason = "signal masks and dispositions are not in rustix")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel's highest signal number, SIGRTMAX.
const HIGHEST: i32 = 64;
/// Words of the kernel's `struct sigaction`: handler, flags, restorer, a mask of 64 signals.
const KERNEL_SIGACTION: usize = 4;

/// Signals that are blocked in this thread and read from a descriptor instead.
#[derive(Debug)]
pub(crate) struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks `signals` in the calling thread. What this thread executes inherits that, so call
    /// [`reset_for_exec`] before it does.
    pub(crate) fn block(signals: &[i32]) -> io::Result<SignalFd> {
        let set = set_of(signals);
        // SAFETY: `set` is an initialised set, the old mask is not asked for.
        let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: `set` is an initialised set, -1 asks for a descriptor of its own.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor and nobody else knows of it.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Signals that have come since the last call; one that came twice may be told once.
    pub(crate) fn read(&self) -> io::Result<Vec<i32>> {
        const RECORD: usize = size_of::<libc::signalfd_siginfo>();
        let mut signals = Vec::new();
        let mut record = [0; RECORD];
        loop {
            match rustix::io::read(&self.0, &mut record) {
                // `ssi_signo`, the first field, is a u32.
                Ok(RECORD) => signals.push(i32::from_ne_bytes([record[0], record[1], record[2], record[3]])),
                Ok(_) | Err(rustix::io::Errno::AGAIN) => return Ok(signals),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// All signals are blocked in the calling thread for as long as this lives.
#[derive(Debug)]
pub(super) struct Masked(libc::sigset_t);

impl Masked {
    pub(super) fn all() -> io::Result<Masked> {
        let (mut all, mut before) = (set_of(&[]), set_of(&[]));
        // SAFETY: fills an initialised set.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: both are initialised sets.
        match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) } {
            0 => Ok(Masked(before)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        // SAFETY: an initialised set; the one before is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// Children of this process are reaped by the kernel, each as it ends.
pub(crate) fn reap_unseen() {
    // SAFETY: sets a disposition that runs no code; the number is a signal's that may be ignored.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// Every signal at its default and none blocked, as a program expects to be executed. Async-signal-safe.
pub(crate) fn reset_for_exec() {
    let default = [0_u64; KERNEL_SIGACTION];
    for signal in 1..=HIGHEST {
        // By the bare system call: libc refuses the two signals that it keeps for itself, and whoever started us
        // may have left those ignored.
        // SAFETY: an all-zero action is the default one, which runs no code of ours; the old one is not asked for.
        // SIGKILL and SIGSTOP are refused, which changes nothing.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u8>(),
                size_of::<u64>(),
            )
        };
    }
    let none = set_of(&[]);
    // SAFETY: `none` is an initialised set, the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the line above.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: `set` is initialised; a number that is no signal is refused and changes nothing.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_is_read_and_does_nothing_else() {
        let signals = std::thread::spawn(|| {
            let signals = SignalFd::block(&[libc::SIGUSR2, libc::SIGHUP]).unwrap();
            assert!(signals.read().unwrap().is_empty());
            // SAFETY: sends a signal that this thread has blocked to this thread.
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) };
            signals.read().unwrap()
        });
        assert_eq!(signals.join().unwrap(), [libc::SIGUSR2]);
    }
}
