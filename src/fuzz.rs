//! What the tests throw bytes at: plain functions that say what came of them.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::manifest::{self, Policy, Strictness};

/// What a file of these bytes came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Its objects as written, if nothing is wrong with any.
    pub objects: Vec<Value>,
    pub mistakes: Vec<Mistake>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Field, message and help, as the status file has them.
    pub told: String,
    pub line: usize,
    pub column: usize,
    /// Bytes of the file.
    pub spans: Vec<Range<usize>>,
}

/// Reads a manifest as `watch` does.
#[must_use]
pub fn manifest(bytes: &[u8]) -> Read {
    let reading = manifest::read(bytes, "default", Strictness::Strict, &Policy::default());
    let mistake = |it: manifest::Mistake| Mistake {
        told: format!("{}: {} ({})", it.field, it.message, it.help.unwrap_or_default()),
        line: it.line,
        column: it.column,
        spans: it.labels.into_iter().map(|label| label.span).collect(),
    };
    Read {
        objects: reading
            .objects
            .into_iter()
            .map(|declared| Arc::unwrap_or_clone(declared.authored))
            .collect(),
        mistakes: reading.mistakes.into_iter().map(mistake).collect(),
    }
}

/// The documents of a text, manifests or not.
///
/// # Errors
/// What is wrong with the text.
pub fn documents(text: &str) -> Result<Vec<Value>, Vec<String>> {
    manifest::documents(text)
}

/// A value as `-o yaml` and manifests are written.
#[must_use]
pub fn written(value: &Value) -> String {
    manifest::to_yaml(value)
}
