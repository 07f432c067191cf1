//! Text → objects: YAML and JSON as kubectl reads them, defaults applied once, all mistakes of a file at once.

use std::ops::Range;

use serde_json::Value;

use crate::api::Object;
use crate::model::object::ObjectKey;

/// What one file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reading {
    /// In the file's order; empty if there is any mistake that counts as an error.
    pub(crate) objects: Vec<Declared>,
    pub(crate) mistakes: Vec<Mistake>,
    /// Fields accepted without effect here.
    pub(crate) ignored: Vec<IgnoredField>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    pub(crate) key: ObjectKey,
    /// As written: no default filled in, namespace included. Kept on disc and compared by later passes.
    pub(crate) authored: Value,
    pub(crate) object: Object,
    /// 1-based line of the document's first token.
    pub(crate) line: usize,
}

/// A rule that the file breaks, where, and what to do about it. Rendering is `cli::report`'s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    Strict,
    Warn,
    Ignore,
}

/// Reads a whole file: YAML documents, JSON, KYAML, `kind: List`. `namespace` is given to objects that name none.
pub(crate) fn read(text: &[u8], namespace: &str, strictness: Strictness) -> Reading {
    let _ = (text, namespace, strictness);
    unimplemented!()
}

#[derive(Debug, thiserror::Error)]
#[error("the stored object is not what this version of droppod reads: {0}")]
pub(crate) struct ReviveError(pub(crate) String);

/// Makes an object again from what was kept of it, with today's defaults.
pub(crate) fn revive(authored: &Value) -> Result<Object, ReviveError> {
    let _ = authored;
    unimplemented!()
}
