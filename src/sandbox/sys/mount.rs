//! `mount_setattr(2)`. The rest of the mount interface is `rustix::mount`.
#![expect(unsafe_code, reason = "mount_setattr is not in rustix")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// What mounts that a container sees get, over and above what they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    ReadOnly,
    NoSuid,
    NoDev,
    NoExec,
}

/// How mounts and unmounts travel between a mount and its copies in other namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Travel {
    Private,
    Slave,
    Shared,
}

/// Sets attributes of the mount that `root` is the root of, and of every mount below it. Made for a tree that
/// `open_tree` has cloned and nobody sees yet. Needs Linux 5.12.
pub(crate) fn set_recursively(
    root: impl AsFd,
    attributes: &[Attribute],
    travel: Option<Travel>,
) -> io::Result<()> {
    let set = attributes.iter().fold(0, |set, attribute| set | bit(*attribute));
    let propagation = match travel {
        None => 0,
        Some(Travel::Private) => libc::MS_PRIVATE,
        Some(Travel::Slave) => libc::MS_SLAVE,
        Some(Travel::Shared) => libc::MS_SHARED,
    };
    let change = libc::mount_attr { attr_set: set, attr_clr: 0, propagation, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is an empty string ending in NUL, the structure is initialised and of the size told, both
    // live across the call, which only reads them.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            root.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const change,
            size_of_val(&change),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn bit(attribute: Attribute) -> u64 {
    match attribute {
        Attribute::ReadOnly => libc::MOUNT_ATTR_RDONLY,
        Attribute::NoSuid => libc::MOUNT_ATTR_NOSUID,
        Attribute::NoDev => libc::MOUNT_ATTR_NODEV,
        Attribute::NoExec => libc::MOUNT_ATTR_NOEXEC,
    }
}
