//! The watched folders: which files are in them, which of those are to be read, and when a folder that looks
//! empty is one that was lost.

mod handle;
pub(crate) mod identity;
pub(crate) mod names;
mod news;
pub(crate) mod open;
pub(crate) mod scan;
pub(crate) mod settle;
mod sight;
mod tracked;
pub(crate) mod trust;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::time::{Moment, Now};
use crate::paths::Places;
use crate::rundir::lock;
use crate::sandbox::sys::writers::Writers;

use handle::Handle;
pub(crate) use news::{Look, News};
use open::{Opened, Sighting};
use scan::Scan;
use settle::{Linked, Settling, Sight};
use sight::Attention;
use tracked::{Files, is_fresh};
use trust::Trust;

/// All files are read again this often: a file system may answer a stat with what it was.
const READ_AGAIN: Duration = Duration::from_secs(600);

/// A folder, or the files in it that are meant; of one folder there is one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    /// As the user named it, absolute: each look follows the links in it anew.
    pub(crate) path: PathBuf,
    pub(crate) select: Select,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Select {
    All,
    /// By their names in the folder.
    Files(BTreeSet<PathBuf>),
}

#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) root: Root,
    trust: Trust,
    handle: Option<Handle>,
    files: Files,
    pub(crate) settling: Settling,
    attention: Attention,
    read_all_at: Option<Moment>,
    unremembered: Option<String>,
}

/// Which of the files that are looked at are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    All,
    /// Those that may have another content than the one that was read last.
    Differing,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("cannot open folder {folder}")]
    Open { folder: PathBuf, source: io::Error },
    #[error("folder {folder} is watched by another droppod: {holder}")]
    Held { folder: PathBuf, holder: String },
    #[error("folder {folder} is not safe to watch: {at}: {why}")]
    Untrusted { folder: PathBuf, at: PathBuf, why: String },
}

impl Folder {
    /// Opens and locks a folder. One that is gone though objects were taken from it earlier is lost, which is
    /// no error; one that was never there is.
    pub(crate) fn open(
        root: Root,
        trust: Trust,
        sight: Sight,
        places: &Places,
    ) -> Result<Folder, FolderError> {
        let failed = |source| FolderError::Open { folder: root.path.clone(), source };
        let handle = match Handle::open(&root.path) {
            Ok(handle) => Some(handle),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !identity::is_known(places, &root.path).map_err(failed)? {
                    return Err(failed(error));
                }
                None
            }
            Err(error) => return Err(failed(error)),
        };
        if trust != Trust::NamedByUser
            && let Some(handle) = &handle
        {
            let objection = trust::folder_objection(&root.path).map_err(failed)?;
            if let Some((at, why)) = objection.filter(|_| trust == Trust::Checked) {
                return Err(FolderError::Untrusted { folder: root.path.clone(), at, why });
            }
            lock::patiently(|| handle.lock()).map_err(failed)?.ok_or_else(|| FolderError::Held {
                folder: root.path.clone(),
                holder: lock::holder(&root.path),
            })?;
        }
        let settling = Settling::new(sight);
        Ok(Folder {
            root,
            trust,
            handle,
            files: Files::default(),
            settling,
            attention: Attention::Whole,
            read_all_at: None,
            unremembered: None,
        })
    }

    /// Looks at the folder. `has_objects` tells whether objects in force came from it.
    pub(crate) fn look(&mut self, places: &Places, has_objects: HasObjects, now: Now) -> Look {
        if self.trust == Trust::Checked {
            // A folder that is not there is told of below.
            if let Ok(Some((at, why))) = trust::folder_objection(&self.root.path) {
                return Look::Refused(format!("{}: {why}", at.display()));
            }
        }
        match self.sighted(places, has_objects, now) {
            Ok(scan) => Look::Seen(Box::new(self.news(scan, has_objects, now))),
            Err(why) => {
                self.settling.look_everywhere();
                Look::Lost(why)
            }
        }
    }

    /// For whoever hears of changes, and has all of the folder looked at from time to time.
    pub(crate) fn rely_on_events(&mut self) {
        self.attention = Attention::WholeForNow;
    }

    fn news(&mut self, scan: Scan, has_objects: HasObjects, now: Now) -> News {
        let first_look = self.read_all_at.is_none();
        let read_all = self.read_all_at.is_none_or(|due| now.boot >= due);
        if read_all {
            self.read_all_at = Some(now.boot + READ_AGAIN);
        }
        let differing = self.files.notice(&scan, now.boot);
        let files = &self.files;
        self.settling.keep_only(|path| files.contains_key(path));
        // Where nobody has looked before, what is missing may be about to be put in its place.
        let stirred = if first_look { has_objects == HasObjects::Yes } else { !differing.is_empty() };
        if stirred {
            self.settling.stirred(now.boot);
        }
        let Scan { beside, part, .. } = scan;
        let beside = Some(beside).filter(|_| part.is_none());
        let part = match part {
            None if read_all => None,
            // Of the others it was seen that nothing is to be told.
            None => Some(self.files.unsure().cloned().chain(differing).collect()),
            part => part,
        };
        let went = self.settling.take_went();
        let mut news = News { beside, part, went, ..News::default() };
        news.unremembered.clone_from(&self.unremembered);
        if self.handle.is_none() {
            return news;
        }
        let looked_at: Vec<PathBuf> = match &news.part {
            None => self.files.keys().cloned().collect(),
            Some(part) => part.iter().filter(|path| self.files.contains_key(*path)).cloned().collect(),
        };
        let linked = if first_look { Linked::Yes } else { Linked::No };
        let reading = if read_all { Reading::All } else { Reading::Differing };
        for path in looked_at {
            self.read(&path, reading, linked, &mut news, now);
            news.present.insert(path);
        }
        news.restless_until = self.settling.quiet(now.boot).err();
        news.again_at = earlier(news.again_at, news.restless_until);
        if self.attention == Attention::WholeForNow && news.restless_until.is_none() {
            self.attention = Attention::Told;
        }
        news
    }

    /// Reads a file if that is due and may be done.
    fn read(&mut self, path: &Path, reading: Reading, first: Linked, news: &mut News, now: Now) {
        let Folder { handle: Some(handle), files, settling, trust, .. } = self else { return };
        let Some(tracked) = files.get(path) else { return };
        let (stamp, linked) = match &tracked.sighting {
            Sighting::Odd(why) => {
                news.odd.insert(path.to_owned(), why.clone());
                return;
            }
            Sighting::File { stamp, linked, .. } => (*stamp, *linked),
        };
        let changed = tracked.read != Some(stamp);
        if !changed && reading == Reading::Differing {
            return;
        }
        let linked = if linked { Linked::Yes } else { first };
        let opened = open::open(&handle.directory, path);
        let writers = opened.as_ref().ok().and_then(Option::as_ref).map(|opened| match trust {
            Trust::Checked | Trust::Admitted => opened.writers(),
            // It may be the user's own script that has it open still.
            Trust::NamedByUser => Writers::Unknown,
        });
        if let Some(writers) = writers.filter(|_| changed)
            && let Err(due) = settling.may_read(path, tracked.first_seen, linked, writers, now.boot)
        {
            news.settling.insert(path.to_owned());
            news.again_at = earlier(news.again_at, Some(due));
            return;
        }
        match opened.and_then(|opened| opened.map_or(Ok(None), Opened::content)) {
            Ok(Some((stamp, content))) => {
                files.note_read(path, (!is_fresh(&stamp, now)).then_some(stamp));
                news.read.insert(path.to_owned(), content);
            }
            // Gone or replaced since the scan, or written to since it was opened: the next look sees what it is.
            Ok(None) => {
                news.settling.insert(path.to_owned());
                news.again_at = earlier(news.again_at, Some(now.boot + settle::QUIET));
            }
            Err(error) => {
                news.odd.insert(path.to_owned(), format!("it cannot be read: {error}"));
            }
        }
    }

    /// The next look reads every file.
    pub(crate) fn read_again(&mut self, now: Moment) {
        self.settling.look_everywhere();
        // Without a look before it, the first one does.
        self.read_all_at = self.read_all_at.map(|_| now);
    }

    /// The directory, for what is written beside the manifests.
    pub(crate) fn directory(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.handle.as_ref().map(|handle| handle.directory.as_fd())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HasObjects {
    Yes,
    No,
}

pub(crate) fn earlier(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// An error with what caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
