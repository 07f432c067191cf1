//! A layer's tar into a directory, as overlayfs wants it: whiteouts become 0/0 devices, opaque markers an
//! attribute. The archive is hostile: every length is bounded before it is believed, every step stays inside.

mod compression;
mod entry;
mod place;

use std::io::{self, Read};
use std::os::fd::OwnedFd;

pub(crate) use compression::{decompress, is_compressed};
use entry::{Entries, Kind};
use place::Tree;

/// What a layer may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) entries: u64,
    /// Of one long name or extended header.
    pub(crate) header: u64,
    /// Of names that are kept in memory until the end.
    pub(crate) kept: u64,
    /// Of the whole archive, unpacked.
    pub(crate) bytes: u64,
    /// What of it the file system has room for.
    pub(crate) room: u64,
}

impl Limits {
    /// Bounds for a file system that has `free` bytes: a tenth of it is left to others.
    pub(crate) fn for_free_space(free: u64) -> Limits {
        Limits { entries: 1_000_000, header: 1 << 20, kept: 32 << 20, bytes: 64 << 30, room: free / 10 * 9 }
    }
}

/// PATH_MAX: longer names cannot be handed to the kernel at all.
const NAME: usize = 4096;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unpacked {
    pub(crate) entries: u64,
    /// Of the archive after decompression.
    pub(crate) bytes: u64,
    /// Device nodes of the archive that were left out.
    pub(crate) devices: u64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("cannot read the layer")]
    Read(#[source] io::Error),
    #[error("the layer is damaged: {0}")]
    Damaged(&'static str),
    #[error("the layer has more than {limit} {what}")]
    TooMuch { what: &'static str, limit: u64 },
    #[error("there is not room enough for the layer")]
    Room,
    #[error("the layer's entry `{name}` {why}")]
    Refused { name: String, why: &'static str },
    #[error("cannot unpack the layer's entry `{name}`")]
    Place { name: String, source: io::Error },
}

/// Unpacks the tar read from `archive`, to its last byte, into `root`. `trash` is a directory on the same file
/// system that takes what later entries replace; the caller removes it.
pub(crate) fn unpack(
    archive: impl Read,
    root: OwnedFd,
    trash: OwnedFd,
    limits: Limits,
) -> Result<Unpacked, UnpackError> {
    let mut entries = Entries::new(archive, limits);
    let mut tree = Tree::new(root, trash, limits.kept);
    while let Some(entry) = entries.next()? {
        tree.place(&entry, &mut entries)?;
    }
    let bytes = entries.drain()?;
    let devices = tree.finish()?;
    Ok(Unpacked { entries: entries.count(), bytes, devices })
}

/// A file of an archive, or a link in it to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// Of a link, from the archive's root.
    pub(crate) target: Option<String>,
    /// Where the content starts.
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// What a tar holds that is a file or a link to one; nothing is unpacked.
pub(crate) fn list(archive: impl Read, limits: Limits) -> Result<Vec<Listed>, UnpackError> {
    let mut entries = Entries::new(archive, limits);
    let (mut listed, mut kept) = (Vec::new(), 0);
    while let Some(entry) = entries.next()? {
        kept += (entry.name.len() + entry.target.len() + size_of::<Listed>()) as u64;
        if kept > limits.kept {
            return Err(UnpackError::TooMuch { what: "bytes in names", limit: limits.kept });
        }
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let target = String::from_utf8_lossy(&entry.target);
        let target = match entry.kind {
            Kind::File => None,
            Kind::HardLink => Some(target.into_owned()),
            // Taken from the link's own directory: `..` steps from the link itself to there.
            Kind::Symlink => Some(format!("{name}/../{target}")),
            Kind::Directory | Kind::Fifo | Kind::Device => continue,
        };
        let (offset, size) = entries.position();
        listed.push(Listed { name, target, offset, size });
    }
    Ok(listed)
}

/// A name from an archive as an error message may show it.
fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let mut short: String = text.escape_debug().take(120).collect();
    if text.chars().count() > 120 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
