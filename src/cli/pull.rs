//! `pull REQUEST STORE`: what the loop starts for each image, three at most. Its output is the reason why it
//! failed, and nothing else; its exit code is 13 where another try would bring nothing else.

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
use crate::model::pull_secret::PullSecret;
use crate::model::time::Timestamp;
use crate::sandbox::oom;
use crate::sandbox::spawn::PULL_SECRETS_FD;
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
    let access = access().map_err(|message| PullFailure { message, outlook: Outlook::Final });
    let access = access.and_then(|access| {
        let secrets = pull_secrets().map_err(|error| error.to_string());
        let access =
            secrets.and_then(|secrets| access.with_pull_secrets(&secrets).map_err(|error| error.to_string()));
        access.map_err(|message| PullFailure { message, outlook: Outlook::Final })
    });
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

/// What the loop hands over: nothing of it is among arguments or in the environment, where others can read it.
fn pull_secrets() -> io::Result<Vec<PullSecret>> {
    match descriptor::inherited(PULL_SECRETS_FD) {
        Some(file) => Ok(serde_json::from_reader(BufReader::new(File::from(file)))?),
        None => Ok(Vec::new()),
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

/// How registries are reached.
pub(crate) fn access() -> Result<Access, String> {
    Access::read(Path::new(REGISTRIES), &docker_config()).map_err(|error| error.to_string())
}

/// Where Docker keeps credentials. A process of the loop has no environment: the loop's user is root.
pub(super) fn docker_config() -> PathBuf {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory =
        of("DOCKER_CONFIG").unwrap_or_else(|| of("HOME").unwrap_or_else(|| "/root".into()).join(".docker"));
    directory.join("config.json")
}
