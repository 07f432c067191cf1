//! Whether what lies in a folder may be run: only if nobody else could have written it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::FileType;

use super::open::Owner;

/// Who named the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A folder that is watched: whoever writes to it commands the machine.
    Checked,
    /// A folder that others can write to, watched under the strictest policy and apart from all others.
    Admitted,
    /// The user named the files on the command line.
    NamedByUser,
}

const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;
/// As many as the kernel follows; path_resolution(7).
const LINKS: usize = 40;

/// Why a file or directory is not to be trusted.
pub(crate) fn objection(owner: Owner) -> Option<String> {
    if let Some(why) = stranger(owner.uid) {
        return Some(why);
    }
    (owner.mode & WRITABLE_BY_OTHERS != 0)
        .then(|| format!("others can write to it (mode {:04o})", owner.mode & 0o777))
}

fn stranger(uid: u32) -> Option<String> {
    let caller = rustix::process::geteuid().as_raw();
    (uid != 0 && uid != caller).then(|| format!("it belongs to user {uid}"))
}

/// Why a folder is not to be trusted: on account of itself, or of a directory or link on the way to it, by which it could be
/// replaced. In a sticky directory nobody can replace what is another's.
pub(crate) fn folder_objection(folder: &Path) -> io::Result<Option<(PathBuf, String)>> {
    let mut ahead: VecDeque<OsString> = VecDeque::new();
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    put_ahead(&mut ahead, folder);
    loop {
        let owner = Owner::of(&rustix::fs::stat(&at)?);
        let on_the_way = !ahead.is_empty();
        if let Some(why) = objection(owner)
            && !(on_the_way && owner.mode & STICKY != 0)
        {
            return Ok(Some((at, why)));
        }
        let Some(name) = ahead.pop_front() else { return Ok(None) };
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        let is = rustix::fs::lstat(&next)?;
        if FileType::from_raw_mode(is.st_mode) != FileType::Symlink {
            at = next;
            continue;
        }
        // Anybody can read and nobody write a link; its owner can put another in its place.
        if let Some(why) = stranger(is.st_uid) {
            return Ok(Some((next, why)));
        }
        links += 1;
        if links > LINKS {
            return Err(rustix::io::Errno::LOOP.into());
        }
        let target = std::fs::read_link(&next)?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        put_ahead(&mut ahead, &target);
    }
}

fn put_ahead(ahead: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => ahead.push_front(name.to_owned()),
            Component::ParentDir => ahead.push_front("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::daemon::tests::ground::Ground;

    #[test]
    fn only_the_owner_may_be_able_to_write() {
        let mine = rustix::process::geteuid().as_raw();
        for mode in [0o755, 0o700, 0o644, 0o600] {
            assert_eq!(objection(Owner { uid: mine, mode }), None, "{mode:o}");
        }
        for mode in [0o777, 0o775, 0o664, 0o666, 0o1777] {
            assert!(objection(Owner { uid: mine, mode }).is_some(), "{mode:o}");
        }
        assert!(objection(Owner { uid: mine + 12_345, mode: 0o644 }).is_some());
    }

    #[test]
    fn who_could_turn_a_link_on_the_way_is_objected_to() {
        let ground = Ground::new();
        let (real, open) = (ground.folder("real"), ground.folder("open"));
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
        symlink(&real, open.join("turned")).unwrap();
        symlink("real/../open/turned", ground.path("by")).unwrap();
        symlink("real", ground.path("safe")).unwrap();
        symlink("loop", ground.path("loop")).unwrap();
        assert_eq!(folder_objection(&ground.path("safe")).unwrap(), None);
        let objected = folder_objection(&ground.path("by")).unwrap().map(|(at, _)| at);
        assert_eq!(objected, Some(open.clone()));
        assert!(folder_objection(&ground.path("loop")).is_err());
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o1777)).unwrap();
        assert_eq!(folder_objection(&ground.path("by")).unwrap(), None, "in a sticky one it is the owner's");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(open.join("turned"), Some(12_345), None).unwrap();
            let objected = folder_objection(&ground.path("by")).unwrap().map(|(at, _)| at);
            assert_eq!(objected, Some(open.join("turned")));
        }
    }
}
