//! All logs of an instance within so many bytes: what is oldest goes, that of ended pods before that of living ones.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::publish::untraced;

/// Of what there is, where nobody says otherwise.
const MOST: u64 = 1024 * 1024 * 1024;
const SHARE: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    Ended,
    Living,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LogFile {
    life: Life,
    written: SystemTime,
    path: PathBuf,
    bytes: u64,
}

/// One gibibyte, or a tenth of the disc that the logs lie on.
pub(crate) fn usual(log_dir: &Path) -> io::Result<u64> {
    std::fs::create_dir_all(log_dir)?;
    let disc = rustix::fs::statvfs(log_dir)?;
    Ok(MOST.min(disc.f_blocks.saturating_mul(disc.f_frsize) / SHARE))
}

/// Removes what is beyond the budget, of these pods' log directories alone: others may have theirs beside them. The
/// file that a container of a living pod writes to stays, whatever there is. Gives the bytes that went.
pub(crate) fn keep(pods: impl IntoIterator<Item = (PathBuf, Life)>, budget: u64) -> io::Result<u64> {
    let mut files = Vec::new();
    let mut total = 0;
    for (directory, life) in pods {
        for container in entries(&directory)? {
            let logs = logs(&container, life)?;
            total += logs.iter().map(|log| log.bytes).sum::<u64>();
            let latest = logs.iter().filter_map(|log| Some((run(&log.path)?, log.path.clone()))).max();
            files.extend(logs.into_iter().filter(|log| {
                life == Life::Ended || latest.as_ref().is_none_or(|(_, path)| *path != log.path)
            }));
        }
    }
    files.sort_by_key(|file| Reverse((file.life, file.written)));
    let mut gone = 0;
    while total - gone > budget
        && let Some(file) = files.pop()
    {
        match std::fs::remove_file(&file.path) {
            // Somebody else, such as a rotation, was there first.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => gone += file.bytes,
        }
    }
    Ok(gone)
}

fn logs(container: &Path, life: Life) -> io::Result<Vec<LogFile>> {
    let mut logs = Vec::new();
    for path in entries(container)? {
        let is = match path.symlink_metadata() {
            // Rotated away since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            is => is?,
        };
        if is.is_file() {
            let written = is.modified()?;
            logs.push(LogFile { life, written, path, bytes: is.len() });
        }
    }
    Ok(logs)
}

/// The number of the run, of the file that is written to and no rotated one.
fn run(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok()
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match untraced::list(directory) {
        Ok(names) => Ok(names.into_iter().map(|name| directory.join(name)).collect()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
