//! Tar headers one after the other: ustar, GNU long names, PAX. `tar::Header` reads the fixed block; lengths,
//! names and extended headers are handled here, since the crate buffers them without a bound and splits PAX
//! records at line feeds, which capabilities contain.

use std::io::Read;

use tar::{EntryType, Header};

use super::{Limits, NAME, UnpackError, shown};

const BLOCK: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Fifo,
    Device,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Of a link.
    pub(super) target: Vec<u8>,
    /// Permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds and nanoseconds.
    pub(super) mtime: (i64, u32),
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What extended headers say of the entry that follows them.
#[derive(Debug, Default)]
struct Extended {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(super) struct Entries<R> {
    archive: R,
    limits: Limits,
    read: u64,
    count: u64,
    /// Of the present entry's content, not read yet.
    left: u64,
    padding: u64,
}

impl<R: Read> Entries<R> {
    pub(super) fn new(archive: R, limits: Limits) -> Entries<R> {
        Entries { archive, limits, read: 0, count: 0, left: 0, padding: 0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Where the present entry's content starts, and how long it is.
    pub(super) fn position(&self) -> (u64, u64) {
        (self.read, self.left)
    }

    /// The next entry; what the last one's content still held is skipped.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, UnpackError> {
        let mut extended = Extended::default();
        loop {
            self.skip()?;
            let Some(block) = self.header()? else { return Ok(None) };
            self.count += 1;
            if self.count > self.limits.entries {
                return Err(UnpackError::TooMuch { what: "entries", limit: self.limits.entries });
            }
            let header = Header::from_byte_slice(&block);
            match header.entry_type() {
                EntryType::GNULongName => extended.name = Some(self.long_text(header)?),
                EntryType::GNULongLink => extended.target = Some(self.long_text(header)?),
                EntryType::XHeader => {
                    let text = self.extension(header)?;
                    extended.read_pax(&text)?;
                }
                // Of the archive as a whole, such as a commit's name; nothing that a layer's files depend on.
                EntryType::XGlobalHeader => {
                    self.extension(header)?;
                }
                kind => return self.entry(header, kind, extended).map(Some),
            }
        }
    }

    /// Reads on in the present entry's content; 0 at its end.
    pub(super) fn content(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let got = self.some(&mut buffer[..wanted])?;
        if got == 0 {
            return Err(UnpackError::Damaged("it ends in the middle of a file"));
        }
        self.left -= got as u64;
        Ok(got)
    }

    /// Reads what follows the last entry, so that all of it has been hashed, and says how long the archive is.
    pub(super) fn drain(&mut self) -> Result<u64, UnpackError> {
        let mut buffer = [0; 16 << 10];
        while self.some(&mut buffer)? > 0 {}
        Ok(self.read)
    }

    fn entry(&mut self, header: &Header, kind: EntryType, extended: Extended) -> Result<Entry, UnpackError> {
        let name = extended.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let refused = |why| UnpackError::Refused { name: shown(&name), why };
        let number = |field: &[u8], read: std::io::Result<u64>, pax: Option<u64>| match pax {
            Some(number) => Ok(number),
            // Nothing at all stands for zero: many programs leave out the owner.
            None if field.iter().all(|byte| matches!(byte, 0 | b' ')) => Ok(0),
            None => read.map_err(|_| refused("has a number that cannot be read")),
        };
        let raw = header.as_old();
        let size = number(&raw.size, header.entry_size(), extended.size)?;
        let kind = match kind {
            // Before POSIX a directory was a file with a slash at its end.
            EntryType::Regular if name.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Link => Kind::HardLink,
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char | EntryType::Block => Kind::Device,
            EntryType::GNUSparse => return Err(refused("is a sparse file, which layers must not hold")),
            _ => return Err(refused("is of a kind that tar does not define")),
        };
        let owner = |id: u64| {
            u32::try_from(id)
                .ok()
                .filter(|id| *id != u32::MAX)
                .ok_or_else(|| refused("has an owner out of range"))
        };
        if name.len() > NAME {
            return Err(refused("has a name longer than 4096 bytes"));
        }
        let entry = Entry {
            kind,
            target: match extended.target {
                Some(target) => target,
                None => header.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default(),
            },
            mode: u32::try_from(number(&raw.mode, header.mode().map(u64::from), None)? & 0o7777)
                .expect("twelve bits fit in 32"),
            uid: owner(number(&raw.uid, header.uid(), extended.uid)?)?,
            gid: owner(number(&raw.gid, header.gid(), extended.gid)?)?,
            mtime: match extended.mtime {
                Some(time) => time,
                None => (i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0), 0),
            },
            attributes: extended.attributes,
            name,
        };
        // Only files have content; a link may repeat its file's size without any.
        self.left = if kind == Kind::File { size } else { 0 };
        self.padding = self.left.next_multiple_of(BLOCK as u64).saturating_sub(self.left);
        Ok(entry)
    }

    /// The next header block, its checksum checked; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, UnpackError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.some(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(UnpackError::Damaged("it ends in the middle of a header")),
                got => filled += got,
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let spaces = 8 * u32::from(b' ');
        let sum = block.iter().map(|byte| u32::from(*byte)).sum::<u32>()
            - block[148..156].iter().map(|byte| u32::from(*byte)).sum::<u32>()
            + spaces;
        match Header::from_byte_slice(&block).cksum() {
            Ok(written) if written == sum => Ok(Some(block)),
            Ok(_) | Err(_) => Err(UnpackError::Damaged("a header's checksum is wrong")),
        }
    }

    /// The content of a header that extends the next one.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, UnpackError> {
        let size = header.entry_size().map_err(|_| UnpackError::Damaged("a header's size cannot be read"))?;
        if size > self.limits.header {
            return Err(UnpackError::TooMuch { what: "bytes in one header", limit: self.limits.header });
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        let mut text = vec![0; usize::try_from(size).expect("bounded by the limit above")];
        let mut filled = 0;
        while filled < text.len() {
            filled += self.content(&mut text[filled..])?;
        }
        Ok(text)
    }

    fn long_text(&mut self, header: &Header) -> Result<Vec<u8>, UnpackError> {
        let mut text = self.extension(header)?;
        if let Some(end) = text.iter().position(|byte| *byte == 0) {
            text.truncate(end);
        }
        Ok(text)
    }

    fn skip(&mut self) -> Result<(), UnpackError> {
        let mut buffer = [0; 16 << 10];
        while self.content(&mut buffer)? > 0 {}
        self.left = std::mem::take(&mut self.padding);
        while self.content(&mut buffer)? > 0 {}
        Ok(())
    }

    fn some(&mut self, buffer: &mut [u8]) -> Result<usize, UnpackError> {
        loop {
            match self.archive.read(buffer) {
                Ok(got) => {
                    self.read += got as u64;
                    if self.read > self.limits.bytes {
                        return Err(UnpackError::TooMuch { what: "bytes", limit: self.limits.bytes });
                    }
                    if self.read > self.limits.room {
                        return Err(UnpackError::Room);
                    }
                    return Ok(got);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(UnpackError::Read(error)),
            }
        }
    }
}

impl Extended {
    /// Records of the form `LENGTH KEY=VALUE\n`, where the length counts itself.
    fn read_pax(&mut self, mut text: &[u8]) -> Result<(), UnpackError> {
        const DAMAGED: UnpackError = UnpackError::Damaged("an extended header cannot be read");
        while !text.is_empty() {
            let space = text.iter().take(8).position(|byte| *byte == b' ').ok_or(DAMAGED)?;
            let length: usize = std::str::from_utf8(&text[..space])
                .ok()
                .and_then(|number| number.parse().ok())
                .ok_or(DAMAGED)?;
            let record = text.get(space + 1..length).ok_or(DAMAGED)?;
            let record = record.strip_suffix(b"\n").ok_or(DAMAGED)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(DAMAGED)?;
            self.read_record(&record[..equals], &record[equals + 1..]).ok_or(DAMAGED)?;
            text = &text[length..];
        }
        Ok(())
    }

    fn read_record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        match key {
            b"path" => self.name = Some(value.to_owned()),
            b"linkpath" => self.target = Some(value.to_owned()),
            b"size" => self.size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => self.mtime = Some(seconds(value)?),
            key if key.starts_with(b"GNU.sparse.") => return None,
            key => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attributes.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        Some(())
    }
}

/// `1234.56`, before 1970 with a minus.
fn seconds(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let (whole, nanos) = (whole.parse::<i64>().ok()?, digits.parse::<u32>().ok()?);
    match (text.starts_with('-'), nanos) {
        (true, 1..) => Some((whole.checked_sub(1)?, 1_000_000_000 - nanos)),
        (true, 0) | (false, _) => Some((whole, nanos)),
    }
}
