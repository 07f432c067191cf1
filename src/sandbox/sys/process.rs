//! Starting a program from a descriptor, with a new session and nothing inherited but what is named.
#![expect(unsafe_code, reason = "between clone and exec only bare system calls are allowed")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::WaitOptions;

use super::{birth, execve, pidfd, signal};

/// Where handed descriptors begin.
const FIRST_HANDED: i32 = 3;

/// Bytes that the child has for its calls.
const STACK: usize = 64 * 1024;
/// What the processor asks of a stack.
const ALIGNMENT: usize = 16;
/// The child lives in our memory, and this thread waits until it has become the program. A copy of the memory, as fork(2)
/// makes one, takes the longer the more a watcher knows, and each page is copied again that is written to after it.
const AS_VFORK: i32 = libc::CLONE_VM | libc::CLONE_VFORK;
/// linux/sched.h; libc has it in a type that it does not fit into.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the child does, made ready before it is: the child can allocate nothing.
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
    let (failed, failure) = io::pipe()?;
    let Ready { orders, descriptors } = Ready::of(program, argv, output, handed, failure.as_fd())?;
    drop(failure);
    let pid = clone(&orders, cgroup)?;
    // Only the child may keep the pipe open, or its end would never be seen.
    drop(descriptors);
    match pidfd::open(pid).and_then(|pidfd| failure_told(failed).map(|()| pidfd)) {
        Ok(pidfd) => Ok((pid, pidfd)),
        Err(error) => {
            end(pid);
            Err(error)
        }
    }
}

/// As [`start`], and waits for nothing that `cgroup` has to give: a child there gets a copy of this process's memory, as it
/// may take for ever to become the program where there is no processor time. One without lives in ours until then, and
/// closes what lies where something is handed over: nothing of a file system that may not answer must lie there.
/// Why it cannot become the program is written to `verdict`, see [`birth::said`].
pub(crate) fn begin(
    program: BorrowedFd<'_>,
    argv: &[CString],
    output: BorrowedFd<'_>,
    handed: &[BorrowedFd<'_>],
    cgroup: Option<BorrowedFd<'_>>,
    verdict: BorrowedFd<'_>,
) -> io::Result<(i32, OwnedFd)> {
    let ready = Ready::of(program, argv, output, handed, verdict)?;
    // SAFETY: the child runs `carry_out` alone, which makes only async-signal-safe calls and never returns.
    let pid = match cgroup.and_then(|cgroup| unsafe { fork_into(cgroup) }) {
        Some(0) => carry_out(&ready.orders),
        Some(pid) => pid,
        None => clone(&ready.orders, None)?,
    };
    pidfd::open(pid).map(|pidfd| (pid, pidfd)).inspect_err(|_| end(pid))
}

/// All that is made before the child is.
struct Ready {
    orders: Orders,
    /// What the orders name by number.
    descriptors: Vec<OwnedFd>,
}

impl Ready {
    /// `argv` has to outlive the orders.
    fn of(
        program: BorrowedFd<'_>,
        argv: &[CString],
        output: BorrowedFd<'_>,
        handed: &[BorrowedFd<'_>],
        failure: BorrowedFd<'_>,
    ) -> io::Result<Ready> {
        let count = i32::try_from(handed.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let beyond = FIRST_HANDED + count;
        let above = |descriptor: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(descriptor, beyond);
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let (failure, program) = (above(failure)?, above(program)?);
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
        Ok(Ready { orders, descriptors: sources.into_iter().chain([failure, program]).collect() })
    }
}

/// Of a child that is not reaped, so that the number is still its own.
fn end(pid: libc::pid_t) {
    // SAFETY: no memory is passed.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    // Nothing is to be learnt from how it ended.
    let _ = rustix::process::waitpid(rustix::process::Pid::from_raw(pid), WaitOptions::empty());
}

/// A fork whose child is in `cgroup`, as [`clone_into`] makes one.
///
/// # Safety
/// The child may make only async-signal-safe calls.
unsafe fn fork_into(cgroup: BorrowedFd<'_>) -> Option<libc::pid_t> {
    // SAFETY: all of it is numbers, for which zero is a value.
    let mut order: libc::clone_args = unsafe { std::mem::zeroed() };
    order.flags = CLONE_INTO_CGROUP;
    order.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    order.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    // SAFETY: without `CLONE_VM` and a stack the child goes on with a copy of everything, as after a fork.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const order, size_of::<libc::clone_args>()) };
    i32::try_from(pid).ok().filter(|pid| *pid >= 0)
}

fn clone(orders: &Orders, cgroup: Option<BorrowedFd<'_>>) -> io::Result<i32> {
    let mut stack = vec![0_u128; STACK / ALIGNMENT];
    let orders: *const Orders = orders;
    // A handler of ours that ran in the child would do so in our memory.
    let masked = signal::Masked::all()?;
    if let Some(pid) = cgroup.and_then(|cgroup| clone_into(cgroup, &mut stack, orders)) {
        return Ok(pid);
    }
    let top = stack.as_mut_ptr_range().end.cast();
    // SAFETY: the child runs `child` alone, on a stack that nobody else uses and that, as `orders`, lives until this call
    // returns: with CLONE_VFORK that is once the child has executed the program or ended.
    let pid = unsafe { libc::clone(child, top, AS_VFORK | libc::SIGCHLD, orders.cast_mut().cast()) };
    let error = io::Error::last_os_error();
    drop(masked);
    if pid < 0 { Err(error) } else { Ok(pid) }
}

/// A child that is in `cgroup` from its first moment on: moving there would make it wait for a grace period (clone(2),
/// Linux 5.7). `None` if it cannot be had. The C library has no function for it.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn clone_into(cgroup: BorrowedFd<'_>, stack: &mut [u128], orders: *const Orders) -> Option<i32> {
    // SAFETY: all of it is numbers, for which zero is a value.
    let mut order: libc::clone_args = unsafe { std::mem::zeroed() };
    order.flags = u64::from(AS_VFORK.unsigned_abs()) | CLONE_INTO_CGROUP;
    order.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    order.stack = stack.as_mut_ptr() as u64;
    order.stack_size = size_of_val(stack) as u64;
    order.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    let size = size_of::<libc::clone_args>();
    let answer: isize;
    // SAFETY: as in `clone`. The child, which gets zero, goes on at the top of its own stack, in a function that never
    // returns; in this thread nothing is changed but what is named.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => answer,
            in("rdi") &raw const order,
            in("rsi") size,
            in("r12") orders,
            in("r13") child as extern "C" fn(*mut c_void) -> c_int,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "brk 1",
            "2:",
            inlateout("x0") &raw const order => answer,
            in("x1") size,
            in("x8") libc::SYS_clone3,
            in("x20") orders,
            in("x21") child as extern "C" fn(*mut c_void) -> c_int,
        );
    }
    i32::try_from(answer).ok().filter(|pid| *pid > 0)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn clone_into(_: BorrowedFd<'_>, _: &mut [u128], _: *const Orders) -> Option<i32> {
    None
}

extern "C" fn child(orders: *mut c_void) -> c_int {
    // SAFETY: `clone` hands over a pointer to orders that live for as long as the child is in here.
    carry_out(unsafe { &*orders.cast_const().cast::<Orders>() })
}

/// The pipe ends without a word when the child has become the program.
fn failure_told(mut failed: io::PipeReader) -> io::Result<()> {
    let mut told = Vec::new();
    io::Read::read_to_end(&mut failed, &mut told)?;
    match birth::parts(&told) {
        (_, Some(error)) => Err(error),
        (_, None) => Ok(()),
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

/// In the child, which shares our memory and nothing else: system calls on what was made ready, no allocation, no lock, no
/// panic.
fn carry_out(orders: &Orders) -> ! {
    signal::reset_for_exec();
    // SAFETY: system calls on numbers and pointers that live in `orders`; descriptors and signals are the child's own.
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
        let errno = *libc::__errno_location();
        birth::tell(BorrowedFd::borrow_raw(orders.failure), c"cannot execute droppod itself: ", errno);
        libc::_exit(127)
    }
}

/// Marks what lies beyond as close-on-exec, so that the program and the failure's pipe last until then.
///
/// # Safety
/// Only in a child between clone and exec, whose descriptors nobody else counts on.
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
