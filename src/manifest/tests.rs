//! What a file's author relies on: scalars as kubectl reads them, defaults as the server's, and no file that can
//! take much time or memory.

mod hostile;
mod jobs;
mod objects;
mod scalars;
mod secret;

use serde_json::Value;

use super::*;

fn strict(text: &str) -> Reading {
    read(text.as_bytes(), "default", Strictness::Strict, &Policy::default())
}

/// The one object of a text without mistakes.
fn the(text: &str) -> Declared {
    let mut reading = strict(text);
    assert_eq!(reading.mistakes, []);
    assert_eq!(reading.objects.len(), 1);
    reading.objects.remove(0)
}

/// A field of a document that need not be a manifest.
fn value(text: &str) -> Value {
    let documents = reader::documents(&Text::new(text));
    assert_eq!(documents.faults, [], "{text}");
    documents.roots[0].1.to_value()
}

/// The messages of a text's mistakes.
fn messages(text: &str) -> Vec<String> {
    strict(text).mistakes.into_iter().map(|mistake| mistake.message).collect()
}

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: app
    image: nginx:1.27
";
