//! What is mounted where, as this thread's mount namespace has it: the one reader of `mountinfo`.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::failure::cannot;

/// One line of the table (proc_pid_mountinfo(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    /// Of this mount, such as `rw,nosuid`.
    pub(crate) options: String,
    /// Type of the file system.
    pub(crate) kind: String,
    /// The file system's own options.
    pub(crate) data: String,
}

/// Every mount, in the order in which they were made.
pub(crate) fn table() -> io::Result<Vec<Mount>> {
    let table = std::fs::read("/proc/thread-self/mountinfo")
        .map_err(|error| cannot("read /proc/thread-self/mountinfo", error))?;
    Ok(parse(&table))
}

/// Mount points at `directory` and below, in the order in which they were made.
pub(crate) fn within(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let points = table()?.into_iter().map(|mount| mount.point);
    Ok(points.filter(|point| point.starts_with(directory)).collect())
}

/// Detaches every mount at `directory` and below, the last one first, before a removal that would empty what is
/// mounted there. Pod processes mount in namespaces of their own, so as a rule there is none.
pub(crate) fn detach_within(directory: &Path) -> io::Result<()> {
    for point in within(directory)?.into_iter().rev() {
        match unmount(&point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(cannot(format!("unmount {}", point.display()), error.into())),
        }
    }
    Ok(())
}

pub(super) fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|byte| *byte == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = unescape(fields.nth(4)?);
    let options = text(fields.next()?);
    // As many optional fields as there are stand before the lone hyphen.
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let (kind, data) = (text(rest.next()?), text(rest.nth(1)?));
    Some(Mount { point, options, kind, data })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Blank, tab, newline and backslash are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_kernel_writes_it() {
        let table = b"36 35 98:0 / /mnt/a\\040b\\134c rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n\
            37 35 0:5 / /proc rw,nosuid - proc proc rw\n";
        let mount = |point: &str, options: &str, kind: &str, data: &str| Mount {
            point: PathBuf::from(point),
            options: options.to_owned(),
            kind: kind.to_owned(),
            data: data.to_owned(),
        };
        assert_eq!(
            parse(table),
            [
                mount("/mnt/a b\\c", "rw,noatime", "ext3", "rw,errors=continue"),
                mount("/proc", "rw,nosuid", "proc", "rw"),
            ]
        );
    }

    #[test]
    fn what_is_below_a_directory_is_told_by_whole_names() {
        assert!(within(Path::new("/proc")).unwrap().contains(&PathBuf::from("/proc")));
        assert!(!within(Path::new("/pro")).unwrap().contains(&PathBuf::from("/proc")));
    }
}
