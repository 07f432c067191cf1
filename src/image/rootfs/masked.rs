//! What of the machine's own root a container does not see: a list of places, as they are on this machine.
//!
//! What is not there is hidden as well, so that it does not come to light in a container that runs when it is made.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

use crate::paths::Places;

/// A path to hide.
#[derive(Debug, Clone)]
pub(super) struct Masked {
    /// Without symlinks, absolute.
    pub(super) path: PathBuf,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Directory(Stat),
    File,
    /// Not there, in a directory that is.
    Absent,
}

/// Homes, droppod's own, keys of TLS servers and of SSH servers that keep them in a directory of their own, passwords that
/// packages were set up with, and files with password hashes under all the names that the tools which change passwords give
/// them.
const PLACES: &[&str] = &[
    "/root",
    "/home",
    "/etc/droppod",
    "/run/droppod",
    "/var/lib/droppod",
    "/var/log/pods",
    "/etc/dropbear",
    "/etc/dropbear-initramfs",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/shadow+",
    "/etc/shadow.edit",
    "/etc/nshadow",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/gshadow+",
    "/etc/gshadow.edit",
    "/etc/security/opasswd",
    "/etc/security/opasswd.old",
    "/etc/security/nopasswd",
    "/etc/ssh/ssh_host_dsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssl/private",
    "/var/backups/gshadow.bak",
    "/var/backups/shadow.bak",
    "/var/cache/debconf/passwords.dat",
    "/var/cache/debconf/passwords.dat-old",
];

/// What there is to mask, shortest first, nothing inside something that is masked already.
pub(super) fn masked(places: &Places, hidden: &[PathBuf]) -> io::Result<Vec<Masked>> {
    let mut paths: Vec<PathBuf> = PLACES.iter().map(PathBuf::from).collect();
    paths.extend_from_slice(hidden);
    // The state directory of the machine: that of an `up` is its own.
    paths.extend(places.images.parent().map(Path::to_owned));
    paths.extend([&places.state, &places.run, &places.log, &places.images].map(Clone::clone));
    let is_of_passwords = |name: &[u8]| name.starts_with(b"shadow") || name.starts_with(b"gshadow");
    paths.extend(named("/etc", is_of_passwords)?);
    paths.extend(named("/var/backups", is_of_passwords)?);
    paths.extend(named("/etc/ssh", |name| name.starts_with(b"ssh_host_") && name.ends_with(b"_key"))?);
    let mut found = paths.iter().filter_map(|path| look(path).transpose()).collect::<io::Result<Vec<_>>>()?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    let mut outermost: Vec<Masked> = Vec::new();
    for masked in found {
        let covered = outermost.last().is_some_and(|above| masked.path.starts_with(&above.path));
        if masked.path != Path::new("/") && !covered {
            outermost.push(masked);
        }
    }
    Ok(outermost)
}

/// What is there; of what is not, the first part of the path that is missing.
fn look(path: &Path) -> io::Result<Option<Masked>> {
    match std::fs::canonicalize(path) {
        Ok(path) => {
            let is = rustix::fs::lstat(&path)?;
            let what = match FileType::from_raw_mode(is.st_mode) {
                FileType::Directory => What::Directory(is),
                _ => What::File,
            };
            return Ok(Some(Masked { path, what }));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // A part of it is a file: there is nothing behind it.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(error),
    }
    let missing = |above: &&Path| above.parent().is_some_and(Path::is_dir);
    let Some(first) = path.ancestors().find(missing) else { return Ok(None) };
    let (Some(above), Some(name)) = (first.parent(), first.file_name()) else { return Ok(None) };
    Ok(Some(Masked { path: std::fs::canonicalize(above)?.join(name), what: What::Absent }))
}

fn named(directory: &str, wanted: impl Fn(&[u8]) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if wanted(name.as_bytes()) {
            found.push(Path::new(directory).join(name));
        }
    }
    Ok(found)
}
