//! hostPath: its type is checked, or made, before anything is mounted.
//! <https://kubernetes.io/docs/concepts/storage/volumes/#hostpath>

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::FileType;
use rustix::mount::{MountPropagationFlags, mount_change};

use super::{VolumeError, bind_descriptor, open_path};
use crate::model::pod_plan::{HostPathType, Propagation};

/// Checks or makes the path, and binds what it stands for at this moment onto `target`.
pub(super) fn anchor(
    name: &str,
    path: &Path,
    kind: HostPathType,
    asked: Propagation,
    target: &Path,
) -> Result<(), VolumeError> {
    let source = find(name, path, kind)?;
    bind_descriptor(source.as_fd(), target).map_err(VolumeError::io(name, "bind the host path"))?;
    match asked {
        // libcontainer leaves a bind as open to later mounts of the host as its source is.
        Propagation::None => {
            mount_change(target, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
                .map_err(io::Error::from)
                .map_err(VolumeError::io(name, "keep later mounts of the host out"))
        }
        Propagation::HostToContainer | Propagation::Bidirectional => Ok(()),
    }
}

/// Checks or makes the path, and opens what it stands for at this moment.
pub(super) fn find(name: &str, path: &Path, kind: HostPathType) -> Result<OwnedFd, VolumeError> {
    create_if_asked(path, kind).map_err(VolumeError::io(name, "make the host path"))?;
    let source = match open_path(path) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound && kind == HostPathType::Unchecked => {
            // As the container runtimes do for the kubelet: an unchecked path that is missing becomes a directory.
            std::fs::create_dir_all(path)
                .and_then(|()| open_path(path))
                .map_err(VolumeError::io(name, "make the host path"))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(failed_check(name, path, kind)),
        Err(error) => return Err(VolumeError::io(name, "open the host path")(error)),
    };
    let is =
        rustix::fs::fstat(&source).map_err(io::Error::from).map_err(VolumeError::io(name, "look at it"))?;
    match wanted(kind) {
        Some((wanted, _)) if wanted != FileType::from_raw_mode(is.st_mode) => {
            Err(failed_check(name, path, kind))
        }
        Some(_) | None => Ok(source),
    }
}

/// In kubelet's words, which are the same for what is missing.
fn failed_check(name: &str, path: &Path, kind: HostPathType) -> VolumeError {
    let noun = wanted(kind).map_or("path", |(_, noun)| noun);
    let message = format!("hostPath type check failed: {} is not a {noun}", path.display());
    VolumeError::Refused { volume: name.to_owned(), message }
}

fn create_if_asked(path: &Path, kind: HostPathType) -> io::Result<()> {
    match kind {
        HostPathType::DirectoryOrCreate => {
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
        }
        HostPathType::FileOrCreate if !path.exists() => {
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path).map(drop)
        }
        HostPathType::FileOrCreate
        | HostPathType::Unchecked
        | HostPathType::Directory
        | HostPathType::File
        | HostPathType::Socket
        | HostPathType::CharDevice
        | HostPathType::BlockDevice => Ok(()),
    }
}

/// What the path has to be.
fn wanted(kind: HostPathType) -> Option<(FileType, &'static str)> {
    match kind {
        HostPathType::Unchecked => None,
        HostPathType::DirectoryOrCreate | HostPathType::Directory => Some((FileType::Directory, "directory")),
        HostPathType::FileOrCreate | HostPathType::File => Some((FileType::RegularFile, "file")),
        HostPathType::Socket => Some((FileType::Socket, "socket")),
        HostPathType::CharDevice => Some((FileType::CharacterDevice, "character device")),
        HostPathType::BlockDevice => Some((FileType::BlockDevice, "block device")),
    }
}
