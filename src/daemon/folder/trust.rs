//! Whether what lies in a folder may be run: only if nobody else could have written it.

use std::path::{Path, PathBuf};

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

/// Why a file or directory is not to be trusted.
pub(crate) fn objection(owner: Owner) -> Option<String> {
    let caller = rustix::process::geteuid().as_raw();
    if owner.uid != 0 && owner.uid != caller {
        return Some(format!("it belongs to user {}", owner.uid));
    }
    (owner.mode & WRITABLE_BY_OTHERS != 0)
        .then(|| format!("others can write to it (mode {:04o})", owner.mode & 0o777))
}

/// Why a folder is not to be trusted: on account of itself or of a parent, by which it could be replaced. In a
/// sticky parent nobody can replace what is another's.
pub(crate) fn folder_objection(folder: &Path) -> std::io::Result<Option<(PathBuf, String)>> {
    for directory in folder.ancestors() {
        let owner = Owner::of(&rustix::fs::stat(directory)?);
        let parent = directory != folder;
        if let Some(why) = objection(owner)
            && !(parent && owner.mode & STICKY != 0)
        {
            return Ok(Some((directory.to_owned(), why)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
