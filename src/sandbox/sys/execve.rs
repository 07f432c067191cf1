//! `execve(2)`, and nothing around it: no search along PATH, no `/bin/sh` for a file without `#!`.
#![expect(unsafe_code, reason = "execve takes arrays of pointers")]

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::ptr;

/// Becomes another program. Returns only if it cannot.
pub(crate) fn execve(program: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: `program` ends in NUL; both arrays end in a null pointer, point to strings ending in NUL, and with
    // what they point to live across the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

pub(super) fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}
