//! `bpf(2)`: programs that say which devices a version 2 control group may use.
#![expect(unsafe_code, reason = "the call takes a union of structures")]

use std::ffi::c_long;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// <linux/bpf.h>.
const PROG_LOAD: c_long = 5;
const PROG_ATTACH: c_long = 8;
const CGROUP_DEVICE_PROGRAM: u32 = 15;
const CGROUP_DEVICE_ATTACHMENT: u32 = 6;
/// Beside programs of the directories above, which all must agree.
const ALLOW_MULTI: u32 = 1 << 1;

/// What `BPF_PROG_LOAD` reads of `union bpf_attr`; the rest of the union counts as zero.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
struct Attach {
    target: i32,
    program: i32,
    kind: u32,
    flags: u32,
}

pub(crate) fn load_device_program(program: &[u64]) -> io::Result<OwnedFd> {
    let load = Load {
        kind: CGROUP_DEVICE_PROGRAM,
        count: u32::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the kernel reads `size_of` bytes of the structure, `count` instructions and a string that ends in NUL, all
    // of which live across the call, and writes nothing, as no log is asked for.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const load, size_of::<Load>()) };
    let descriptor = i32::try_from(answer).unwrap_or(-1);
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, close-on-exec, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The program stays for as long as the control group is there.
pub(crate) fn attach_device_program(program: impl AsFd, cgroup: impl AsFd) -> io::Result<()> {
    let attach = Attach {
        target: cgroup.as_fd().as_raw_fd(),
        program: program.as_fd().as_raw_fd(),
        kind: CGROUP_DEVICE_ATTACHMENT,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the kernel reads `size_of` bytes of the structure, which lives across the call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attach, size_of::<Attach>()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
