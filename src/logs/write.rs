//! The writing side: bytes of a container's two streams become CRI lines,
//! `<RFC 3339 time> stdout F <text>`, in a file that is rotated before it grows past its limit.
//!
//! Format: <https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/logs/logs.go>, KEP-2371.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::reader::{Place, Reader};
use crate::model::time::Timestamp;

/// More descriptors than a child is handed.
const ABOVE_HANDED: i32 = 64;
/// Bytes of one file before it is rotated.
const FILE_LIMIT: u64 = 10 * 1024 * 1024;
/// Files kept of one run of a container, the one being written included.
const FILES_KEPT: u32 = 5;
/// A longer line is split into partial ones, tagged `P`.
const LINE_LIMIT: usize = 16 * 1024;
/// Bytes at the end of the output that are kept for a termination message.
const TAIL_LIMIT: usize = 2048;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// The log of one run of one container.
#[derive(Debug)]
pub(crate) struct LogWriter {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Lines that the disc did not take since one was last written.
    dropped: u64,
    tail: Vec<u8>,
    /// What it has not read is not removed.
    reader: Option<Reader>,
    /// There is no room for another file until the reader has gone on.
    full: bool,
}

impl LogWriter {
    /// Opens `<pod logs>/<container>/<restart>.log`. A disc that refuses costs the lines, not the container.
    pub(crate) fn open(path: &Path, reader: Option<Reader>) -> LogWriter {
        let file = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| open(path)).ok();
        let size = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |is| is.len());
        let (stdout, stderr, tail) = (Vec::new(), Vec::new(), Vec::new());
        LogWriter { path: path.to_owned(), file, size, stdout, stderr, dropped: 0, tail, reader, full: false }
    }

    /// Takes bytes as they came out of the container's pipe.
    pub(crate) fn take(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) {
        self.keep_tail(bytes);
        let mut lines = Lines::new(stream, now);
        let part = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        for chunk in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (mut text, ended) = match chunk.split_last() {
                Some((b'\n', text)) => (text, true),
                Some(_) | None => (chunk, false),
            };
            while part.len() + text.len() > LINE_LIMIT {
                let (now_written, rest) = text.split_at(LINE_LIMIT - part.len());
                part.extend_from_slice(now_written);
                lines.push('P', part);
                part.clear();
                text = rest;
            }
            part.extend_from_slice(text);
            if ended {
                lines.push('F', part);
                part.clear();
            }
        }
        self.append(&lines, now);
    }

    /// The streams have ended: what they left without a newline is a line all the same.
    pub(crate) fn finish(&mut self, now: Timestamp) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let part = match stream {
                Stream::Stdout => std::mem::take(&mut self.stdout),
                Stream::Stderr => std::mem::take(&mut self.stderr),
            };
            if !part.is_empty() {
                let mut lines = Lines::new(stream, now);
                lines.push('F', &part);
                self.append(&lines, now);
            }
        }
    }

    /// Whether more is to be taken only once the reader has gone on. What is taken all the same makes the last file
    /// longer.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// The reader may have gone on.
    pub(crate) fn look_again(&mut self) {
        self.full = self.full && self.waits_for_reader();
    }

    /// There is no reader any more whom anything would be kept for.
    pub(crate) fn forget_reader(&mut self) {
        self.reader = None;
        self.full = false;
    }

    /// Lines that the disc has not taken and that no line of the log tells of.
    pub(crate) fn lost(&self) -> u64 {
        self.dropped
    }

    /// The end of what the container wrote, for `terminationMessagePolicy: FallbackToLogsOnError`.
    pub(crate) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(TAIL_LIMIT)..];
        let surplus = (self.tail.len() + new.len()).saturating_sub(TAIL_LIMIT);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(new);
    }

    fn append(&mut self, lines: &Lines, now: Timestamp) {
        if lines.text.is_empty() {
            return;
        }
        if self.size + lines.text.len() as u64 > FILE_LIMIT && self.size > 0 {
            self.full = self.waits_for_reader();
            if !self.full {
                self.rotate();
            }
        }
        match self.write(&lines.text, now) {
            Ok(()) => self.dropped = 0,
            Err(_) => self.dropped += lines.count,
        }
    }

    fn write(&mut self, text: &[u8], now: Timestamp) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            absent => {
                let (file, size) = open_anew(&self.path)?;
                self.size = size;
                absent.insert(file)
            }
        };
        let note = match self.dropped {
            0 => String::new(),
            lost => format!("{now:.9} stderr F droppod: the log could not be written, {lost} lines lost\n"),
        };
        // In one piece: a note that got through alone would be told again with the next lines.
        let whole = if note.is_empty() { text } else { &[note.as_bytes(), text].concat() };
        match file.write_all(whole) {
            Ok(()) => {
                self.size += whole.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A line cut by a full disc must not run into the next one: go back to the last whole line.
                drop(file.set_len(self.size));
                Err(error)
            }
        }
    }

    /// Whether the file that would go for another one has not been read.
    fn waits_for_reader(&self) -> bool {
        let Some(reader) = &self.reader else { return false };
        let run = self.path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or(0);
        // Fewer files than the limit is the usual case: none would go.
        let oldest = std::fs::metadata(self.numbered(FILES_KEPT - 1)).ok();
        oldest.is_some_and(|is| !reader.has_left(Place { run, inode: is.ino() }))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        PathBuf::from(name)
    }

    /// `N.log` becomes `N.log.1`, that `N.log.2`, and so on; the oldest goes.
    fn rotate(&mut self) {
        for number in (0..FILES_KEPT - 1).rev() {
            // Fewer files than the limit is the usual case; one that cannot be moved is written over in time.
            drop(std::fs::rename(self.numbered(number), self.numbered(number + 1)));
        }
        // Opened, and its size looked at, with the next line.
        self.file = None;
        self.size = 0;
    }
}

/// Out of the way of what is handed to children: one that is begun closes what lies there, which on a file system of
/// another machine may wait for that.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let above = rustix::io::fcntl_dupfd_cloexec(&file, ABOVE_HANDED);
    Ok(above.map_or(file, File::from))
}

/// A file and its size: it may be there still, as when it could not be moved away, and what it holds stays.
fn open_anew(path: &Path) -> io::Result<(File, u64)> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Lines being put together for one write.
struct Lines {
    text: Vec<u8>,
    count: u64,
    stamp: String,
}

impl Lines {
    fn new(stream: Stream, now: Timestamp) -> Lines {
        Lines { text: Vec::new(), count: 0, stamp: format!("{now:.9} {} ", stream.name()) }
    }

    fn push(&mut self, tag: char, text: &[u8]) {
        self.text.extend_from_slice(self.stamp.as_bytes());
        self.text.push(tag as u8);
        self.text.push(b' ');
        self.text.extend_from_slice(text);
        self.text.push(b'\n');
        self.count += 1;
    }
}

#[cfg(test)]
mod tests;
