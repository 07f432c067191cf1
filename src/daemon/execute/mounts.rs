//! What a removal must not reach through: a mount that became visible here would be emptied instead of left.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

/// Detaches every mount below `directory`, the deepest first. Pod processes mount in namespaces of their own, so
/// as a rule there is none.
pub(super) fn detach_below(directory: &Path) -> io::Result<()> {
    let table = std::fs::read("/proc/self/mountinfo")?;
    for target in below(&table, directory).into_iter().rev() {
        match unmount(&target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Mount points at or below `directory`, in the order in which they were made.
fn below(mountinfo: &[u8], directory: &Path) -> Vec<PathBuf> {
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(unescape)
        .filter(|target| target.starts_with(directory))
        .collect()
}

/// The kernel writes space, tab, newline and backslash as three octal digits (seq_path).
fn unescape(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| *first == b'\\').and_then(octal);
        match code {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(plain))
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::ffi::OsStr::from_bytes(digits).to_str()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_are_found_and_their_names_are_read_as_the_kernel_writes_them() {
        let table = b"1 0 8:1 / / rw - ext4 /dev/sda rw\n\
            2 1 0:9 / /run/droppod rw - tmpfs t rw\n\
            3 2 0:9 / /run/droppod/pods/a/mnt rw - tmpfs t rw\n\
            4 2 0:9 / /run/droppod/pods/a/mnt/my\\040dir rw - tmpfs t rw\n\
            5 2 0:9 / /run/droppod/pods/ab rw - tmpfs t rw\n";
        assert_eq!(
            below(table, Path::new("/run/droppod/pods/a")),
            [Path::new("/run/droppod/pods/a/mnt"), Path::new("/run/droppod/pods/a/mnt/my dir")]
        );
    }
}
