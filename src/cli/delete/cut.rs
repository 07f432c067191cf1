//! Taking one object's document out of a file that somebody wrote, and nothing else.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use crate::manifest::{Declared, Policy, Strictness, read};
use crate::model::object::ObjectKey;
use crate::publish::{Durability, publish, remove};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::folder::NAMESPACE;

/// Takes it out; a file that declares nothing else is removed. Says where it stood.
pub(super) fn cut(path: &Path, key: &ObjectKey) -> Result<usize, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot take {key} out of {}", path.display())).because(error)
    };
    // A link stays a link: what it leads to is edited.
    let path = path.canonicalize().map_err(failed)?;
    let metadata = path.metadata().map_err(failed)?;
    let bytes = std::fs::read(&path).map_err(failed)?;
    let before = declared(&bytes);
    let Some(line) = before.iter().find(|one| one.key == *key).map(|one| one.line) else {
        return Err(Failure::new(
            Exit::Failed,
            format!("{} does not declare {key} any more", path.display()),
        ));
    };
    if before.len() == 1 {
        remove(&path).map_err(failed)?;
        return Ok(line);
    }
    let text = String::from_utf8_lossy(&bytes);
    let rest = without(&text, line);
    // Whatever else it holds must be what it was.
    let kept = before.iter().filter(|one| one.key != *key).map(|one| &one.authored);
    if !declared(rest.as_bytes()).iter().map(|one| &one.authored).eq(kept) {
        let what = format!("cannot take {key} out of {}, line {line}", path.display());
        return Err(Failure::new(Exit::Failed, what)
            .because("it shares a document with other objects")
            .help("edit the file by hand; a watcher then stops it"));
    }
    publish(&path, rest.as_bytes(), metadata.mode() & 0o7777, Durability::Durable).map_err(failed)?;
    chown(&path, Some(metadata.uid()), Some(metadata.gid())).map_err(failed)?;
    Ok(line)
}

fn declared(bytes: &[u8]) -> Vec<Declared> {
    read(bytes, NAMESPACE, Strictness::Ignore, &Policy::default()).objects
}

/// The text without the document that a line, counted from 1, is in; the marker before it goes with it. A line that
/// begins with `---` is a marker wherever it stands: YAML has no text that could hold it.
fn without(text: &str, line: usize) -> String {
    let marker = |line: &str| {
        line.strip_prefix("---")
            .is_some_and(|rest| rest.starts_with([' ', '\t', '\r', '\n']) || rest.is_empty())
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = line - 1;
    let start = (0..=at.min(lines.len() - 1)).rev().find(|at| marker(lines[*at])).unwrap_or(0);
    let end = (at + 1..lines.len()).find(|at| marker(lines[*at])).unwrap_or(lines.len());
    lines[..start].concat() + &lines[end..].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_goes_and_every_other_byte_stays() {
        let text = "# mine\na: 1\n---\n# two\nb: |\n  ----\n  x\n---  # three\nc: 3";
        assert_eq!(without(text, 2), "---\n# two\nb: |\n  ----\n  x\n---  # three\nc: 3");
        assert_eq!(without(text, 5), "# mine\na: 1\n---  # three\nc: 3");
        assert_eq!(without(text, 9), "# mine\na: 1\n---\n# two\nb: |\n  ----\n  x\n");
        assert_eq!(without("a: 1\r\n---\r\nb: 2\r\n", 3), "a: 1\r\n");
        assert_eq!(without("--- {a: 1}\n--- {b: 2}\n", 1), "--- {b: 2}\n");
    }
}
