//! Drafts whose writer was killed before it could give them their name. Whoever comes next removes them.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::process::Pid;

use super::{names, open_directory};

/// The pid keeps two writers apart, and tells whether there still is one.
pub(super) fn draft_name(name: &str) -> String {
    format!(".{name}.{}.tmp", std::process::id())
}

/// What a draft was to be named, and the process that wrote it.
fn parse(draft: &str) -> Option<(&str, Pid)> {
    let (name, pid) = draft.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    Some((name, Pid::from_raw(pid.parse().ok().filter(|pid| *pid > 0)?)?))
}

/// What a file of this name was to be named, if it is a draft.
pub(super) fn drafted(draft: &str) -> Option<&str> {
    parse(draft).map(|(name, _)| name)
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
    let Some((_, writer)) = parse(draft) else { return Ok(()) };
    match rustix::process::test_kill_process(writer) {
        Err(Errno::SRCH) => {}
        Ok(()) | Err(_) => return Ok(()),
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
    fn a_draft_goes_with_its_writer_and_no_other_file_does() {
        let place = std::env::temp_dir().join(format!("abandoned-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let kept = [draft_name("state.json"), ".state.json.tmp".to_owned(), format!("x.{}.tmp", gone.id())];
        let left = format!(".web.status.yaml.{}.tmp", gone.id());
        for name in kept.iter().chain([&left]) {
            fs::write(place.join(name), "half").unwrap();
        }
        remove_abandoned(&place).unwrap();
        assert_eq!(kept.map(|name| place.join(name).exists()), [true; 3]);
        assert!(!place.join(&left).exists());
        remove_abandoned(&place.join("missing")).unwrap();
        fs::remove_dir_all(place).unwrap();
    }
}
