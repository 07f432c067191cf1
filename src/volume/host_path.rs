//! hostPath: its type is checked, or made, before anything is mounted.
//! <https://kubernetes.io/docs/concepts/storage/volumes/#hostpath>

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::FileType;

use super::{VolumeError, bind_descriptor, open_path};
use crate::model::pod_plan::HostPathType;

/// Checks or makes the path, and binds what it stands for at this moment onto `target`.
pub(super) fn anchor(name: &str, path: &Path, kind: HostPathType, target: &Path) -> Result<(), VolumeError> {
    create_if_asked(path, kind).map_err(VolumeError::io(name, "make the host path"))?;
    let source = match open_path(path) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound && kind == HostPathType::Unchecked => {
            // As the container runtimes do for the kubelet: an unchecked path that is missing becomes a directory.
            std::fs::create_dir_all(path)
                .and_then(|()| open_path(path))
                .map_err(VolumeError::io(name, "make the host path"))?
        }
        Err(error) => return Err(VolumeError::io(name, "open the host path")(error)),
    };
    let is =
        rustix::fs::fstat(&source).map_err(io::Error::from).map_err(VolumeError::io(name, "look at it"))?;
    if let Some(wanted) = mismatch(kind, FileType::from_raw_mode(is.st_mode)) {
        let message = format!("hostPath type check failed: {} is not a {wanted}", path.display());
        return Err(VolumeError::Refused { volume: name.to_owned(), message });
    }
    bind_descriptor(source.as_fd(), target).map_err(VolumeError::io(name, "bind the host path"))
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

/// What the path should have been, if it is not that.
fn mismatch(kind: HostPathType, is: FileType) -> Option<&'static str> {
    let (wanted, words) = match kind {
        HostPathType::Unchecked => return None,
        HostPathType::DirectoryOrCreate | HostPathType::Directory => (FileType::Directory, "directory"),
        HostPathType::FileOrCreate | HostPathType::File => (FileType::RegularFile, "file"),
        HostPathType::Socket => (FileType::Socket, "socket"),
        HostPathType::CharDevice => (FileType::CharacterDevice, "character device"),
        HostPathType::BlockDevice => (FileType::BlockDevice, "block device"),
    };
    (is != wanted).then_some(words)
}
