//! Taking one object's document out of a file that somebody wrote, and nothing else.

use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::{Policy, Reading, Strictness, read};
use crate::model::object::ObjectKey;
use crate::publish::{publish_edited, remove};

use crate::cli::apply::must_be_taken;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::folder::NAMESPACE;
use crate::cli::input;
use crate::cli::records::Records;
use crate::cli::settings::Settings;

/// What is to be done to a file so that it does not declare one object any more.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    /// Not a link: a link stays one, and what it leads to is edited.
    path: PathBuf,
    key: &'a ObjectKey,
    /// Where the object stands.
    line: usize,
    /// What is left; of a file that declares nothing else, nothing.
    rest: Option<String>,
}

impl<'a> Cut<'a> {
    /// Refuses a file that would stay or become one that does not come into force: the object would stay as well.
    pub(super) fn plan(
        path: &Path,
        key: &'a ObjectKey,
        records: &Records,
        settings: &Settings,
    ) -> Result<Cut<'a>, Failure> {
        let failed = |error: io::Error| failed(key, path).because(error);
        let path = path.canonicalize().map_err(failed)?;
        let bytes = std::fs::read(&path).map_err(failed)?;
        let before = declared(&bytes);
        if before.is_broken() {
            return Err(broken(&path, key, &bytes, settings));
        }
        let Some(line) = before.objects.iter().find(|one| one.key == *key).map(|one| one.line) else {
            let what = format!("{} does not declare {key} any more", path.display());
            return Err(Failure::new(Exit::Failed, what));
        };
        if before.objects.len() == 1 {
            return Ok(Cut { path, key, line, rest: None });
        }
        let rest = without(&String::from_utf8_lossy(&bytes), line);
        // Whatever else it holds must be what it was.
        let kept = before.objects.iter().filter(|one| one.key != *key).map(|one| &one.authored);
        if !declared(rest.as_bytes()).objects.iter().map(|one| &one.authored).eq(kept) {
            let what = format!("cannot take {key} out of {}, line {line}", path.display());
            return Err(Failure::new(Exit::Failed, what)
                .because("it shares a document with other objects")
                .help("edit the file by hand; a watcher then stops it"));
        }
        if read(rest.as_bytes(), NAMESPACE, Strictness::Strict, &settings.policy()).is_broken() {
            return Err(broken(&path, key, &bytes, settings));
        }
        for one in before.objects.iter().filter(|one| one.key != *key) {
            must_be_taken(&one.key, &one.authored, records)?;
        }
        Ok(Cut { path, key, line, rest: Some(rest) })
    }

    /// Says where the object stood.
    pub(super) fn make(self) -> Result<usize, Failure> {
        self.edit().map_err(|error| failed(self.key, &self.path).because(error))?;
        Ok(self.line)
    }

    fn edit(&self) -> io::Result<()> {
        let Some(rest) = &self.rest else { return remove(&self.path) };
        publish_edited(&self.path, rest.as_bytes())
    }
}

fn failed(key: &ObjectKey, path: &Path) -> Failure {
    Failure::new(Exit::Failed, format!("cannot take {key} out of {}", path.display()))
}

/// In the lines of the file as it is.
fn broken(path: &Path, key: &ObjectKey, bytes: &[u8], settings: &Settings) -> Failure {
    let mistakes = read(bytes, NAMESPACE, Strictness::Strict, &settings.policy()).mistakes;
    let name = path.display().to_string();
    input::tell_mistakes(&name, bytes, &mistakes, settings);
    Failure::new(Exit::Invalid, format!("cannot take {key} out of {name}; nothing was deleted"))
        .because("the file has mistakes, and nothing that is edited in it comes into force")
        .help("mend them first, or remove the file")
}

fn declared(bytes: &[u8]) -> Reading {
    read(bytes, NAMESPACE, Strictness::Ignore, &Policy::default())
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
