//! Text → objects: YAML and JSON as kubectl reads them, defaults applied once, all mistakes of a file at once.

mod decode;
mod defaults;
mod document;
mod elsewhere;
mod fault;
mod ignored;
pub(crate) mod immutable;
mod node;
pub(crate) mod podsecurity;
mod reader;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod unknown;
mod validate;
mod writer;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::api::Object;
use crate::model::object::ObjectKey;

use fault::Fault;
use text::Text;

pub(crate) use writer::{to_yaml, to_yaml_in_order};

/// What one file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reading {
    /// In the file's order; empty if there is any mistake that counts as an error.
    pub(crate) objects: Vec<Declared>,
    pub(crate) mistakes: Vec<Mistake>,
    /// Fields accepted without effect here.
    pub(crate) ignored: Vec<IgnoredField>,
}

impl Reading {
    /// Has a mistake that keeps all of the file from coming into force.
    pub(crate) fn is_broken(&self) -> bool {
        self.mistakes.iter().any(|mistake| mistake.severity == Severity::Error)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    pub(crate) key: ObjectKey,
    /// As written: no default filled in, namespace included. Kept on disc and compared by later passes.
    pub(crate) authored: Arc<Value>,
    pub(crate) object: Arc<Object>,
    /// 1-based line of the document's first token.
    pub(crate) line: usize,
    /// Those of its fields that no edit may change, and where each is written: 1-based line, and column in characters.
    immutable: Vec<(&'static str, (usize, usize))>,
}

impl Declared {
    /// Where a field is written that an edit may not change; one that is gone, where the document begins.
    pub(crate) fn place_of(&self, field: &str) -> (usize, usize) {
        let written = self.immutable.iter().find(|(name, _)| *name == field);
        written.map_or((self.line, 1), |(_, place)| *place)
    }
}

/// A rule that the file breaks, where, and what to do about it. Rendering is `cli::report`'s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) severity: Severity,
    /// `spec.containers[0].image`, empty for the document.
    pub(crate) field: String,
    /// Lower case, no full stop, no text of the file.
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Bytes of the file; the first is the place the mistake stands at.
    pub(crate) labels: Vec<Label>,
    /// 1-based.
    pub(crate) line: usize,
    /// 1-based, in characters.
    pub(crate) column: usize,
}

/// What a mistake does to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Nothing of the file comes into force.
    Error,
    /// The file is taken as it is.
    Warning,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) span: Range<usize>,
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IgnoredField {
    pub(crate) field: String,
    pub(crate) reason: String,
    pub(crate) line: usize,
}

/// How unknown fields are taken (`--validate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Strictness {
    Strict,
    Warn,
    Ignore,
}

/// What a file may ask for, and whose its objects are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) level: podsecurity::Level,
    /// Of a folder that others can write to: ends every namespace that is named in it, so that its objects meet
    /// none but their own.
    pub(crate) scope: Option<String>,
}

/// The documents of a text as values, whatever they are; the messages say why there are none.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, Vec<String>> {
    let documents = reader::documents(&Text::new(text));
    if documents.faults.is_empty() {
        Ok(documents.roots.iter().map(|(_, root)| root.to_value()).collect())
    } else {
        Err(documents.faults.into_iter().map(|fault| fault.message).collect())
    }
}

/// Largest file that is read.
pub(crate) const FILE_LIMIT: usize = reader::FILE_LIMIT;

/// Mistakes of one file that are told; a file with more is best mended and read again.
const TOLD: usize = 100;

/// Reads a whole file: YAML documents, JSON, KYAML, `kind: List`. `namespace` is given to objects that name none.
pub(crate) fn read(text: &[u8], namespace: &str, strictness: Strictness, policy: &Policy) -> Reading {
    match readable(text) {
        Ok(text) => read_text(&Text::new(text), namespace, strictness, policy),
        Err((fault, head)) => {
            Reading { mistakes: vec![fault.placed(&Text::new(head))], ..Reading::default() }
        }
    }
}

/// # Errors
/// Why it is no text of a manifest, and the part of it that is needed to say where.
fn readable(bytes: &[u8]) -> Result<&str, (Fault, &str)> {
    if bytes.len() > FILE_LIMIT {
        let message = format!("the file is larger than {FILE_LIMIT} bytes");
        return Err((Fault::new(String::new(), 0..0, message, "").help("split it"), ""));
    }
    let (text, rest) = match bytes.utf8_chunks().next() {
        Some(chunk) => (chunk.valid(), chunk.invalid()),
        None => ("", &[][..]),
    };
    if let Some(at) = text.find('\0') {
        let message = "the file has a zero byte in it, which no text has";
        let fault = Fault::new(String::new(), at..at + 1, message, "a zero byte");
        return Err((fault.help("write it anew, as UTF-8 text"), text));
    }
    if rest.is_empty() {
        return Ok(text);
    }
    let fault = Fault::new(
        String::new(),
        text.len()..text.len(),
        "the file is not UTF-8 text",
        "a byte that is no text",
    );
    Err((fault.help("save it as UTF-8; bytes go into a ConfigMap's `binaryData` in base64"), text))
}

fn read_text(text: &Text<'_>, namespace: &str, strictness: Strictness, policy: &Policy) -> Reading {
    let documents = reader::documents(text);
    let mut faults = documents.faults;
    let mut found = Vec::new();
    let mut ignored = Vec::new();
    for (start, root) in documents.roots {
        let mut understood = document::understand(root, start, namespace, policy, text);
        faults.append(&mut understood.wrong);
        found.append(&mut understood.objects);
        ignored.append(&mut understood.ignored);
        let unknown = understood.unknown.into_iter().map(|unknown| unknown.fault);
        match strictness {
            Strictness::Strict => faults.extend(unknown),
            Strictness::Warn => faults.extend(unknown.map(Fault::warning)),
            Strictness::Ignore => {}
        }
    }
    same_object_twice(&found, &mut faults);

    let objects = if faults.iter().all(|fault| fault.severity == Severity::Warning) {
        let declared = |found: document::Found| Declared {
            key: found.key,
            authored: found.authored.into(),
            object: found.object.into(),
            line: text.place(found.start).0,
            immutable: found.immutable.into_iter().map(|(field, at)| (field, text.place(at))).collect(),
        };
        let mut all: Vec<Declared> = found.into_iter().map(declared).collect();
        // It may lie where the longer ones lay, and is kept for as long as the file.
        all.shrink_to_fit();
        all
    } else {
        Vec::new()
    };
    let ignored = ignored
        .into_iter()
        .map(|it| IgnoredField { field: it.field, reason: it.reason, line: text.place(it.start).0 })
        .collect();
    Reading { objects, mistakes: told(faults, text), ignored }
}

/// In the order of the file, each once: what stands behind an alias is read more than once.
fn told(faults: Vec<Fault>, text: &Text<'_>) -> Vec<Mistake> {
    let mut mistakes: Vec<Mistake> = faults.into_iter().map(|fault| fault.placed(text)).collect();
    mistakes.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
    mistakes.dedup_by(|b, a| a.labels == b.labels && a.message == b.message);
    mistakes.truncate(TOLD);
    mistakes
}

fn same_object_twice(found: &[document::Found], faults: &mut Vec<Fault>) {
    let mut first: HashMap<&ObjectKey, &document::Found> = HashMap::new();
    for object in found.iter().filter(|object| !object.key.name.is_empty()) {
        match first.get(&object.key) {
            None => {
                first.insert(&object.key, object);
            }
            Some(before) => {
                let message = "the file declares the same object twice";
                let fault = Fault::new(
                    "metadata.name".to_owned(),
                    object.name_span.clone(),
                    message,
                    "declared again",
                )
                .label(before.name_span.clone(), "declared here first")
                .help("rename one of the two, or remove it");
                faults.push(fault);
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the stored object is not what this version of droppod reads: {0}")]
pub(crate) struct ReviveError(pub(crate) String);

/// Makes an object again from what was kept of it, with today's defaults.
pub(crate) fn revive(authored: &Value) -> Result<Object, ReviveError> {
    document::revive(authored).map_err(|fault| ReviveError(format!("{}: {}", fault.field, fault.message)))
}
