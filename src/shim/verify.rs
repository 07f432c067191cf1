//! Whether a process is confined as its specification says, seen from inside, right before its program runs.
//! libcontainer leaves some answers of the kernel unread, and takes any doubt about a path for its absence.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use oci_spec::runtime::{Capabilities, Capability, Process, Spec};
use rustix::fs::{StatVfsMountFlags, statfs, statvfs};
use rustix::thread::CapabilitySet;

use crate::sandbox::capability;

const TMPFS_MAGIC: u64 = 0x0102_1994;

pub(super) fn set<'a>(capabilities: impl IntoIterator<Item = &'a Capability>) -> CapabilitySet {
    let names: Vec<String> = capabilities.into_iter().map(Capability::to_string).collect();
    capability::set(names.iter().map(|name| name.trim_start_matches("CAP_")))
}

/// no_new_privs and capability sets. What is `lent` still works but cannot be handed on any more.
pub(super) fn process(process: &Process, lent: CapabilitySet) -> Result<(), String> {
    let unknown = |what: &'static str| move |error| format!("cannot tell {what}: {error}");
    let restrained = rustix::thread::no_new_privs().map_err(|error| unknown("no_new_privs")(error.into()))?;
    if process.no_new_privileges() == Some(true) && !restrained {
        return Err("no_new_privs was asked for and is not set".to_owned());
    }
    let Some(asked) = process.capabilities() else { return Ok(()) };
    let all = |asked: &Option<Capabilities>| set(asked.iter().flatten());
    let bounding = capability::bounding().map_err(unknown("the capability bounding set"))?;
    let have = rustix::thread::capabilities(None)
        .map_err(|error| unknown("the capabilities")(io::Error::from(error)))?;
    let beyond = (bounding - (all(asked.bounding()) - lent))
        | (have.permitted - all(asked.permitted()) - lent)
        | (have.inheritable - all(asked.inheritable()));
    if beyond.is_empty() {
        Ok(())
    } else {
        Err(format!("capabilities {:#x} were not asked for and are not gone", beyond.bits()))
    }
}

/// Masked and read-only paths, and the root if it is to be read-only.
pub(super) fn kernel_paths(spec: &Spec) -> Result<(), String> {
    let refuse = |path: &Path, wanted: &str, found: io::Result<bool>| match found {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{} is not {wanted}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("cannot tell whether {} is {wanted}: {error}", path.display())),
    };
    if spec.root().as_ref().is_some_and(|root| root.readonly() == Some(true)) {
        refuse(Path::new("/"), "read-only", is_read_only(Path::new("/")))?;
    }
    let Some(linux) = spec.linux() else { return Ok(()) };
    for path in linux.masked_paths().iter().flatten().map(Path::new) {
        refuse(path, "masked", is_masked(path))?;
    }
    for path in linux.readonly_paths().iter().flatten().map(Path::new) {
        refuse(path, "read-only", is_read_only(path))?;
    }
    Ok(())
}

fn is_read_only(path: &Path) -> io::Result<bool> {
    Ok(statvfs(path)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// A file below `/dev/null`, a directory below an empty tmpfs that nobody can write to.
fn is_masked(path: &Path) -> io::Result<bool> {
    let found = std::fs::symlink_metadata(path)?;
    if found.is_dir() {
        return Ok(u64::try_from(statfs(path)?.f_type) == Ok(TMPFS_MAGIC) && is_read_only(path)?);
    }
    Ok(found.file_type().is_char_device() && found.rdev() == libc::makedev(1, 3))
}
