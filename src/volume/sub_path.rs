//! `subPath`: a part of a volume, made if it is missing, reached through no symlink that leaves the volume.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::image::inside::through_proc;

use super::{VolumeError, bind_descriptor, open_path};

/// Binds `sub_path` of the volume at `volume` onto `target`.
pub(crate) fn anchor(name: &str, volume: &Path, sub_path: &Path, target: &Path) -> Result<(), VolumeError> {
    let found = open_path(volume).and_then(|root| open_or_make(&root, sub_path));
    let source = found.map_err(|error| match error.raw_os_error() {
        Some(code) if code == Errno::XDEV.raw_os_error() || code == Errno::LOOP.raw_os_error() => {
            VolumeError::Refused {
                volume: name.to_owned(),
                message: "its subPath leads out of the volume".to_owned(),
            }
        }
        Some(_) | None => VolumeError::io(name, "open its subPath")(error),
    })?;
    bind_descriptor(source.as_fd(), target).map_err(VolumeError::io(name, "bind its subPath"))
}

fn open_or_make(root: &OwnedFd, sub_path: &Path) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match rustix::fs::openat2(root, sub_path, flags, Mode::empty(), resolve) {
        Ok(found) => return Ok(found),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    // What is made is as open as the volume, as with the kubelet.
    let mode = Mode::from_raw_mode(rustix::fs::fstat(root)?.st_mode & 0o2777);
    let mut at = root.try_clone()?;
    for component in sub_path.components() {
        let Component::Normal(part) = component else { continue };
        let made = match rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o700)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        at = rustix::fs::openat2(&at, part, flags, Mode::empty(), resolve)?;
        if made {
            // The umask has had its say above.
            rustix::fs::chmod(through_proc(at.as_fd()), mode)?;
        }
    }
    Ok(at)
}
