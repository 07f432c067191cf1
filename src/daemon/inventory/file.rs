//! What is known of one manifest file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::podsecurity::Level;
use crate::manifest::{self, Declared, IgnoredField, Mistake, Policy, Severity, Strictness};
use crate::model::object::scope_of;

/// How files are read, the same for all.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// Given to objects that name none.
    pub(crate) namespace: String,
    pub(crate) strictness: Strictness,
    pub(crate) pod_security: Level,
    /// Folders that others can write to: restricted, each in a scope of its own.
    pub(crate) untrusted: BTreeSet<PathBuf>,
}

impl Reader {
    /// What files of this folder may ask for.
    pub(crate) fn policy(&self, root: &Path) -> Policy {
        if self.untrusted.contains(root) {
            Policy { level: Level::Restricted, scope: Some(scope_of(root)) }
        } else {
            Policy { level: self.pod_security, scope: None }
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct ManifestFile {
    /// `sha256:…` of the content read last.
    pub(crate) observed_hash: String,
    /// Of the content in force.
    pub(crate) applied_hash: String,
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) ignored: Vec<IgnoredField>,
    pub(crate) content: Content,
    /// Somebody is writing to it.
    pub(crate) unfinished: bool,
}

#[derive(Debug, Default)]
pub(crate) enum Content {
    /// Not read yet by this process.
    #[default]
    Unknown,
    Declares(Vec<Declared>),
    Mistaken,
    /// Not read, and why.
    Refused(String),
}

impl ManifestFile {
    /// Takes over what was read; content that is known already changes nothing.
    pub(crate) fn read(&mut self, text: &[u8], reader: &Reader, root: &Path) {
        let hash = hash_of(text);
        let known = matches!(self.content, Content::Declares(_) | Content::Mistaken);
        if known && self.observed_hash == hash {
            return;
        }
        self.observed_hash = hash;
        if text.is_empty() {
            // What a power cut leaves of a file that was being replaced; nobody empties a file to delete pods.
            self.mistakes = vec![empty()];
            self.ignored.clear();
            self.content = Content::Mistaken;
            return;
        }
        let reading = manifest::read(text, &reader.namespace, reader.strictness, &reader.policy(root));
        // With mistakes that are warnings only, the objects are there.
        let mistaken = reading.objects.is_empty() && !reading.mistakes.is_empty();
        self.mistakes = reading.mistakes;
        self.ignored = reading.ignored;
        self.content = if mistaken { Content::Mistaken } else { Content::Declares(reading.objects) };
    }

    /// What it says could be understood.
    pub(crate) fn is_good(&self) -> bool {
        match self.content {
            Content::Declares(_) => true,
            Content::Unknown | Content::Mistaken | Content::Refused(_) => false,
        }
    }
}

pub(crate) fn hash_of(text: &[u8]) -> String {
    let digest = Sha256::digest(text);
    digest.iter().fold("sha256:".to_owned(), |mut hash, byte| {
        hash.push_str(&format!("{byte:02x}"));
        hash
    })
}

fn empty() -> Mistake {
    Mistake {
        severity: Severity::Error,
        field: String::new(),
        message: "the file is empty".to_owned(),
        help: Some("delete the file to remove its objects".to_owned()),
        labels: Vec::new(),
        line: 1,
        column: 1,
    }
}
