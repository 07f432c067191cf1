//! Whether anybody has a file open for writing, which the kernel counts for leases.
#![expect(unsafe_code, reason = "leases are not in rustix")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// fcntl(2); asm-generic/fcntl.h.
const F_SETSIG: i32 = 10;

/// Who writes to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writers {
    Nobody,
    Somebody,
    /// The file system grants no leases, or not to us.
    Unknown,
}

/// A read lease is granted where nobody has the file open for writing; it is given back at once. Who opens it so in
/// between waits for that. The file is to be open for reading alone.
pub(crate) fn of(file: impl AsFd) -> Writers {
    // In place of SIGIO, which would end us: it does nothing by itself.
    match control(&file, F_SETSIG, libc::SIGURG)
        .and_then(|()| control(&file, libc::F_SETLEASE, libc::F_RDLCK))
    {
        // What cannot be given back ends with the descriptor.
        Ok(()) => {
            control(&file, libc::F_SETLEASE, libc::F_UNLCK).map_or(Writers::Unknown, |()| Writers::Nobody)
        }
        Err(error) if error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()) => Writers::Somebody,
        Err(_) => Writers::Unknown,
    }
}

fn control(file: &impl AsFd, command: i32, value: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call; these commands take a number and no memory.
    let answer = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, value) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_has_writers_for_as_long_as_it_is_open_for_writing() {
        let path = std::env::temp_dir().join(format!("droppod-writers-{}", std::process::id()));
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        assert_eq!(of(&reader), Writers::Somebody);
        drop(writer);
        assert_eq!(of(&reader), Writers::Nobody);
        // Another reader is none, and nothing is left of the question.
        let _other = File::open(&path).unwrap();
        assert_eq!(of(&reader), Writers::Nobody);
        drop(File::options().append(true).open(&path).unwrap());
        std::fs::remove_file(path).unwrap();
    }
}
