//! Files of an archive by name, whether they lie in a directory or in a tar. Only read, never unpacked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use super::ArchiveError;
use crate::image::document::{DOCUMENT_BYTES, Descriptor};
use crate::image::import::{Blobs, Hashing, ImportError};
use crate::image::inside;
use crate::image::store::Session;
use crate::image::unpack::{self, Limits};

/// An archive is a handful of blobs; this is enough for hundreds of images.
const FILES: u64 = 100_000;

pub(super) struct Source {
    path: PathBuf,
    place: Place,
    /// Digests that stand for files of another name.
    digests: BTreeMap<String, String>,
}

enum Place {
    Directory(OwnedFd),
    Tar {
        file: File,
        /// Offset and size.
        files: BTreeMap<String, (u64, u64)>,
    },
}

impl Source {
    /// Opens a layout or an archive; a compressed one is first decompressed into the session.
    pub(super) fn open(path: &Path, session: &Session) -> Result<Source, ArchiveError> {
        let cannot = |source: io::Error| ArchiveError::Open { path: path.to_owned(), source };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| cannot(error.into()))?;
        let is = rustix::fs::fstat(&opened).map_err(|error| cannot(error.into()))?;
        let place = match FileType::from_raw_mode(is.st_mode) {
            FileType::Directory => Place::Directory(opened),
            FileType::RegularFile => tar(path, opened.into(), session)?,
            FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {
                return Err(cannot(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "neither a file nor a directory",
                )));
            }
        };
        Ok(Source { path: path.to_owned(), place, digests: BTreeMap::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn has(&mut self, name: &str) -> bool {
        self.file(name).is_ok()
    }

    /// A small file, whole.
    pub(super) fn document(&mut self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let mut text = Vec::new();
        let read = self.file(name)?.take(DOCUMENT_BYTES + 1).read_to_end(&mut text);
        let read = read.and_then(|size| match size as u64 {
            0..=DOCUMENT_BYTES => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "over 4 MiB")),
        });
        read.map_err(|source| ArchiveError::Read { path: self.path.join(name), source })?;
        Ok(text)
    }

    /// Size and digest of a file.
    pub(super) fn hash(&mut self, name: &str) -> Result<(u64, String), ArchiveError> {
        let path = self.path.join(name);
        let mut hashing = Hashing::new(self.file(name)?);
        io::copy(&mut hashing, &mut io::sink()).map_err(|source| ArchiveError::Read { path, source })?;
        Ok(hashing.end())
    }

    pub(super) fn name_digest(&mut self, digest: String, name: &str) {
        self.digests.insert(digest, name.to_owned());
    }

    fn file<'a>(&'a mut self, name: &str) -> Result<Box<dyn Read + 'a>, ArchiveError> {
        let missing = || ArchiveError::Missing { path: self.path.clone(), missing: format!("`{name}`") };
        match &mut self.place {
            Place::Directory(root) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
                let cannot = |source| ArchiveError::Open { path: self.path.join(name), source };
                let file = match inside::open(root, Path::new(name), flags) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
                    opened => File::from(opened.map_err(cannot)?),
                };
                if !file.metadata().map_err(cannot)?.is_file() {
                    return Err(cannot(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
                }
                Ok(Box::new(file))
            }
            Place::Tar { file, files } => {
                let (offset, size) = *files.get(&plain(name)).ok_or_else(missing)?;
                file.seek(SeekFrom::Start(offset))
                    .map_err(|source| ArchiveError::Read { path: self.path.clone(), source })?;
                Ok(Box::new(file.take(size)))
            }
        }
    }
}

impl Blobs for Source {
    fn open<'a>(&'a mut self, blob: &Descriptor) -> Result<Box<dyn Read + 'a>, ImportError> {
        let name = match self.digests.get(&blob.digest) {
            Some(name) => name.to_owned(),
            None => format!("blobs/sha256/{}", blob.digest.trim_start_matches("sha256:")),
        };
        Ok(self.file(&name)?)
    }
}

fn tar(path: &Path, file: File, session: &Session) -> Result<Place, ArchiveError> {
    let unreadable = |source: io::Error| ArchiveError::Read { path: path.to_owned(), source };
    let mut file = file;
    let mut start = [0; 4];
    let read = file.read(&mut start).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if unpack::is_compressed(&start[..read]) {
        file = decompressed(&file, session).map_err(unreadable)?;
    }
    let size = file.metadata().map_err(unreadable)?.len();
    let limits = Limits { entries: FILES, header: 64 << 10, kept: 16 << 20, bytes: size, room: size };
    let listed =
        unpack::list(&file, limits).map_err(|source| ArchiveError::Tar { path: path.to_owned(), source })?;
    let mut files: BTreeMap<String, (u64, u64)> = listed
        .iter()
        .filter(|file| file.target.is_none())
        .map(|file| (plain(&file.name), (file.offset, file.size)))
        .collect();
    // Older Dockers save a layer that occurs twice as a link to the first.
    for link in &listed {
        let found = link.target.as_ref().and_then(|target| files.get(&plain(target))).copied();
        if let Some(found) = found {
            files.insert(plain(&link.name), found);
        }
    }
    Ok(Place::Tar { file, files })
}

fn decompressed(file: &File, session: &Session) -> io::Result<File> {
    let path = session.path().join("archive.tar");
    let mut plain = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    let free = rustix::fs::fstatvfs(&plain).map(|is| is.f_bavail.saturating_mul(is.f_frsize))?;
    let Limits { bytes, room, .. } = Limits::for_free_space(free);
    let limit = bytes.min(room);
    let copied = io::copy(&mut unpack::decompress(file)?.take(limit + 1), &mut plain)?;
    if copied > limit {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "it unpacks to more than there is room for"));
    }
    plain.rewind()?;
    Ok(plain)
}

/// `./a//b/../c` as `a/c`.
fn plain(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
