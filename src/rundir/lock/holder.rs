//! Who holds an flock: what the kernel says, whatever has been signed.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Longest signature that is read, in bytes.
const SIGNATURE: u64 = 100;

/// Who holds the lock of a file or directory, in words: as the holder has signed it, if that is true.
pub(crate) fn holder(path: &Path) -> String {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else {
        return "it cannot be told who".to_owned();
    };
    let mut signed = String::new();
    // A directory has none.
    drop((&file).take(SIGNATURE).read_to_string(&mut signed));
    let signed = signed.trim();
    match pid_of_holder(&file) {
        Ok(Some(pid)) if signed.ends_with(&format!(" process {pid}")) => signed.to_owned(),
        Ok(Some(pid)) => format!("process {pid}"),
        Ok(None) => "a process that cannot be seen from here".to_owned(),
        Err(error) => format!("it cannot be told who: {error}"),
    }
}

/// The process that has taken the lock; `None` if it is in no PID namespace that is seen from here, or has ended and
/// left the lock to a child.
fn pid_of_holder(file: impl AsFd) -> io::Result<Option<i32>> {
    let fdinfo = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_fd().as_raw_fd()))?;
    let field = |name: &str| fdinfo.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let (Some(mount), Some(inode)) = (field("mnt_id:"), field("ino:")) else { return Ok(None) };
    // The device as locks are listed by it: `fstat` may tell another, of a subvolume.
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo")?;
    let device = mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ');
        (fields.next() == Some(mount)).then(|| fields.nth(1)).flatten()
    });
    let Some((major, minor)) = device.and_then(numbers) else { return Ok(None) };
    let locked = format!("{major:02x}:{minor:02x}:{inode}");
    let locks = std::fs::read_to_string("/proc/locks")?;
    let pid = locks.lines().find_map(|line| taken(line, &locked));
    Ok(pid.filter(|pid| Path::new(&format!("/proc/{pid}")).exists()))
}

fn numbers(device: &str) -> Option<(u32, u32)> {
    let (major, minor) = device.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; who waits for a lock has an arrow before the kind.
fn taken(line: &str, locked: &str) -> Option<i32> {
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, "FLOCK", _, _, pid, at, ..] if at == locked => pid.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rundir::lock::Lock;

    #[test]
    fn the_holder_is_named_by_the_kernel_and_a_signature_of_somebody_else_is_not_believed() {
        let path = std::env::temp_dir().join(format!("droppod-holder-{}", std::process::id()));
        let own = std::process::id();
        let lock = Lock::try_take(&path).unwrap().unwrap();
        assert_eq!(holder(&path), format!("process {own}"));
        lock.sign(&format!("droppod watch, process {own}\n")).unwrap();
        assert_eq!(holder(&path), format!("droppod watch, process {own}"));
        lock.sign(&format!("droppod watch, process {own}0\n")).unwrap();
        assert_eq!(holder(&path), format!("process {own}"));
        drop(lock);
        assert_eq!(holder(&path), "a process that cannot be seen from here");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn who_waits_for_a_lock_does_not_hold_it() {
        let held = "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF";
        assert_eq!(taken(held, "fe:00:5678"), Some(1234));
        assert_eq!(taken("1: -> FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF", "fe:00:5678"), None);
        assert_eq!(taken("1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF", "fe:00:5678"), None);
        assert_eq!(taken(held, "fe:00:567"), None);
    }
}
