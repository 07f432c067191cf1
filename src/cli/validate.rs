//! `droppod validate`: reads manifests as `watch` would and says what is wrong, without touching anything.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::api::Object;
use crate::cli::failure::Failure;
use crate::cli::input::{Depth, Listed, is_url, manifests_in, not_fetched, unread, without_manifest};
use crate::cli::report::{Drawing, counted, render, safe, without_effect};
use crate::cli::terminal::Color;
use crate::manifest::{FILE_LIMIT, Policy, Reading, Strictness, read};
use crate::model::object::ObjectKey;

#[cfg(test)]
mod tests;

/// What all files together came to, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Valid = 0,
    Invalid = 1,
    /// Something could not be read.
    Trouble = 2,
}

/// How manifests are read and reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) strictness: Strictness,
    pub(crate) policy: &'a Policy,
    pub(crate) drawing: Drawing,
    pub(crate) width: usize,
    /// Of what cannot be read.
    pub(crate) color: Color,
}

/// Reads files, directories and (`-`) `input`; a line for each object to `out`, everything else to `err`.
///
/// # Errors
/// `out` or `err` cannot be written to.
pub(crate) fn validate(
    paths: &[PathBuf],
    manner: Manner<'_>,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Verdict> {
    let mut verdict = Verdict::Valid;
    let mut seen: BTreeMap<ObjectKey, String> = BTreeMap::new();
    let (mut read_of, mut counts) = (Vec::new(), Vec::new());
    for path in paths {
        for found in sources(path) {
            let (name, bytes) = match found.and_then(|source| Ok((source.name(), source.bytes(input)?))) {
                Ok(read) => read,
                Err(trouble) => {
                    write!(err, "{}", trouble.painted(manner.color))?;
                    verdict = verdict.max(Verdict::Trouble);
                    continue;
                }
            };
            let reading = read(&bytes, manner.namespace, manner.strictness, manner.policy);
            verdict = verdict.max(tell(&name, &bytes, &reading, manner, out, err)?);
            counts.extend(counted(&name, &reading.mistakes));
            for declared in &reading.objects {
                if let Some(first) = seen.get(&declared.key) {
                    let (key, line) = (&declared.key, declared.line);
                    writeln!(
                        err,
                        "error: {}:{line}: {key} is also declared in {}",
                        safe(&name),
                        safe(first)
                    )?;
                    verdict = verdict.max(Verdict::Invalid);
                } else {
                    seen.insert(declared.key.clone(), name.clone());
                }
            }
            read_of.push(safe(&name));
        }
    }
    for line in counts {
        writeln!(err, "{line}")?;
    }
    if verdict == Verdict::Valid && seen.is_empty() {
        writeln!(err, "warning: nothing is declared in {}", read_of.join(", "))?;
    }
    Ok(verdict)
}

fn tell(
    name: &str,
    bytes: &[u8],
    reading: &Reading,
    manner: Manner<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Verdict> {
    let text = String::from_utf8_lossy(bytes);
    write!(err, "{}", render(name, &text, &reading.mistakes, manner.drawing, manner.width))?;
    // Mistakes beside objects are warnings.
    if reading.objects.is_empty() && !reading.mistakes.is_empty() {
        return Ok(Verdict::Invalid);
    }
    for ignored in &reading.ignored {
        writeln!(err, "{}", without_effect(name, ignored))?;
    }
    for declared in &reading.objects {
        let word = match &*declared.object {
            Object::Unserved { .. } => "not served, not checked",
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_) => "valid",
        };
        writeln!(out, "{} {word}", declared.key)?;
    }
    Ok(Verdict::Valid)
}

enum Source {
    StandardInput,
    File(PathBuf),
}

impl Source {
    fn name(&self) -> String {
        match self {
            Source::StandardInput => "<stdin>".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// At most one byte more than a manifest may have, so that an endless input ends in a refusal.
    fn bytes(&self, input: &mut dyn Read) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let limit = FILE_LIMIT as u64 + 1;
        let read = match self {
            Source::StandardInput => input.take(limit).read_to_end(&mut bytes),
            Source::File(path) => open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
        };
        match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(unread(Path::new(&self.name()), error)),
        }
    }
}

/// Opens a regular file; a FIFO does not block, a device is not read.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// A path that is named is read whatever its name; a directory's manifests are those that `watch` would read.
fn sources(path: &Path) -> Vec<Result<Source, Failure>> {
    if let Some(url) = path.to_str().filter(|path| is_url(path)) {
        return vec![Err(not_fetched(url))];
    }
    if path == Path::new("-") {
        return vec![Ok(Source::StandardInput)];
    }
    if !path.is_dir() {
        return vec![Ok(Source::File(path.to_owned()))];
    }
    match manifests_in(path, Depth::Recursive) {
        Ok(Listed { files, odd }) if files.is_empty() && odd.is_empty() => {
            vec![Err(without_manifest(path, Depth::Recursive))]
        }
        Ok(Listed { files, odd }) => {
            let odd = odd.into_iter().map(|(path, why)| Err(unread(&path, io::Error::other(why))));
            files.into_iter().map(|file| Ok(Source::File(file))).chain(odd).collect()
        }
        Err(error) => vec![Err(unread(path, error))],
    }
}
