//! One status file: ours or not, replaced or removed, never through a symbolic link.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::failpoint;

use super::abandoned::{drafted, remove_if_abandoned};
use super::untraced::untraced;
use super::{Durability, directory_below, names, publish, publish_all};

/// Every status file starts with these lines.
const OURS: &str = "apiVersion: droppod.dev/v1\nkind: ManifestStatus\n";

/// Anybody may read how a pod does.
const MODE: u32 = 0o644;

/// What a writer that was killed has left of a status file, or what another has not finished yet.
pub(crate) fn is_draft(name: &str) -> bool {
    drafted(name).is_some_and(|name| name.ends_with(".status.yaml"))
}

#[derive(Debug)]
pub(crate) struct Place {
    directory: OwnedFd,
    name: String,
}

/// Why a status file is not written or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the folder is not there")]
    NoFolder,
    #[error("the path of the manifest is not UTF-8; nothing is read from it until it is renamed")]
    NotUtf8,
    #[error("a file that is not ours bears the name {0}")]
    NotOurs(String),
    #[error("cannot {operation} {name}")]
    Io { operation: &'static str, name: String, source: io::Error },
}

impl Refusal {
    /// Whether the folder takes no file at all from this process.
    pub(crate) fn is_of_folder(&self) -> bool {
        match self {
            Refusal::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
            }
            Refusal::NoFolder | Refusal::NotUtf8 | Refusal::NotOurs(_) => false,
        }
    }

    fn io(operation: &'static str, name: &str) -> impl FnOnce(io::Error) -> Refusal {
        move |source| Refusal::Io { operation, name: name.to_owned(), source }
    }
}

impl Place {
    /// In the manifest's own directory, reached through no link.
    pub(crate) fn beside(root: BorrowedFd<'_>, below: &Path, name: String) -> Result<Place, Refusal> {
        let directory = directory_below(root, below)
            .map_err(|error| Refusal::io("open the directory of", &name)(error.into()))?;
        Ok(Place { directory, name })
    }

    /// At the same relative path below a directory that the user named.
    pub(crate) fn below(directory: &Path, below: &Path, name: String) -> Result<Place, Refusal> {
        std::fs::create_dir_all(directory).map_err(Refusal::io("make the directory of", &name))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(directory, flags, Mode::empty())
            .map_err(|error| Refusal::io("open the directory of", &name)(error.into()))?;
        let mut path = PathBuf::new();
        for part in below {
            path.push(part);
            match rustix::fs::mkdirat(&root, &path, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(Refusal::io("make the directory of", &name)(error.into())),
            }
        }
        Place::beside(root.as_fd(), below, name)
    }

    /// In a directory known by its absolute path, reached through no link.
    pub(crate) fn in_directory(directory: &Path, name: String) -> Result<Place, Refusal> {
        let root = rustix::fs::open("/", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| Refusal::io("open the root directory for", &name)(error.into()))?;
        Place::beside(root.as_fd(), directory.strip_prefix("/").unwrap_or(directory), name)
    }

    pub(crate) fn write(&self, text: &str) -> Result<(), Refusal> {
        publish(&self.ready()?, text.as_bytes(), MODE, Durability::Whole)
            .and_then(|_| failpoint::reach("status file written"))
            .map_err(Refusal::io("write", &self.name))
    }

    /// As [`Place::write`] of each, together; an answer for each.
    pub(crate) fn write_all(files: &[(&Place, &str)]) -> Vec<Result<(), Refusal>> {
        let ready: Vec<Result<PathBuf, Refusal>> = files.iter().map(|(place, _)| place.ready()).collect();
        let contents = files.iter().zip(&ready).filter_map(|((_, text), ready)| {
            let path = ready.as_ref().ok()?;
            Some(Ok((path.clone(), text.as_bytes().to_vec())))
        });
        let mut published = publish_all(contents.collect(), MODE, Durability::Whole).into_iter();
        let answers = ready.into_iter().zip(files).map(|(ready, (place, _))| {
            ready?;
            let published = published.next().expect("each that is ready has an answer");
            published
                .and_then(|()| failpoint::reach("status file written"))
                .map_err(Refusal::io("write", &place.name))
        });
        answers.collect()
    }

    /// Where it is to be written, if nobody else's file is in the way.
    fn ready(&self) -> Result<PathBuf, Refusal> {
        match self.standing()? {
            Standing::Nothing | Standing::Ours => {}
            Standing::NotOurs => return Err(Refusal::NotOurs(self.name.clone())),
        }
        // By its descriptor the directory is the one that was looked at, whatever its name leads to now.
        Ok(PathBuf::from(format!("/proc/self/fd/{}", self.directory.as_raw_fd())).join(&self.name))
    }

    /// As [`Place::write`], if there is one already.
    pub(crate) fn write_over(&self, text: &str) -> Result<(), Refusal> {
        match self.standing()? {
            Standing::Nothing => Ok(()),
            Standing::Ours | Standing::NotOurs => self.write(text),
        }
    }

    /// One that is half written goes too, unless somebody is at it.
    pub(crate) fn remove(&self) -> Result<(), Refusal> {
        if is_draft(&self.name) {
            return remove_if_abandoned(&self.directory, &self.name)
                .map_err(Refusal::io("remove", &self.name));
        }
        match self.standing()? {
            Standing::Nothing => Ok(()),
            Standing::NotOurs => Err(Refusal::NotOurs(self.name.clone())),
            Standing::Ours => match rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(Refusal::io("remove", &self.name)(error.into())),
            },
        }
    }

    /// Removes every status file of the directory that whoever wrote it was killed over.
    pub(crate) fn remove_drafts(&self) -> Result<(), Refusal> {
        // A handle of its own: a listing begins where the one before ended.
        let listed = directory_below(&self.directory, Path::new("")).map_err(io::Error::from).and_then(names);
        for name in listed.map_err(Refusal::io("look beside", &self.name))? {
            if let Some(name) = name.to_str().filter(|name| is_draft(name)) {
                remove_if_abandoned(&self.directory, name).map_err(Refusal::io("remove", name))?;
            }
        }
        Ok(())
    }

    fn standing(&self) -> Result<Standing, Refusal> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() => {}
            Ok(_) => return Ok(Standing::NotOurs),
            Err(Errno::NOENT) => return Ok(Standing::Nothing),
            Err(error) => return Err(Refusal::io("look at", &self.name)(error.into())),
        }
        let open = |flags| rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty());
        let file = match untraced(flags, open) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(Standing::Nothing),
            Err(Errno::LOOP) => return Ok(Standing::NotOurs),
            Err(error) => return Err(Refusal::io("open", &self.name)(error.into())),
        };
        let mut head = Vec::new();
        file.take(OURS.len() as u64).read_to_end(&mut head).map_err(Refusal::io("read", &self.name))?;
        Ok(if head == OURS.as_bytes() { Standing::Ours } else { Standing::NotOurs })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Nothing,
    Ours,
    NotOurs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_status_file_is_ours_and_nobody_elses_is() {
        for name in [".web.status.yaml.7.tmp", ".web.yml.status.yaml.4194304.tmp"] {
            assert!(is_draft(name), "{name}");
        }
        for name in ["web.status.yaml", ".web.yaml.7.tmp", ".web.status.yaml.tmp", "web.status.yaml.7.tmp"] {
            assert!(!is_draft(name), "{name}");
        }
    }
}
