//! `seccomp(2)`: loading a filter without asking for no_new_privs, which whoever has CAP_SYS_ADMIN may do.
#![expect(unsafe_code, reason = "the call takes a pointer to a program")]

use std::io;

use seccompiler::sock_filter;

/// Whether this kernel filters system calls.
pub(crate) fn is_available() -> bool {
    let errno = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the call reads one word behind the pointer, which lives across it.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const errno) };
    answer == 0
}

/// Filters the calls of this thread and of what it executes, for good.
pub(crate) fn load(program: &[sock_filter], flags: u32) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The kernel's and the compiler's instruction have the same layout: code, two jumps, operand.
    let filter = program.as_ptr().cast_mut().cast::<libc::sock_filter>();
    let program = libc::sock_fprog { len, filter };
    // SAFETY: the kernel copies `len` instructions from `filter`, both taken from one slice that lives across the
    // call, and does not write to them.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
