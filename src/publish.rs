//! Replaces a file whole: written beside, synced, renamed. A reader sees the old content or the new, never a
//! part, and a symlink or FIFO planted at the name is replaced, never followed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

pub(crate) mod status;
mod tree;

pub(crate) use tree::{directory_below, names, remove_tree, remove_tree_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    Unchanged,
    Written,
}

/// How much a lost update would hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Lies on tmpfs: no sync at all.
    Volatile,
    /// Can be made again: the content is synced, so that a power cut leaves it old or new.
    Whole,
    /// Others act on it: the rename is synced as well before this returns.
    Durable,
}

/// Makes `path` hold `content` with permission bits `mode`; does nothing if it already does.
///
/// # Errors
/// Whatever the kernel answers; the old content is then still in place and no temporary file is left.
pub(crate) fn publish(
    path: &Path,
    content: &[u8],
    mode: u32,
    durability: Durability,
) -> io::Result<Published> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"));
    };
    let directory = open_directory(directory)?;
    if holds(&directory, Path::new(name), content) {
        return Ok(Published::Unchanged);
    }
    // The pid keeps two writers apart; a leftover of a killed one is taken over by the unlink.
    let temporary = format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id());
    match rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let written = write_new(&directory, &temporary, content, mode, durability)
        .and_then(|()| Ok(rustix::fs::renameat(&directory, &temporary, &directory, name)?));
    if let Err(error) = written {
        // The first error is the one to tell; a temporary file that stays is taken over by the next try.
        let _ = rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty());
        return Err(error);
    }
    if durability == Durability::Durable {
        rustix::fs::fsync(&directory)?;
    }
    Ok(Published::Written)
}

/// Makes a file that nobody has made yet. Its name comes last: a reader finds it whole or not at all, and one who
/// is killed half-way leaves nothing.
///
/// # Errors
/// `AlreadyExists` if there is a file of that name; it is left as it is.
pub(crate) fn publish_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"));
    };
    let directory = open_directory(directory)?;
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(&directory, ".", flags, Mode::from_raw_mode(0o600))?);
    file.write_all(content)?;
    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(rustix::fs::CWD, nameless, &directory, name, AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

/// As [`publish`], for a value in JSON.
pub(crate) fn publish_json<T: serde::Serialize>(
    path: &Path,
    value: &T,
    durability: Durability,
) -> io::Result<Published> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    publish(path, &text, 0o600, durability)
}

/// Reads what [`publish_json`] wrote; `None` if there is no such file.
///
/// # Errors
/// `InvalidData` if the content is not a `T`.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file; one that is not there is as good as removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn open_directory(path: &Path) -> io::Result<File> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn holds(directory: impl AsFd, name: &Path, content: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) else { return false };
    let mut file = File::from(file);
    let same_size = file.metadata().is_ok_and(|is| is.is_file() && is.len() == content.len() as u64);
    let mut present = Vec::new();
    same_size && file.read_to_end(&mut present).is_ok() && present == content
}

fn write_new(
    directory: &File,
    name: &str,
    content: &[u8],
    mode: u32,
    durability: Durability,
) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(mode))?);
    // The umask has had its say in openat; the mode asked for is the mode given.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    file.write_all(content)?;
    match durability {
        Durability::Volatile => Ok(()),
        Durability::Whole | Durability::Durable => file.sync_data(),
    }
}
