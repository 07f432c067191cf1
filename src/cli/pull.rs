//! `pull REQUEST STORE`: what the loop starts for each image, three at most. Its output is the reason why it
//! failed, and nothing else; its exit code is 13 where another try would bring nothing else.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use crate::failpoint;
use crate::image::access::Access;
use crate::image::archive;
use crate::image::pull::{self, PullFailure};
use crate::image::store::Store;
use crate::model::image::PullRequest;
use crate::model::observed::Outlook;
use crate::model::pull_environment::{PullEnvironment, PullHandover};
use crate::model::time::Timestamp;
use crate::sandbox::oom;
use crate::sandbox::spawn::PULL_HANDOVER_FD;
use crate::sandbox::sys::{clock, descriptor, process};

use super::exit::Exit;
use super::tell;

/// Bytes of address space of a pull, whatever a registry sends: what is decompressed has a window of 128 MiB at most.
const MEMORY: u64 = 512 * 1024 * 1024;
const REGISTRIES: &str = "/etc/droppod/registries.yaml";

#[derive(Debug, clap::Args)]
pub(crate) struct PullArgs {
    /// What to bring in, as JSON
    request: String,
    /// Directory of the image store
    store: PathBuf,
}

pub(crate) fn run(args: &PullArgs) -> Exit {
    // What a watcher is spared, a pull that has met a giant is not.
    drop(oom::set_own(0));
    limit_memory();
    let access = handed_access().map_err(|message| PullFailure { message, outlook: Outlook::Final });
    match access.and_then(|access| bring_in(args, &access, clock::wall())) {
        Ok(()) => Exit::Done,
        Err(PullFailure { message, outlook }) => {
            tell(&message);
            match outlook {
                Outlook::MayPass => Exit::Failed,
                Outlook::Final => Exit::NoImage,
            }
        }
    }
}

/// How the loop wants registries to be reached.
fn handed_access() -> Result<Access, String> {
    let PullHandover { secrets, environment } = handed().map_err(|error| error.to_string())?;
    let access = access_by(environment)?;
    access.with_pull_secrets(&secrets).map_err(|error| error.to_string())
}

fn handed() -> io::Result<PullHandover> {
    match descriptor::inherited(PULL_HANDOVER_FD) {
        Some(file) => Ok(serde_json::from_reader(BufReader::new(File::from(file)))?),
        None => Ok(PullHandover { secrets: Vec::new(), environment: environment() }),
    }
}

fn bring_in(args: &PullArgs, access: &Access, now: Timestamp) -> Result<(), PullFailure> {
    let request: PullRequest = serde_json::from_str(&args.request)
        .map_err(|error| format!("cannot read what to pull: {error}"))
        .map_err(|message| PullFailure { message, outlook: Outlook::Final })?;
    let store = Store::at(&args.store);
    if let Some(state) = args.store.parent() {
        failpoint::arm(state);
    }
    match request {
        PullRequest::Image(image) => pull::pull(&store, &image, access, now).map(|_| ()),
        PullRequest::Archive(archive) => {
            archive::load(&store, &archive.path, now).map_err(|error| {
                // It lies here: another try finds the same, but for the room.
                let outlook = if error.lacks_room() { Outlook::MayPass } else { Outlook::Final };
                PullFailure { outlook, ..PullFailure::from(error) }
            })?;
            // With the version that was seen before: an archive that changes meanwhile is loaded again.
            store.note_preloaded(&archive).map_err(|error| PullFailure {
                message: format!("cannot note that {} is loaded: {error}", archive.path.display()),
                outlook: Outlook::MayPass,
            })
        }
    }
}

/// Once this process is to do nothing else than to pull.
pub(crate) fn limit_memory() {
    // A limit that is lower already does.
    drop(process::limit_memory(MEMORY));
}

/// How registries are reached from here.
pub(crate) fn access() -> Result<Access, String> {
    access_by(environment())
}

fn access_by(environment: PullEnvironment) -> Result<Access, String> {
    Access::read(Path::new(REGISTRIES), environment).map_err(|error| error.to_string())
}

/// What this command's environment says of how registries are reached. A pull has none, and another directory.
pub(super) fn environment() -> PullEnvironment {
    let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let directories = variable("SSL_CERT_DIR").into_iter();
    let directories =
        directories.flat_map(|list| std::env::split_paths(&list).map(whole).collect::<Vec<_>>());
    let proxy = |names: [&str; 4]| {
        let found = names.into_iter().find_map(variable);
        found.map(|address| address.to_string_lossy().into_owned())
    };
    PullEnvironment {
        certificates: variable("SSL_CERT_FILE").map(|file| whole(file.into())),
        certificate_directories: directories.collect(),
        https_proxy: proxy(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        http_proxy: proxy(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
        no_proxy: ["NO_PROXY", "no_proxy"]
            .into_iter()
            .find_map(variable)
            .map(|list| list.to_string_lossy().into_owned()),
        docker_config: whole(docker_config()),
    }
}

/// Where Docker keeps credentials. A service may have no home: its user is root.
fn docker_config() -> PathBuf {
    let of = |name: &str| variable(name).map(PathBuf::from);
    let directory =
        of("DOCKER_CONFIG").unwrap_or_else(|| of("HOME").unwrap_or_else(|| "/root".into()).join(".docker"));
    directory.join("config.json")
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
