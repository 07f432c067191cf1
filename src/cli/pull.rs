//! `pull REQUEST STORE`: what the loop starts for each image, three at most. Its output is the reason why it
//! failed, and nothing else.

use std::path::{Path, PathBuf};

use crate::image::access::Access;
use crate::sandbox::sys::clock;

use super::exit::Exit;
use super::image;
use super::tell;

const REGISTRIES: &str = "/etc/droppod/registries.yaml";

#[derive(Debug, clap::Args)]
pub(crate) struct PullArgs {
    /// What to bring in, as JSON
    request: String,
    /// Directory of the image store
    store: PathBuf,
}

pub(crate) fn run(args: &PullArgs) -> Exit {
    let pulled = access().and_then(|access| {
        image::process(&args.request, &args.store, &access, clock::wall())
            .map_err(|failure| failure.to_string())
    });
    match pulled {
        Ok(()) => Exit::Done,
        Err(reason) => {
            tell(&reason);
            Exit::NoImage
        }
    }
}

/// How registries are reached.
pub(crate) fn access() -> Result<Access, String> {
    Access::read(Path::new(REGISTRIES), &docker_config()).map_err(|error| error.to_string())
}

/// Where Docker keeps credentials. A process of the loop has no environment: the loop's user is root.
fn docker_config() -> PathBuf {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory =
        of("DOCKER_CONFIG").unwrap_or_else(|| of("HOME").unwrap_or_else(|| "/root".into()).join(".docker"));
    directory.join("config.json")
}
