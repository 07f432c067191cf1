//! `subPath`: a part of a volume, made if it is missing, reached through no symlink that leaves the volume.

use std::ffi::OsStr;
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
        at = match rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o700)) {
            Ok(()) => open_made(&at, part, mode)?,
            Err(Errno::EXIST) => rustix::fs::openat2(&at, part, flags, Mode::empty(), resolve)?,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(at)
}

/// Opens a directory that was just made, and gives it its mode, in which the umask has no say. Who can write to the volume may
/// have put a link in its place by now: to whatever that leads, it was not made by us.
fn open_made(above: &OwnedFd, name: &OsStr, mode: Mode) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(above, name, flags, Mode::empty())?;
    rustix::fs::chmod(through_proc(made.as_fd()), mode)?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_in_place_of_what_was_made_changes_nothing_that_it_leads_to() {
        let place = std::env::temp_dir().join(format!("droppod-sub-path-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        fs::create_dir(place.join("directory")).unwrap();
        fs::write(place.join("file"), "").unwrap();
        let root = open_path(&place).unwrap();
        for other in ["directory", "file"] {
            fs::set_permissions(place.join(other), fs::Permissions::from_mode(0o600)).unwrap();
            symlink(other, place.join("made")).unwrap();
            open_made(&root, "made".as_ref(), Mode::from_raw_mode(0o777)).unwrap_err();
            let is = fs::metadata(place.join(other)).unwrap();
            assert_eq!(is.permissions().mode() & 0o777, 0o600, "{other}");
            fs::remove_file(place.join("made")).unwrap();
        }
        fs::remove_dir_all(place).unwrap();
    }
}
