//! One look at a whole folder: every manifest in it, by stat alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::names::{self, IGNORE_FILE, SKIP};
use super::open::{self, Opened, Owner, Sighting};
use super::trust::{self, Trust};
use crate::publish::directory_below;
use crate::publish::status::is_draft;
use crate::status::status_name;

/// Directories deeper than this are not looked into: a bind mount can make a folder its own descendant.
const DEPTH_LIMIT: usize = 32;

/// Records and status files are text, and could not tell of it.
pub(crate) const NOT_UTF8: &str = "its path is not UTF-8; rename it";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Manifests by their path in the folder.
    pub(crate) manifests: BTreeMap<PathBuf, Sighting>,
    pub(crate) beside: Beside,
    /// The only paths that were looked at, if not all were.
    pub(crate) part: Option<BTreeSet<PathBuf>>,
}

/// How status files lie beside manifests, where all of a folder was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    /// Status files that lie beside no manifest, and those that are half written.
    pub(crate) orphans: BTreeSet<PathBuf>,
    /// Manifests that no status file lies beside.
    pub(crate) bare: BTreeSet<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}")]
pub(crate) struct ScanError {
    path: PathBuf,
    source: io::Error,
}

impl ScanError {
    pub(crate) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Flat,
    Recursive,
}

/// Looks at everything below `root`.
///
/// # Errors
/// If any directory in it cannot be read: what is not seen must not be taken for gone.
pub(crate) fn scan(root: BorrowedFd<'_>, trust: Trust, depth: Depth) -> Result<Scan, ScanError> {
    let mut scanner = Scanner::new(root, trust, depth);
    scanner.enter(Path::new(""), None)?;
    Ok(scanner.found())
}

/// Looks at some files of a folder, whatever rules of names say: the user named them.
pub(crate) fn named(root: BorrowedFd<'_>, paths: &BTreeSet<PathBuf>) -> Result<Scan, ScanError> {
    let mut found = Scan::default();
    for path in paths {
        if let Some(sighting) = look(root, path)? {
            found.manifests.insert(path.clone(), unless_unnameable(path, sighting));
        }
    }
    Ok(found)
}

/// Looks at some manifests alone, by the rules that a scan of the whole folder goes by.
pub(crate) fn part(root: BorrowedFd<'_>, trust: Trust, paths: BTreeSet<PathBuf>) -> Result<Scan, ScanError> {
    let mut names: BTreeMap<&Path, Vec<&OsStr>> = BTreeMap::new();
    for path in &paths {
        let Some(name) = path.file_name() else { continue };
        names.entry(path.parent().unwrap_or(Path::new(""))).or_default().push(name);
    }
    let mut scanner = Scanner::new(root, trust, Depth::Flat);
    for (directory, names) in names {
        scanner.some_of(directory, &names)?;
    }
    Ok(Scan { part: Some(paths), ..scanner.found() })
}

struct Scanner<'a> {
    root: BorrowedFd<'a>,
    trust: Trust,
    depth: Depth,
    /// Of the directories from the root to where we are; the deepest that has an opinion decides.
    ignores: Vec<(PathBuf, Gitignore)>,
    manifests: Vec<(PathBuf, Sighting)>,
    beside: Beside,
}

impl Scanner<'_> {
    fn new(root: BorrowedFd<'_>, trust: Trust, depth: Depth) -> Scanner<'_> {
        let beside = Beside::default();
        Scanner { root, trust, depth, ignores: Vec::new(), manifests: Vec::new(), beside }
    }

    fn found(self) -> Scan {
        let Scanner { manifests, beside, .. } = self;
        Scan { manifests: manifests.into_iter().collect(), beside, part: None }
    }

    /// `objection` is that against a parent directory: whoever can write there can replace all below.
    fn enter(&mut self, path: &Path, objection: Option<&str>) -> Result<(), ScanError> {
        let Some((directory, objection)) = self.open(path, objection)? else { return Ok(()) };
        let listing = list(directory.as_fd())
            .map_err(|error| ScanError { path: path.to_owned(), source: error.into() })?;
        if listing.find(OsStr::new(IGNORE_FILE)).is_some() {
            self.heed_ignore_file(path)?;
        }
        let are_skipped = listing.files.iter().any(|name| name.as_bytes().ends_with(SKIP.as_bytes()));
        let mut has_manifest = vec![false; listing.files.len()];
        for name in &listing.files {
            let said = name.to_string_lossy();
            let is_off = || are_skipped && listing.find(&skip_of(name)).is_some();
            if !names::is_manifest(&said)
                || is_off()
                || !self.file(directory.as_fd(), path.join(name), name, objection.as_deref())?
            {
                continue;
            }
            match listing.find(OsStr::new(&status_name(&said))) {
                Some(at) => has_manifest[at] = true,
                None => drop(self.beside.bare.insert(path.join(name))),
            }
        }
        let alone = listing.files.iter().zip(has_manifest).filter(|(_, has_manifest)| !has_manifest);
        // Ours are UTF-8.
        let is_ours = |name: &str| names::is_status(name) || is_draft(name);
        let orphans = alone.filter(|(name, _)| name.to_str().is_some_and(is_ours));
        self.beside.orphans.extend(orphans.map(|(name, _)| path.join(name)));
        let directories = match self.depth {
            Depth::Flat => &Vec::new(),
            Depth::Recursive => &listing.directories,
        };
        for name in directories {
            let below = path.join(name);
            if self.is_entered(&below, name) {
                self.enter(&below, objection.as_deref())?;
            }
        }
        self.ignores.retain(|(at, _)| at != path);
        Ok(())
    }

    /// Looks at files of one directory, if a scan would come to it.
    fn some_of(&mut self, directory: &Path, names: &[&OsStr]) -> Result<(), ScanError> {
        self.ignores.clear();
        let mut objection = None;
        let mut way: Vec<&Path> = directory.ancestors().collect();
        way.reverse();
        let mut opened = None;
        for at in way {
            if at.file_name().is_some_and(|name| !self.is_entered(at, name)) {
                return Ok(());
            }
            let Some((handle, against)) = self.open(at, objection.as_deref())? else { return Ok(()) };
            opened = Some(handle);
            objection = against;
            self.heed_ignore_file(at)?;
        }
        let Some(handle) = opened else { return Ok(()) };
        for name in names {
            if names::is_manifest(&name.to_string_lossy())
                && look(self.root, &directory.join(skip_of(name)))?.is_none()
            {
                self.file(handle.as_fd(), directory.join(name), name, objection.as_deref())?;
            }
        }
        Ok(())
    }

    /// A directory, with what is to be said against it or a parent; `None` if it is gone, or replaced by something
    /// else, since its parent was looked at.
    fn open(
        &self,
        path: &Path,
        objection: Option<&str>,
    ) -> Result<Option<(OwnedFd, Option<String>)>, ScanError> {
        let failed = |source: Errno| ScanError { path: path.to_owned(), source: source.into() };
        let directory = match directory_below(self.root, path) {
            Ok(directory) => directory,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !path.as_os_str().is_empty() => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let own = match self.trust {
            Trust::Checked if !path.as_os_str().is_empty() => {
                let stat = rustix::fs::fstat(&directory).map_err(failed)?;
                trust::objection(Owner::of(&stat)).map(|why| format!("its directory is not safe: {why}"))
            }
            Trust::Checked | Trust::Admitted | Trust::NamedByUser => None,
        };
        Ok(Some((directory, objection.map(str::to_owned).or(own))))
    }

    fn heed_ignore_file(&mut self, directory: &Path) -> Result<(), ScanError> {
        let rules = read_ignore_file(self.root, &directory.join(IGNORE_FILE))?;
        self.ignores.push((directory.to_owned(), rules));
        Ok(())
    }

    fn is_entered(&self, directory: &Path, name: &OsStr) -> bool {
        names::is_entered(&name.to_string_lossy())
            && directory.components().count() <= DEPTH_LIMIT
            && !self.is_ignored(directory, Kind::Directory)
    }

    /// Tells whether there is such a manifest.
    fn file(
        &mut self,
        directory: BorrowedFd<'_>,
        path: PathBuf,
        name: &OsStr,
        objection: Option<&str>,
    ) -> Result<bool, ScanError> {
        if self.is_ignored(&path, Kind::File) {
            return Ok(false);
        }
        let seen = open::look_in(directory, name, self.root, &path);
        let seen = seen.map_err(|source| ScanError { path: path.clone(), source })?;
        let Some(sighting) = seen else { return Ok(false) };
        let sighting = refused(&sighting, self.trust, objection).map_or(sighting, Sighting::Odd);
        let sighting = unless_unnameable(&path, sighting);
        self.manifests.push((path, sighting));
        Ok(true)
    }

    fn is_ignored(&self, path: &Path, kind: Kind) -> bool {
        for (base, rules) in self.ignores.iter().rev() {
            let Ok(relative) = path.strip_prefix(base) else { continue };
            match rules.matched(relative, kind == Kind::Directory) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }
}

/// Why a file is not read whatever it holds. `objection` is that against its directory.
fn refused(sighting: &Sighting, trust: Trust, objection: Option<&str>) -> Option<String> {
    match (sighting, trust) {
        (Sighting::File { owner, .. }, Trust::Checked) => {
            objection.map(str::to_owned).or_else(|| trust::objection(*owner))
        }
        // A link could lead to what its maker must not read.
        (Sighting::File { linked: true, .. }, Trust::Admitted) => Some("it is a link".to_owned()),
        (Sighting::File { .. } | Sighting::Odd(_), _) => None,
    }
}

fn unless_unnameable(path: &Path, sighting: Sighting) -> Sighting {
    if path.to_str().is_some() { sighting } else { Sighting::Odd(NOT_UTF8.to_owned()) }
}

/// The file beside `name` that switches it off.
fn skip_of(name: &OsStr) -> OsString {
    let mut skip = name.to_owned();
    skip.push(SKIP);
    skip
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
}

#[derive(Default)]
struct Listing {
    /// Everything that is no directory, links among them; in order.
    files: Vec<OsString>,
    directories: Vec<OsString>,
}

impl Listing {
    /// The place of a file.
    fn find(&self, name: &OsStr) -> Option<usize> {
        self.files.binary_search_by(|known| known.as_os_str().cmp(name)).ok()
    }
}

fn list(directory: BorrowedFd<'_>) -> rustix::io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let kind = match entry.file_type() {
            // Some file systems leave the kind to a stat.
            FileType::Unknown => {
                match rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(error),
                }
            }
            known => known,
        };
        match kind {
            FileType::Directory => listing.directories.push(name.to_owned()),
            _ => listing.files.push(name.to_owned()),
        }
    }
    listing.files.sort_unstable();
    listing.directories.sort_unstable();
    Ok(listing)
}

fn look(root: BorrowedFd<'_>, path: &Path) -> Result<Option<Sighting>, ScanError> {
    open::look(root, path).map_err(|source| ScanError { path: path.to_owned(), source })
}

/// A line that is no pattern ignores nothing, as with git.
fn read_ignore_file(root: BorrowedFd<'_>, path: &Path) -> Result<Gitignore, ScanError> {
    let failed = |source| ScanError { path: path.to_owned(), source };
    let opened = open::open(root, path).map_err(failed)?;
    let text = opened.as_ref().map_or(Ok(None), Opened::read).map_err(failed)?.unwrap_or_default();
    let mut rules = GitignoreBuilder::new("");
    for line in String::from_utf8_lossy(&text).lines() {
        drop(rules.add_line(None, line));
    }
    rules.build().map_err(|source| failed(io::Error::new(io::ErrorKind::InvalidData, source)))
}
