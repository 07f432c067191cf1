//! Reading that leaves no trace. The time of an access would be noted after each change of a file or directory, so that
//! who only looks, again and again, writes to a disc that is at rest.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// Opens with these flags and without a trace, or with a trace what belongs to another user.
pub(crate) fn untraced<T>(
    flags: OFlags,
    open: impl Fn(OFlags) -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        opened => opened,
    }
}

pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(untraced(flags, |flags| rustix::fs::openat(CWD, path, flags, Mode::empty()))?.into())
}

pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// What a directory holds, without `.` and `..`.
pub(crate) fn list(path: &Path) -> io::Result<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = untraced(flags, |flags| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
    super::names(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn nothing_that_is_read_here_has_another_time_of_access() {
        let place = std::env::temp_dir().join(format!("droppod-untraced-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        let file = place.join("file");
        std::fs::write(&file, "text").unwrap();
        let accessed = |path: &Path| {
            let is = std::fs::metadata(path).unwrap();
            (is.atime(), is.atime_nsec())
        };
        let before = (accessed(&place), accessed(&file));
        // A time of access that is older than the last change is what a reader would renew.
        let old = rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: old, last_modification: old };
        for path in [&place, &file] {
            rustix::fs::utimensat(CWD, path, &times, rustix::fs::AtFlags::empty()).unwrap();
        }
        assert_eq!(read(&file).unwrap(), b"text");
        assert_eq!(list(&place).unwrap(), ["file"]);
        assert_ne!((accessed(&place), accessed(&file)), before);
        assert_eq!((accessed(&place), accessed(&file)), ((1, 0), (1, 0)));
        std::fs::remove_dir_all(place).unwrap();
    }
}
