//! What is mounted where, as this process's mount namespace has it.

use std::io;
use std::path::{Path, PathBuf};

use super::failure::cannot;

/// Mount points at `directory` and below.
pub(super) fn within(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo")
        .map_err(|error| cannot("read /proc/thread-self/mountinfo", error))?;
    Ok(points(&table).filter(|point| point.starts_with(directory)).collect())
}

fn points(mountinfo: &str) -> impl Iterator<Item = PathBuf> {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape)
}

/// proc_pid_mountinfo(5): blank, tab, newline and backslash are written in octal.
pub(super) fn unescape(point: &str) -> PathBuf {
    const ESCAPES: [(&str, &str); 4] = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    let plain = ESCAPES.iter().fold(point.to_owned(), |text, (escape, plain)| text.replace(escape, plain));
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_with_blanks_are_read() {
        let table = "36 35 98:0 / /mnt/a\\040b rw,noatime master:1 - ext3 /dev/root rw\n37 35 0:5 / /proc rw - proc proc rw\n";
        let points: Vec<PathBuf> = points(table).collect();
        assert_eq!(points, [PathBuf::from("/mnt/a b"), PathBuf::from("/proc")]);
    }
}
