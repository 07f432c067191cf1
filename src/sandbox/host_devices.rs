//! The machine's device nodes, which a privileged container gets in its own `/dev`.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::bundle::{DeviceKind, DeviceNode};

/// What a container has of its own, or cannot do anything with.
const OWN: &[&str] = &["console", "fd", "mqueue", "pts", "shm", "ptmx"];

/// Nodes in `directory` and below it. One that goes away meanwhile is not there.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<DeviceNode>> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        let entries = match std::fs::read_dir(&next) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && next != directory => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let own = next == directory && OWN.iter().any(|name| entry.file_name() == *name);
            // A symlink is no device; those that all containers have are made without being asked for.
            let Ok(what) = entry.metadata() else { continue };
            let kind = match what.file_type() {
                kind if kind.is_char_device() => DeviceKind::Character,
                kind if kind.is_block_device() => DeviceKind::Block,
                kind => {
                    if kind.is_dir() && !own {
                        directories.push(entry.path());
                    }
                    continue;
                }
            };
            if !own {
                found.push(DeviceNode {
                    path: entry.path(),
                    kind,
                    major: libc::major(what.rdev()),
                    minor: libc::minor(what.rdev()),
                    mode: what.mode() & 0o777,
                    uid: what.uid(),
                    gid: what.gid(),
                });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}
