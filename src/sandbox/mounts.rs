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
    /// As `statx` tells it of what lies on the mount.
    pub(crate) id: u64,
    pub(crate) point: PathBuf,
    /// Of this mount, such as `rw,nosuid`.
    pub(crate) options: String,
    pub(crate) standing: Standing,
    /// Type of the file system.
    pub(crate) kind: String,
    /// The file system's own options.
    pub(crate) data: String,
}

/// How a mount passes on what is mounted below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Shared,
    Slave,
    Private,
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
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let point = unescape(fields.nth(3)?);
    let options = text(fields.next()?);
    // As many optional fields as there are stand before the lone hyphen.
    let standing = standing(fields.by_ref().take_while(|field| *field != b"-"));
    let (kind, data) = (text(fields.next()?), text(fields.nth(1)?));
    Some(Mount { id, point, options, standing, kind, data })
}

/// One that is shared may be a slave as well.
fn standing<'f>(optional: impl Iterator<Item = &'f [u8]>) -> Standing {
    optional.fold(Standing::Private, |standing, field| match standing {
        Standing::Shared => Standing::Shared,
        _ if field.starts_with(b"shared:") => Standing::Shared,
        _ if field.starts_with(b"master:") => Standing::Slave,
        Standing::Slave | Standing::Private => standing,
    })
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
        let mount = |id, point: &str, options: &str, standing, kind: &str, data: &str| Mount {
            id,
            point: PathBuf::from(point),
            options: options.to_owned(),
            standing,
            kind: kind.to_owned(),
            data: data.to_owned(),
        };
        assert_eq!(
            parse(table),
            [
                mount(36, "/mnt/a b\\c", "rw,noatime", Standing::Shared, "ext3", "rw,errors=continue"),
                mount(37, "/proc", "rw,nosuid", Standing::Private, "proc", "rw"),
            ]
        );
    }

    #[test]
    fn a_mount_says_how_it_passes_mounts_on() {
        let table = b"36 35 98:0 / /a rw shared:1 - ext3 /dev/root rw\n\
                      37 35 98:0 / /b rw shared:7 master:1 - ext3 /dev/root rw\n\
                      38 35 98:0 / /c rw master:1 - ext3 shared:9 rw\n39 35 98:0 / /d rw - ext3 x rw\n";
        let standings: Vec<_> = parse(table).iter().map(|mount| (mount.id, mount.standing)).collect();
        let (shared, private) = (Standing::Shared, Standing::Private);
        assert_eq!(standings, [(36, shared), (37, shared), (38, Standing::Slave), (39, private)]);
    }

    #[test]
    fn what_is_below_a_directory_is_told_by_whole_names() {
        assert!(within(Path::new("/proc")).unwrap().contains(&PathBuf::from("/proc")));
        assert!(!within(Path::new("/pro")).unwrap().contains(&PathBuf::from("/proc")));
    }
}
