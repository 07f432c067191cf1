//! Reading the log of one container, across rotation (`0.log` becomes `0.log.1`) and restarts (`1.log`).
//!
//! A rotated file moves to higher numbers only, so looking through the numbers upwards meets every file at least
//! once, however much is moved meanwhile; and what follows a file is looked for before the file is read to its
//! end, so nothing written between the two is missed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::model::time::Timestamp;

use super::line::{Extent, RawLine, parse};
use super::reader::Place;
use super::write::Stream;

/// More than the writer keeps, so that another writer's files are read as well.
const HIGHEST_NUMBER: u32 = 9;
/// A longer line is handed on in pieces.
const LINE_LIMIT: usize = 1 << 20;
const CHUNK: usize = 64 * 1024;
/// Bytes that are read before it is somebody else's turn.
const TURN: u64 = 1 << 20;

/// A line as the container wrote it; `Partial` if it goes on in the next of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Of the container, counted from 0.
    pub(crate) run: u32,
    pub(crate) time: Timestamp,
    pub(crate) stream: Stream,
    pub(crate) extent: Extent,
    pub(crate) text: Vec<u8>,
}

/// Whether there was more than could be read in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    More,
}

/// How far the log of one container has been read.
#[derive(Debug)]
pub(crate) struct Cursor {
    directory: PathBuf,
    run: u32,
    last_run: u32,
    open: Option<Open>,
    /// Pieces of lines whose end has not been read.
    stdout: Option<Line>,
    stderr: Option<Line>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Where the first line begins that has not been handed on.
    at: u64,
}

impl Cursor {
    /// Before the first line of run number `run`, or of the first one after it that has a file.
    pub(crate) fn at_run(directory: PathBuf, run: u32) -> Cursor {
        Cursor { directory, run, last_run: u32::MAX, open: None, stdout: None, stderr: None }
    }

    /// As [`Cursor::at_run`], of that run alone.
    pub(crate) fn of_run(directory: PathBuf, run: u32) -> Cursor {
        Cursor { last_run: run, ..Cursor::at_run(directory, run) }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The run whose lines come next.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// The file whose lines come next; `None` while there is none.
    pub(crate) fn place(&self) -> io::Result<Option<Place>> {
        let Some(open) = &self.open else { return Ok(None) };
        Ok(Some(Place { run: self.run, inode: open.file.metadata()?.ino() }))
    }

    /// Bytes of the files that have not been handed on.
    pub(crate) fn unread(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for run in runs(&self.directory)?.range(self.run..=self.last_run) {
            for number in 0..=HIGHEST_NUMBER {
                let Some(file) = open(&numbered(&self.directory, *run, number))? else { continue };
                let is = file.metadata()?;
                match &self.open {
                    // The files with higher numbers are older.
                    Some(open) if open.file.metadata()?.ino() == is.ino() => {
                        bytes += is.len().saturating_sub(open.at);
                        break;
                    }
                    Some(_) | None => bytes += is.len(),
                }
            }
        }
        Ok(bytes)
    }

    /// Hands on every line from here to the present end: a flood may be written faster than it is read.
    ///
    /// # Errors
    /// Those of reading, and those of `sink`.
    pub(crate) fn drain(&mut self, sink: &mut dyn FnMut(Line) -> io::Result<()>) -> io::Result<()> {
        let bytes = self.unread()?;
        self.advance(bytes, sink).map(drop)
    }

    /// As [`Cursor::drain`], but no more than others can wait for.
    pub(crate) fn turn(&mut self, sink: &mut dyn FnMut(Line) -> io::Result<()>) -> io::Result<Left> {
        self.advance(TURN, sink)
    }

    /// `budget`: bytes after which it is enough.
    fn advance(&mut self, mut budget: u64, sink: &mut dyn FnMut(Line) -> io::Result<()>) -> io::Result<Left> {
        loop {
            let runs = runs(&self.directory)?;
            if self.open.is_none() {
                let Some(run) = runs.range(self.run..=self.last_run).next() else { return Ok(Left::Nothing) };
                self.run = *run;
                self.open = oldest(&self.directory, self.run)?.map(Open::new);
            }
            let Some(open) = &mut self.open else { return Ok(Left::Nothing) };
            let later = (Bound::Excluded(self.run), Bound::Included(self.last_run));
            let next_run = runs.range(later).next().copied();
            let next_file = follower(&self.directory, self.run, &open.file)?;
            let run = self.run;
            let mut hand_on = |raw: RawLine<'_>| match raw.stream {
                Stream::Stdout => join(&mut self.stdout, run, raw, sink),
                Stream::Stderr => join(&mut self.stderr, run, raw, sink),
            };
            open.read(&mut budget, &mut hand_on)?;
            if budget == 0 {
                return Ok(Left::More);
            }
            match (next_file, next_run) {
                (Some(file), _) => self.open = Some(Open::new(file)),
                (None, Some(run)) => {
                    self.give_pieces(sink)?;
                    self.run = run;
                    self.open = oldest(&self.directory, run)?.map(Open::new);
                }
                (None, None) => return Ok(Left::Nothing),
            }
        }
    }

    /// Hands on pieces whose rest will not come.
    pub(crate) fn give_pieces(&mut self, sink: &mut dyn FnMut(Line) -> io::Result<()>) -> io::Result<()> {
        for piece in [self.stdout.take(), self.stderr.take()].into_iter().flatten() {
            sink(Line { extent: Extent::Full, ..piece })?;
        }
        Ok(())
    }
}

impl Open {
    fn new(file: File) -> Open {
        Open { file, at: 0 }
    }

    /// Whole lines only: what has no newline yet is read again later, as its writer may take it back.
    fn read(
        &mut self,
        budget: &mut u64,
        hand_on: &mut dyn FnMut(RawLine<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        while *budget > 0 {
            let count = self.file.read_at(&mut buffer, self.at)?;
            let Some(end) = buffer[..count].iter().rposition(|byte| *byte == b'\n') else {
                if count < buffer.len() {
                    return Ok(());
                }
                buffer.resize(buffer.len() * 2, 0);
                continue;
            };
            for line in buffer[..end].split(|byte| *byte == b'\n') {
                if let Some(raw) = parse(line) {
                    hand_on(raw)?;
                }
            }
            let taken = end as u64 + 1;
            self.at += taken;
            *budget = budget.saturating_sub(taken);
        }
        Ok(())
    }
}

/// Puts the pieces of a line together.
fn join(
    piece: &mut Option<Line>,
    run: u32,
    raw: RawLine<'_>,
    sink: &mut dyn FnMut(Line) -> io::Result<()>,
) -> io::Result<()> {
    let mut line = piece.take().unwrap_or(Line {
        run,
        time: raw.time,
        stream: raw.stream,
        extent: Extent::Partial,
        text: Vec::new(),
    });
    line.text.extend_from_slice(raw.text);
    line.extent = raw.extent;
    match raw.extent {
        Extent::Partial if line.text.len() < LINE_LIMIT => *piece = Some(line),
        Extent::Partial | Extent::Full => sink(line)?,
    }
    Ok(())
}

/// Numbers of the runs that have a file. No directory: none.
pub(crate) fn runs(directory: &Path) -> io::Result<BTreeSet<u32>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let mut runs = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name();
        let run: Option<u32> =
            name.to_str().and_then(|name| name.split_once(".log")).and_then(|(run, _)| run.parse().ok());
        runs.extend(run);
    }
    Ok(runs)
}

fn numbered(directory: &Path, run: u32, number: u32) -> PathBuf {
    match number {
        0 => directory.join(format!("{run}.log")),
        number => directory.join(format!("{run}.log.{number}")),
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The oldest file of a run.
fn oldest(directory: &Path, run: u32) -> io::Result<Option<File>> {
    let mut found = None;
    for number in 0..=HIGHEST_NUMBER {
        if let Some(file) = open(&numbered(directory, run, number))? {
            found = Some(file);
        }
    }
    Ok(found)
}

/// The file that was begun when `file` was rotated; the oldest one if `file` has been removed since.
fn follower(directory: &Path, run: u32, file: &File) -> io::Result<Option<File>> {
    let of = file.metadata()?;
    let mut newer = None;
    for number in 0..=HIGHEST_NUMBER {
        let Some(candidate) = open(&numbered(directory, run, number))? else { continue };
        let is = candidate.metadata()?;
        // An inode's number is not given to another file while `file` is open.
        if (is.dev(), is.ino()) == (of.dev(), of.ino()) {
            return Ok(newer);
        }
        newer = Some(candidate);
    }
    Ok(newer)
}

#[cfg(test)]
mod tests;
