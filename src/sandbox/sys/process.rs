//! Starting a program from a descriptor, with a new session and nothing inherited but what is named.
#![expect(unsafe_code, reason = "between fork and exec only bare system calls are allowed")]

use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::WaitOptions;

use super::{execve, pidfd, signal};

/// Where handed descriptors begin.
const FIRST_HANDED: i32 = 3;

/// linux/sched.h; libc has it in a type that it does not fit into.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the child does, made ready before the fork: the child can allocate nothing.
struct Orders {
    program: RawFd,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    /// Each lies above every number that something is placed at.
    placed: Vec<(RawFd, RawFd)>,
    /// The first number that nothing is placed at.
    beyond: RawFd,
    /// Highest number to look at on a kernel without `close_range`.
    limit: RawFd,
    failure: RawFd,
}

/// Executes `program` with `argv`, an empty environment, directory `/`, in a session of its own: stdin is
/// `/dev/null`, stdout and stderr are `output`, `handed` lie at 3, 4, …; no other descriptor is open, no signal
/// is blocked, ignored or handled. It is born in `cgroup`, a directory of version 2, where the kernel can do that.
/// Returns its pid and a pidfd.
///
/// # Errors
/// Whatever keeps the program from being executed; no child is left then.
pub(crate) fn start(
    program: BorrowedFd<'_>,
    argv: &[CString],
    output: BorrowedFd<'_>,
    handed: &[BorrowedFd<'_>],
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<(i32, OwnedFd)> {
    let (pid, pidfd, failed) = begin(program, argv, output, handed, cgroup)?;
    match failure_told(failed) {
        Ok(()) => Ok((pid, pidfd)),
        Err(error) => {
            end(pid);
            Err(error)
        }
    }
}

/// As [`start`], and waits for nothing: the pipe ends when the program is executed, or tells why it is not.
pub(crate) fn begin(
    program: BorrowedFd<'_>,
    argv: &[CString],
    output: BorrowedFd<'_>,
    handed: &[BorrowedFd<'_>],
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<(i32, OwnedFd, io::PipeReader)> {
    let count = i32::try_from(handed.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let beyond = FIRST_HANDED + count;
    let above = |descriptor: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(descriptor, beyond);
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;

    let (failed, low_failure) = io::pipe()?;
    let failure = above(low_failure.as_fd())?;
    // Only the child may keep the pipe open, or its end would never be seen.
    drop(low_failure);
    let program = above(program)?;
    let sources = [null.as_fd(), output, output]
        .into_iter()
        .chain(handed.iter().copied())
        .map(above)
        .collect::<Result<Vec<OwnedFd>, _>>()?;
    let orders = Orders {
        program: program.as_raw_fd(),
        argv: execve::pointers(argv),
        env: execve::pointers(&[]),
        placed: sources.iter().map(AsRawFd::as_raw_fd).zip(0..).collect(),
        beyond,
        limit: descriptor_limit(),
        failure: failure.as_raw_fd(),
    };
    // SAFETY: the child runs `carry_out` alone, which makes only async-signal-safe calls and never returns.
    let pid = match unsafe { cgroup.and_then(|cgroup| fork_into(cgroup)).unwrap_or_else(|| libc::fork()) } {
        -1 => return Err(io::Error::last_os_error()),
        0 => carry_out(&orders),
        pid => pid,
    };
    match pidfd::open(pid) {
        Ok(pidfd) => Ok((pid, pidfd, failed)),
        Err(error) => {
            end(pid);
            Err(error)
        }
    }
}

/// Of a child that is not reaped, so that the number is still its own.
fn end(pid: libc::pid_t) {
    // SAFETY: no memory is passed.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    // Nothing is to be learnt from how it ended.
    let _ = rustix::process::waitpid(rustix::process::Pid::from_raw(pid), WaitOptions::empty());
}

/// A fork whose child is in `cgroup` from its first moment on, without the wait for a grace period that moving there costs
/// (clone(2), `CLONE_INTO_CGROUP`, Linux 5.7). `None` if the kernel does not do it.
///
/// # Safety
/// The child may make only async-signal-safe calls.
unsafe fn fork_into(cgroup: BorrowedFd<'_>) -> Option<libc::pid_t> {
    // SAFETY: all of it is numbers, for which zero is a value.
    let mut order: libc::clone_args = unsafe { std::mem::zeroed() };
    order.flags = CLONE_INTO_CGROUP;
    order.exit_signal = libc::SIGCHLD as u64;
    order.cgroup = cgroup.as_raw_fd() as u64;
    // SAFETY: without `CLONE_VM` and a stack the child goes on with a copy of everything, as after a fork.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const order, size_of::<libc::clone_args>()) };
    i32::try_from(pid).ok().filter(|pid| *pid >= 0)
}

/// The pipe ends without a word when the child has become the program.
fn failure_told(mut failed: io::PipeReader) -> io::Result<()> {
    let mut errno = [0; 4];
    match io::Read::read(&mut failed, &mut errno)? {
        4 => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
        _ => Ok(()),
    }
}

/// Limits the address space of this process, in bytes.
///
/// # Errors
/// `EINVAL` if it has a lower hard limit already.
pub(crate) fn limit_memory(bytes: u64) -> io::Result<()> {
    let limit = rustix::process::Rlimit { current: Some(bytes), maximum: Some(bytes) };
    Ok(rustix::process::setrlimit(rustix::process::Resource::As, limit)?)
}

fn descriptor_limit() -> RawFd {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // As far as a loop of system calls is worth walking.
    limit.and_then(|limit| i32::try_from(limit).ok()).unwrap_or(i32::MAX).min(65_536)
}

/// In the child. Async-signal-safe: system calls on what was made ready, no allocation, no lock, no panic.
fn carry_out(orders: &Orders) -> ! {
    signal::reset_for_exec();
    // SAFETY: system calls on numbers and pointers that live in `orders`, which the child has its own copy of.
    unsafe {
        libc::setsid();
        libc::umask(0o022);
        let mut well = libc::chdir(c"/".as_ptr()) == 0;
        for (from, to) in &orders.placed {
            well = well && libc::dup2(*from, *to) == *to;
        }
        if well {
            close_beyond(orders);
            libc::syscall(
                libc::SYS_execveat,
                orders.program,
                c"".as_ptr(),
                orders.argv.as_ptr(),
                orders.env.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
        }
        let errno = (*libc::__errno_location()).to_ne_bytes();
        libc::write(orders.failure, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

/// Marks what lies beyond as close-on-exec, so that the program and the failure's pipe last until then.
///
/// # Safety
/// Only in a child between fork and exec, whose descriptors nobody else counts on.
unsafe fn close_beyond(orders: &Orders) {
    let first = orders.beyond.unsigned_abs();
    // SAFETY: sets a flag of descriptors that belong to this child alone.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if answer == 0 {
        return;
    }
    for number in orders.beyond..orders.limit {
        // SAFETY: as above; a number that is not open is answered with EBADF.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}
