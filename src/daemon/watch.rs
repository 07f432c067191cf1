//! Ears: what says "look again". Losing, doubling or mistaking one changes nothing but when a pass is made.

pub(crate) mod ends;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::model::id::Uid;
use crate::paths::Places;

use super::folder::identity::Identity;
use super::folder::names;
use super::folder::settle::Hint;

/// Events that wait to be heard; one that finds no room sets a flag instead.
const ROOM: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// About something in a folder, the hint's path relative to it.
    Folder {
        root: PathBuf,
        hint: Hint,
    },
    Pod,
    /// Somebody wants an object deleted.
    Deletion,
    /// Events were lost.
    Overflow,
}

#[derive(Debug)]
pub(crate) struct Ears {
    /// None where the machine has no more of them, which is told once.
    watcher: Option<RecommendedWatcher>,
    listener: Listener,
    heard: mpsc::Receiver<Heard>,
    folders: BTreeMap<PathBuf, Hearing>,
    /// Folders that cannot be watched, which is told once.
    unheard: BTreeSet<PathBuf>,
    /// Device and inode of each pod's directory that is watched.
    pods: BTreeMap<Uid, (u64, u64)>,
}

/// What has come of watching a directory.
#[derive(Debug)]
enum Hearing {
    Watched(Identity),
    /// To be tried again when all is looked at again.
    Deaf(Identity),
}

impl Ears {
    /// Without a watcher there is nothing to hear, and the looks that are due anyway must do.
    pub(crate) fn open(roots: &[PathBuf], places: &Places) -> Ears {
        let (sender, heard) = mpsc::channel(ROOM);
        let overflow = Arc::new(AtomicBool::new(false));
        let listener = Listener {
            roots: roots.to_vec(),
            pods: places.pods(),
            deletions: places.deletions(),
            sender,
            overflow,
        };
        let watcher = listener.watcher();
        if let Err(error) = &watcher {
            tracing::warn!(%error, "no file events on this machine, folders are polled");
        }
        Ears {
            watcher: watcher.ok(),
            listener,
            heard,
            folders: BTreeMap::new(),
            unheard: BTreeSet::new(),
            pods: BTreeMap::new(),
        }
    }

    /// What could not be watched is tried again: others may have let go of what there is of watchers.
    pub(crate) fn try_again(&mut self) {
        self.folders.retain(|_, hearing| matches!(hearing, Hearing::Watched(_)));
        if self.watcher.is_none() {
            self.watcher = self.listener.watcher().ok();
            if self.watcher.is_some() {
                tracing::info!("there are file events again");
            }
        }
    }

    /// Events were lost, and may have told of directories that nobody watches yet.
    pub(crate) fn watch_anew(&mut self) {
        self.folders.clear();
    }

    /// Watches a folder, anew if its name leads to another directory than before. Tells whether events can be
    /// relied on.
    pub(crate) fn watch_folder(&mut self, root: &Path) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let Ok(identity) = Identity::at(root) else {
            self.folders.remove(root);
            return false;
        };
        let tells = !is_remote(root);
        match self.folders.get(root) {
            Some(Hearing::Watched(known)) if *known == identity => return tells,
            Some(Hearing::Deaf(known)) if *known == identity => return false,
            Some(Hearing::Watched(_) | Hearing::Deaf(_)) | None => {}
        }
        // The old watch, if any, follows the directory that was renamed away.
        drop(watcher.unwatch(root));
        match watcher.watch(root, RecursiveMode::Recursive) {
            Ok(()) => {
                self.folders.insert(root.to_owned(), Hearing::Watched(identity));
                if self.unheard.remove(root) {
                    tracing::info!(folder = %root.display(), "folder is watched again");
                }
                tells
            }
            Err(error) => {
                // Those of its directories that are watched help nobody, and others could.
                drop(watcher.unwatch(root));
                self.folders.insert(root.to_owned(), Hearing::Deaf(identity));
                if self.unheard.insert(root.to_owned()) {
                    tracing::warn!(folder = %root.display(), %error, "folder cannot be watched, it is polled");
                }
                false
            }
        }
    }

    /// Watches the directories of these pods and of no others. Tells whether all of them are watched.
    pub(crate) fn watch_pods<'a>(&mut self, places: &Places, pods: impl Iterator<Item = &'a Uid>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let identity =
            |uid: &Uid| rustix::fs::stat(&places.pod(uid).0).map(|stat| (stat.st_dev, stat.st_ino));
        let wanted: BTreeMap<Uid, (u64, u64)> =
            pods.filter_map(|uid| Some((uid.clone(), identity(uid).ok()?))).collect();
        // A pod that is started again has another directory of the same name.
        let is_wanted = |uid: &Uid, identity: &(u64, u64)| wanted.get(uid) == Some(identity);
        for (gone, _) in self.pods.iter().filter(|(uid, identity)| !is_wanted(uid, identity)) {
            // The kernel has removed it with the directory.
            drop(watcher.unwatch(&places.pod(gone).0));
        }
        self.pods.retain(|uid, identity| is_wanted(uid, identity));
        for (uid, identity) in &wanted {
            let new = !self.pods.contains_key(uid);
            if new && watcher.watch(&places.pod(uid).0, RecursiveMode::NonRecursive).is_ok() {
                self.pods.insert(uid.clone(), *identity);
            }
        }
        self.pods.len() == wanted.len()
    }

    pub(crate) async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            // This value holds a sender, so the channel does not close.
            None => std::future::pending().await,
        }
    }

    /// What else has been heard, without waiting.
    pub(crate) fn rest(&mut self) -> Vec<Heard> {
        let mut rest = Vec::new();
        while let Ok(heard) = self.heard.try_recv() {
            rest.push(heard);
        }
        if self.listener.overflow.swap(false, Ordering::Relaxed) {
            rest.push(Heard::Overflow);
        }
        rest
    }
}

/// Whether others can change the folder without this kernel hearing of it.
fn is_remote(root: &Path) -> bool {
    // NFS, 9p, FUSE, SMB, CIFS, SMB 2, Ceph; statfs(2).
    const REMOTE: [u64; 7] =
        [0x6969, 0x0102_1997, 0x6573_5546, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400];
    rustix::fs::statfs(root).is_ok_and(|stat| REMOTE.contains(&stat.f_type.unsigned_abs()))
}

/// The end of notify's thread.
#[derive(Debug, Clone)]
struct Listener {
    roots: Vec<PathBuf>,
    pods: PathBuf,
    deletions: PathBuf,
    sender: mpsc::Sender<Heard>,
    overflow: Arc<AtomicBool>,
}

impl Listener {
    fn watcher(&self) -> notify::Result<RecommendedWatcher> {
        let listener = self.clone();
        let mut watcher = notify::recommended_watcher(move |event| listener.hear(event))?;
        // Unheard, a deletion waits for the next look at everything.
        drop(watcher.watch(&self.deletions, RecursiveMode::NonRecursive));
        Ok(watcher)
    }

    fn hear(&self, event: notify::Result<Event>) {
        // An error of the watcher loses events as an overflow does.
        let heard = match event {
            Ok(event) if event.need_rescan() => vec![Heard::Overflow],
            Ok(event) => self.understand(&event),
            Err(_) => vec![Heard::Overflow],
        };
        for heard in heard {
            if self.sender.try_send(heard).is_err() {
                self.overflow.store(true, Ordering::Relaxed);
            }
        }
    }

    fn understand(&self, event: &Event) -> Vec<Heard> {
        event.paths.iter().flat_map(|path| self.about(path, event.kind)).collect()
    }

    fn about(&self, path: &Path, kind: EventKind) -> Vec<Heard> {
        if let Ok(inside) = path.strip_prefix(&self.pods) {
            return if pod_hint(inside, kind) { vec![Heard::Pod] } else { Vec::new() };
        }
        if let Ok(inside) = path.strip_prefix(&self.deletions) {
            return if is_asked(inside, kind) { vec![Heard::Deletion] } else { Vec::new() };
        }
        // One folder may lie in another.
        let hints = self.roots.iter().filter_map(|root| {
            let hint = folder_hint(path.strip_prefix(root).ok()?, kind)?;
            Some(Heard::Folder { root: root.clone(), hint })
        });
        hints.collect()
    }
}

/// Only a state that was replaced, and the end of the directory, tell of a pod.
fn pod_hint(inside: &Path, kind: EventKind) -> bool {
    let of_state = inside.file_name().is_some_and(|name| name == "state.json");
    let of_directory = inside.components().count() <= 1;
    match kind {
        EventKind::Remove(_) => of_state || of_directory,
        EventKind::Create(_) | EventKind::Modify(_) => of_state,
        EventKind::Access(_) | EventKind::Any | EventKind::Other => false,
    }
}

/// Each is there once it has its name.
fn is_asked(inside: &Path, kind: EventKind) -> bool {
    let named = matches!(kind, EventKind::Modify(ModifyKind::Name(RenameMode::To)));
    named && inside.extension().is_some_and(|extension| extension == "json")
}

fn folder_hint(inside: &Path, kind: EventKind) -> Option<Hint> {
    let Some(name) = inside.file_name() else { return folder_itself(kind) };
    let name = &*name.to_string_lossy();
    if !names::wakes(name) {
        return None;
    }
    let manifest = names::is_manifest(name);
    let path = inside.to_owned();
    match kind {
        // Our own reading opens and closes.
        EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write) => None,
        _ if names::is_rule(name) => Some(Hint::Other),
        EventKind::Access(_) => Some(Hint::Closed(path)),
        EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) if manifest => {
            Some(Hint::Writing(path))
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(Hint::Arrived(path)),
        // Told by the two halves of the rename already.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
        EventKind::Remove(RemoveKind::File) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
            if manifest =>
        {
            Some(Hint::Went(path))
        }
        EventKind::Create(CreateKind::File) | EventKind::Remove(RemoveKind::File) | EventKind::Modify(_) => {
            Some(Hint::Touched(path))
        }
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Any | EventKind::Other => Some(Hint::Other),
    }
}

fn folder_itself(kind: EventKind) -> Option<Hint> {
    match kind {
        EventKind::Access(_) => None,
        EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Any
        | EventKind::Other => Some(Hint::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::DataChange;

    fn hint(name: &str, kind: EventKind) -> Option<Hint> {
        folder_hint(Path::new(name), kind)
    }

    #[test]
    fn reading_a_manifest_and_writing_its_status_are_not_heard() {
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        assert_eq!(hint("web.yaml", opened), None);
        assert_eq!(hint("web.status.yaml", renamed), None);
        assert_eq!(hint(".web.status.yaml.7.tmp", EventKind::Create(CreateKind::File)), None);
    }

    #[test]
    fn writing_closing_and_renaming_a_manifest_are_told_apart() {
        let web = PathBuf::from("sub/web.yaml");
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        assert_eq!(hint("sub/web.yaml", written), Some(Hint::Writing(web.clone())));
        assert_eq!(hint("sub/web.yaml", closed), Some(Hint::Closed(web.clone())));
        assert_eq!(hint("sub/web.yaml", renamed), Some(Hint::Arrived(web)));
        let went = EventKind::Modify(ModifyKind::Name(RenameMode::From));
        assert_eq!(hint("sub/web.yaml", went), Some(Hint::Went("sub/web.yaml".into())));
        let touched = Some(Hint::Touched("sub".into()));
        assert_eq!(hint("sub", went), touched, "what was in it was not seen going");
        assert_eq!(hint("sub", EventKind::Create(CreateKind::Folder)), Some(Hint::Other));
        assert_eq!(hint("web.yaml.skip", EventKind::Remove(RemoveKind::File)), Some(Hint::Other));
        assert_eq!(hint(".droppodignore", closed), Some(Hint::Other));
        let read = EventKind::Access(AccessKind::Close(AccessMode::Read));
        assert_eq!(hint(".droppodignore", read), None, "a scan reads it");
    }

    #[test]
    fn of_a_pod_only_its_state_and_its_end_are_heard() {
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        assert!(pod_hint(Path::new("uid/state.json"), renamed));
        assert!(!pod_hint(Path::new("uid/goal.json"), renamed));
        assert!(!pod_hint(Path::new("uid/.state.json.7.tmp"), renamed));
        assert!(pod_hint(Path::new("uid"), EventKind::Remove(RemoveKind::Folder)));
    }
}
