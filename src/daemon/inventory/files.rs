//! The files of all folders, and the way from an object to those that declare it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::Declared;
use crate::model::object::{Known, ObjectKey, Source};

use super::file::{Content, ManifestFile};

#[derive(Debug, Default)]
pub(crate) struct Files {
    all: BTreeMap<Source, ManifestFile>,
    /// In order, each once; hardly ever more than one.
    declaring: BTreeMap<ObjectKey, Vec<Source>>,
    /// Those that have come and are still to be read.
    awaited: BTreeSet<Source>,
}

/// For reading alone.
impl Deref for Files {
    type Target = BTreeMap<Source, ManifestFile>;

    fn deref(&self) -> &BTreeMap<Source, ManifestFile> {
        &self.all
    }
}

impl Files {
    /// A file that was not known is there from now on.
    pub(super) fn change(&mut self, source: Source, change: impl FnOnce(&mut ManifestFile)) {
        let mut file = self.all.remove(&source).unwrap_or_default();
        let before = keys(&file);
        change(&mut file);
        let after = keys(&file);
        for key in before.difference(&after) {
            self.disclaim(key, &source);
        }
        for key in after.difference(&before) {
            let declaring = self.declaring.entry(key.clone()).or_default();
            if let Err(at) = declaring.binary_search(&source) {
                declaring.insert(at, source.clone());
            }
        }
        if file.unfinished && matches!(file.content, Content::Unknown) {
            self.awaited.insert(source.clone());
        } else {
            self.awaited.remove(&source);
        }
        self.all.insert(source, file);
    }

    pub(super) fn remove(&mut self, source: &Source) {
        let Some(file) = self.all.remove(source) else { return };
        self.awaited.remove(source);
        for key in keys(&file) {
            self.disclaim(&key, source);
        }
    }

    /// Of this folder none but these.
    pub(super) fn keep_only(&mut self, root: &Path, present: &BTreeSet<PathBuf>) {
        let is_gone = |source: &&Source| source.root == root && !present.contains(&source.path);
        let gone: Vec<Source> = self.all.keys().filter(is_gone).cloned().collect();
        gone.iter().for_each(|source| self.remove(source));
    }

    /// What a file says is in force, as these. Tells whether it was not until now.
    pub(super) fn apply<'a>(&mut self, source: &Source, own: impl Iterator<Item = &'a Known>) -> bool {
        let Some(file) = self.all.get_mut(source) else { return false };
        if let Content::Declares(declared) = &mut file.content {
            // Most of what a watcher holds: it need not be there twice.
            for known in own {
                let is_same = |one: &&mut Declared| {
                    one.key == known.record.key && one.authored == known.record.authored
                };
                for one in declared.iter_mut().filter(is_same) {
                    one.authored = Arc::clone(&known.record.authored);
                    one.object = Arc::clone(&known.object);
                }
            }
        }
        let is_news = file.applied_hash != file.observed_hash;
        file.applied_hash.clone_from(&file.observed_hash);
        is_news
    }

    pub(super) fn declaring(&self, key: &ObjectKey) -> impl Iterator<Item = &Source> {
        self.declaring.get(key).into_iter().flatten()
    }

    pub(super) fn awaits_content(&self) -> bool {
        !self.awaited.is_empty()
    }

    fn disclaim(&mut self, key: &ObjectKey, source: &Source) {
        if let Some(declaring) = self.declaring.get_mut(key) {
            declaring.retain(|one| one != source);
            if declaring.is_empty() {
                self.declaring.remove(key);
            }
        }
    }
}

fn keys(file: &ManifestFile) -> BTreeSet<ObjectKey> {
    match &file.content {
        Content::Declares(declared) => declared.iter().map(|declared| declared.key.clone()).collect(),
        Content::Unknown | Content::Mistaken | Content::Refused(_) => BTreeSet::new(),
    }
}
