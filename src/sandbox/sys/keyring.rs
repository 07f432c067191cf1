//! Session keyrings, `keyctl(2)`.
#![expect(unsafe_code, reason = "keyctl is not in rustix")]

use std::io;

const JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Gives this process, and those it makes from now on, an empty session keyring. A kernel without keyrings has nothing
/// to keep apart.
pub(crate) fn join_new_session() -> io::Result<()> {
    // SAFETY: no name is given; the call touches no memory of ours.
    let answer = unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>(), 0, 0, 0)
    };
    match io::Error::last_os_error() {
        error if answer < 0 && error.raw_os_error() != Some(libc::ENOSYS) => Err(error),
        _ => Ok(()),
    }
}
