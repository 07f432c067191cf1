//! Drafts whose writer was killed before it could give them their name. Whoever comes next removes them: a draft is
//! locked for as long as somebody is at it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::{names, open_directory};

/// The pid keeps two writers apart.
pub(super) fn draft_name(name: &str) -> String {
    format!(".{name}.{}.tmp", std::process::id())
}

/// What a file of this name was to be named, if it is a draft.
pub(super) fn drafted(draft: &str) -> Option<&str> {
    let (name, pid) = draft.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let is_pid = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    (is_pid && !name.is_empty()).then_some(name)
}

/// Marks a draft that has just been made as being worked on. `false` if somebody who clears up was faster and has taken
/// it away. Where a file system knows no locks, nobody can clear up either.
pub(super) fn claim(draft: impl AsFd) -> io::Result<bool> {
    match rustix::fs::flock(&draft, FlockOperation::LockExclusive) {
        Ok(()) => Ok(rustix::fs::fstat(draft)?.st_nlink > 0),
        Err(_) => Ok(true),
    }
}

/// Removes every draft in a directory that nobody works on; a directory that is not there has none.
pub(crate) fn remove_abandoned(directory: &Path) -> io::Result<()> {
    let directory = match open_directory(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    for name in names(&directory)? {
        if let Some(name) = name.to_str() {
            remove_if_abandoned(&directory, name)?;
        }
    }
    Ok(())
}

/// Removes a file that is a draft which nobody works on.
pub(super) fn remove_if_abandoned(directory: impl AsFd, draft: &str) -> io::Result<()> {
    if drafted(draft).is_none() {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open: OwnedFd = match rustix::fs::openat(&directory, draft, flags, Mode::empty()) {
        Ok(open) => open,
        // It has got its name meanwhile, or is nothing that we write.
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let is_file = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&open)?.st_mode).is_file();
    if !is_file || rustix::fs::flock(&open, FlockOperation::NonBlockingLockShared).is_err() {
        return Ok(());
    }
    match rustix::fs::unlinkat(directory, draft, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_draft_that_nobody_works_on_goes_and_no_other_file_does() {
        let place = std::env::temp_dir().join(format!("abandoned-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let kept = [".state.json.7.tmp", ".state.json.tmp", "x.7.tmp", ".x.seven.tmp"];
        let left = ".web.status.yaml.7.tmp";
        for name in kept.into_iter().chain([left]) {
            fs::write(place.join(name), "half").unwrap();
        }
        let writer = fs::File::open(place.join(kept[0])).unwrap();
        assert!(claim(&writer).unwrap());
        remove_abandoned(&place).unwrap();
        assert_eq!(kept.map(|name| place.join(name).exists()), [true; 4]);
        assert!(!place.join(left).exists());
        remove_abandoned(&place.join("missing")).unwrap();
        fs::remove_dir_all(place).unwrap();
        rustix::fs::flock(&writer, FlockOperation::Unlock).unwrap();
        assert!(!claim(&writer).unwrap(), "it was taken away");
    }
}
