//! Manifests that a command names itself: files, directories, standard input.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::daemon::folder::names::SKIP;
use crate::daemon::folder::open::Sighting;
pub(crate) use crate::daemon::folder::scan::Depth;
use crate::daemon::folder::scan::{NOT_UTF8, scan};
use crate::daemon::folder::trust::Trust;
use crate::manifest::{Declared, FILE_LIMIT, Mistake, Strictness, read};

use super::exit::Exit;
use super::failure::Failure;
use super::report;
use super::settings::Settings;
use super::{tell, terminal};

/// The text of one file.
#[derive(Debug)]
pub(crate) struct Input {
    /// As the user knows it.
    pub(crate) name: String,
    /// Canonical; `None` for standard input.
    pub(crate) path: Option<PathBuf>,
    /// Where relative paths in it start from.
    pub(crate) base: PathBuf,
    pub(crate) text: Vec<u8>,
}

/// Every manifest that `paths` name; `-` is standard input.
pub(crate) fn collect(paths: &[PathBuf], depth: Depth) -> Result<Vec<Input>, Failure> {
    let mut inputs = Vec::new();
    for path in paths {
        if let Some(url) = path.to_str().filter(|path| is_url(path)) {
            return Err(not_fetched(url));
        }
        if path.as_os_str() == "-" {
            inputs.push(standard_input().map_err(|error| unread(Path::new("standard input"), error))?);
        } else if path.is_dir() {
            let Listed { files, odd } = manifests_in(path, depth).map_err(|error| unread(path, error))?;
            if let Some((path, why)) = odd.into_iter().next() {
                let what = format!("cannot read {}", path.display());
                return Err(Failure::new(Exit::Failed, what)
                    .because(why)
                    .help(format!("remove it, or put {}{SKIP} beside it", name_of(&path))));
            }
            if files.is_empty() {
                return Err(without_manifest(path, depth));
            }
            for file in files {
                inputs.push(from_file(&file).map_err(|error| unread(&file, error))?);
            }
        } else {
            inputs.push(from_file(path).map_err(|error| unread(path, error))?);
        }
    }
    Ok(inputs)
}

pub(crate) fn is_url(path: &str) -> bool {
    path.starts_with("http://") || path.starts_with("https://")
}

pub(crate) fn not_fetched(url: &str) -> Failure {
    Failure::new(Exit::Failed, format!("cannot read {url}"))
        .because("manifests are read from files and from standard input")
        .help(format!(
            "let curl fetch it: curl -fsSL {url} | droppod apply -f -; other verbs take -f - as well"
        ))
}

pub(crate) fn without_manifest(directory: &Path, depth: Depth) -> Failure {
    let deeper = match depth {
        Depth::Flat => "; -R looks into subdirectories",
        Depth::Recursive => "",
    };
    Failure::new(Exit::Failed, format!("there is no manifest in {}", directory.display()))
        .help(format!("manifests end in .yaml, .yml or .json{deeper}"))
}

/// For whoever keeps records of where an object was declared.
pub(crate) fn must_be_nameable(inputs: &[Input]) -> Result<(), Failure> {
    let unnameable = |input: &&Input| input.path.as_ref().is_some_and(|path| path.to_str().is_none());
    match inputs.iter().find(unnameable) {
        Some(input) => {
            Err(Failure::new(Exit::Failed, format!("cannot take up {}", input.name)).because(NOT_UTF8))
        }
        None => Ok(()),
    }
}

/// Where there are files, but only comments in them, or nothing.
pub(crate) fn nothing_declared(inputs: &[Input]) -> String {
    let names: Vec<String> = inputs.iter().map(|input| report::safe(&input.name)).collect();
    format!("nothing is declared in {}", names.join(", "))
}

/// Reads all of them, or tells every mistake in any of them.
pub(crate) fn declared(
    inputs: &[Input],
    settings: &Settings,
    strictness: Strictness,
) -> Result<Vec<(usize, Declared)>, Failure> {
    let (mut objects, mut counts) = (Vec::new(), Vec::new());
    let mut invalid = false;
    for (at, input) in inputs.iter().enumerate() {
        let reading = read(&input.text, &settings.namespace, strictness, &settings.policy());
        tell_mistakes(&input.name, &input.text, &reading.mistakes, settings);
        counts.extend(report::counted(&input.name, &reading.mistakes));
        for ignored in &reading.ignored {
            tell(&report::without_effect(&input.name, ignored));
        }
        // Without an error a file with mistakes (`--validate=warn`) has objects all the same.
        invalid |= reading.objects.is_empty() && !reading.mistakes.is_empty();
        objects.extend(reading.objects.into_iter().map(|object| (at, object)));
    }
    if !invalid {
        return Ok(objects);
    }
    for counted in counts {
        tell(&format!("{counted}; nothing was changed"));
    }
    Err(Failure::Quiet(Exit::Invalid))
}

/// Draws what is wrong in a file, if anything is.
pub(crate) fn tell_mistakes(name: &str, text: &[u8], mistakes: &[Mistake], settings: &Settings) {
    let text = String::from_utf8_lossy(text);
    let report = report::render(name, &text, mistakes, settings.color.drawing(), terminal::width());
    if !report.is_empty() {
        tell(report.trim_end());
    }
}

/// What of a directory has the name of a manifest.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// In order of their paths.
    pub(crate) files: Vec<PathBuf>,
    /// Not to be read, each with the reason.
    pub(crate) odd: Vec<(PathBuf, String)>,
}

/// The manifests that `watch` would read there, were it told to.
pub(crate) fn manifests_in(directory: &Path, depth: Depth) -> io::Result<Listed> {
    let root =
        rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let found =
        scan(root.as_fd(), Trust::NamedByUser, depth).map_err(|error| io::Error::new(error.kind(), error))?;
    let mut listed = Listed::default();
    for (path, sighting) in found.manifests {
        let path = directory.join(path);
        match sighting {
            Sighting::File { .. } => listed.files.push(path),
            Sighting::Odd(why) => listed.odd.push((path, why)),
        }
    }
    Ok(listed)
}

fn name_of(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

pub(crate) fn from_file(path: &Path) -> io::Result<Input> {
    // A FIFO must not be waited for, and a device not be opened for what opening it does.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file: OwnedFd = rustix::fs::open(path, flags, Mode::empty())?;
    let file = File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let path_in_full = path.canonicalize()?;
    let base = path_in_full.parent().unwrap_or(Path::new("/")).to_owned();
    let name = path.display().to_string();
    Ok(Input { name, base, path: Some(path_in_full), text: within_limit(file)? })
}

fn standard_input() -> io::Result<Input> {
    let text = within_limit(io::stdin().lock())?;
    Ok(Input { name: "standard input".to_owned(), path: None, base: std::env::current_dir()?, text })
}

fn within_limit(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let limit = FILE_LIMIT as u64;
    reader.take(limit + 1).read_to_end(&mut text)?;
    if text.len() > FILE_LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    Ok(text)
}

pub(crate) fn unread(path: &Path, error: io::Error) -> Failure {
    let absent = error.kind() == io::ErrorKind::NotFound;
    let failure = Failure::new(Exit::Failed, format!("cannot read {}", path.display())).because(error);
    if !absent {
        return failure;
    }
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let present = manifests_in(beside, Depth::Flat).unwrap_or_default().files;
    let name = name_of(path);
    let near = present
        .iter()
        .filter_map(|present| Some((present, strsim::jaro_winkler(present.file_name()?.to_str()?, &name))))
        .max_by(|(_, one), (_, other)| one.total_cmp(other));
    match near {
        Some((present, likeness)) if likeness > 0.85 => {
            let present = present.strip_prefix("./").unwrap_or(present);
            failure.help(format!("did you mean {}?", present.display()))
        }
        _ if !beside.is_dir() => failure.help(format!("there is no directory {}", beside.display())),
        _ if present.is_empty() => failure.help(format!("no manifest is in {}", beside.display())),
        _ => failure.help(format!("ls {} shows what there is", beside.display())),
    }
}
