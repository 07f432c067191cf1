//! Replaces a file whole: written beside, synced, renamed. A reader sees the old content or the new, never a
//! part, and a symlink or FIFO planted at the name is replaced, never followed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::failpoint;

mod abandoned;
pub(crate) mod status;
mod tree;
pub(crate) mod untraced;

pub(crate) use abandoned::remove_abandoned;
pub(crate) use tree::{directory_below, names, remove_tree, remove_tree_at};

/// Files written together; each takes two descriptors meanwhile.
const AT_ONCE: usize = 128;

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
    let target = Target::of(path)?;
    if target.holds(content) {
        // An earlier try may have failed after the rename, which is in force only once it is on disc.
        target.settle(durability)?;
        return Ok(Published::Unchanged);
    }
    let draft = target.draft(content, mode)?;
    draft.sync(durability)?;
    draft.rename()?.target.settle(durability)?;
    Ok(Published::Written)
}

/// As [`publish`] of a file that somebody else has made: it stays his, and its mode as it was.
pub(crate) fn publish_edited(path: &Path, content: &[u8]) -> io::Result<()> {
    let present = path.metadata()?;
    let draft = Target::of(path)?.draft(content, present.mode() & 0o7777)?;
    fchown(&draft.file, Some(present.uid()), Some(present.gid()))?;
    draft.sync(Durability::Durable)?;
    draft.rename()?.target.settle(Durability::Durable)
}

/// As [`publish`] of each. They go to disc together: a file system with a journal then writes it a few times, not twice
/// for each file. An answer for each; one that could not be made ready is its own answer.
pub(crate) fn publish_all(
    files: Vec<io::Result<(PathBuf, Vec<u8>)>>,
    mode: u32,
    durability: Durability,
) -> Vec<io::Result<()>> {
    let mut files = files.into_iter().peekable();
    let mut published = Vec::with_capacity(files.len());
    while files.peek().is_some() {
        published.extend(publish_chunk(files.by_ref().take(AT_ONCE), mode, durability));
    }
    published
}

fn publish_chunk(
    files: impl Iterator<Item = io::Result<(PathBuf, Vec<u8>)>>,
    mode: u32,
    durability: Durability,
) -> Vec<io::Result<()>> {
    let steps = files.map(|file| {
        let (path, content) = file?;
        let target = Target::of(&path)?;
        if target.holds(&content) {
            Ok(Step::Same(target))
        } else {
            target.draft(&content, mode).map(Step::New)
        }
    });
    let steps: Vec<io::Result<Step>> = steps.collect();
    for step in steps.iter().flatten() {
        step.begin_writing();
    }
    let synced = steps.into_iter().map(|step| {
        let step = step?;
        step.sync(durability)?;
        Ok(step)
    });
    let synced: Vec<io::Result<Step>> = synced.collect();
    let named: Vec<io::Result<Step>> = synced.into_iter().map(|step| step.and_then(Step::name)).collect();
    named.into_iter().map(|step| step?.target().settle(durability)).collect()
}

/// One of many on its way to disc.
enum Step {
    Same(Target),
    New(Draft),
}

impl Step {
    fn begin_writing(&self) {
        if let Step::New(draft) = self {
            draft.begin_writing();
        }
    }

    fn sync(&self, durability: Durability) -> io::Result<()> {
        match self {
            Step::Same(_) => Ok(()),
            Step::New(draft) => draft.sync(durability),
        }
    }

    fn name(self) -> io::Result<Step> {
        match self {
            Step::Same(target) => Ok(Step::Same(target)),
            Step::New(draft) => draft.rename().map(Step::New),
        }
    }

    fn target(&self) -> &Target {
        match self {
            Step::Same(target) => target,
            Step::New(draft) => &draft.target,
        }
    }
}

/// A name in a directory.
#[derive(Debug)]
struct Target {
    directory: File,
    name: OsString,
}

impl Target {
    fn of(path: &Path) -> io::Result<Target> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"));
        };
        Ok(Target { directory: open_directory(directory)?, name: name.to_owned() })
    }

    fn holds(&self, content: &[u8]) -> bool {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = |flags| rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty());
        let Ok(file) = untraced::untraced(flags, open) else {
            return false;
        };
        let mut file = File::from(file);
        let same_size = file.metadata().is_ok_and(|is| is.is_file() && is.len() == content.len() as u64);
        let mut present = Vec::new();
        same_size && file.read_to_end(&mut present).is_ok() && present == content
    }

    fn draft(self, content: &[u8], mode: u32) -> io::Result<Draft> {
        // A leftover of a killed one of the same number is taken over by the unlink.
        let temporary = abandoned::draft_name(&self.name.to_string_lossy());
        let mode = Mode::from_raw_mode(mode);
        let file = loop {
            match rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = File::from(rustix::fs::openat(&self.directory, &temporary, flags, mode)?);
            if abandoned::claim(&file)? {
                break file;
            }
        };
        let mut draft = Draft { target: self, temporary: Some(temporary), file };
        // The umask has had its say in openat; the mode asked for is the mode given.
        rustix::fs::fchmod(&draft.file, mode)?;
        draft.file.write_all(content)?;
        Ok(draft)
    }

    /// Syncs the name, where that matters.
    fn settle(&self, durability: Durability) -> io::Result<()> {
        match durability {
            Durability::Volatile | Durability::Whole => Ok(()),
            Durability::Durable => Ok(rustix::fs::fsync(&self.directory)?),
        }
    }
}

/// A new content beside the old one; goes with its value unless it took the name.
#[derive(Debug)]
struct Draft {
    target: Target,
    /// Until it has the name.
    temporary: Option<String>,
    file: File,
}

impl Draft {
    /// Waits for nothing. A file system that cannot be told is written to when it is synced.
    fn begin_writing(&self) {
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
    }

    fn sync(&self, durability: Durability) -> io::Result<()> {
        match durability {
            Durability::Volatile => Ok(()),
            Durability::Whole | Durability::Durable => self.file.sync_data(),
        }
    }

    fn rename(mut self) -> io::Result<Draft> {
        if let Some(temporary) = &self.temporary {
            let Target { directory, name } = &self.target;
            failpoint::reach_of("draft of", name)?;
            rustix::fs::renameat(directory, temporary, directory, name)?;
            self.temporary = None;
        }
        Ok(self)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // One that stays is taken over by the next try.
            let _ = rustix::fs::unlinkat(&self.target.directory, temporary, AtFlags::empty());
        }
    }
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
    publish(path, &json(value)?, 0o600, durability)
}

/// A value as [`publish_json`] writes it.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(text)
}

/// Reads what [`publish_json`] wrote; `None` if there is no such file.
///
/// # Errors
/// `InvalidData` if the content is not a `T`.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match untraced::read(path) {
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

/// Waits until the names in a directory are on disc.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    open_directory(path)?.sync_all()
}

fn open_directory(path: &Path) -> io::Result<File> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(test)]
mod tests;
