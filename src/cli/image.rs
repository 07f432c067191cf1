//! `image`: the verbs of the image store.

use std::io::{self, stdout};
use std::path::{Path, PathBuf};

use crate::image::store::Store;
use crate::model::image::ImageRef;
use crate::sandbox::sys::clock;

use super::exit::Exit;
use super::failure::Failure;
use super::pull::{access, limit_memory};
use super::records::Records;
use super::settings::Settings;
use store::ImageError;

mod store;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod image pull nginx:1.29
  droppod image load app.tar
  droppod image ls
  droppod image rm nginx:1.29 && droppod image prune")]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    verb: ImageVerb,
}

#[derive(Debug, clap::Subcommand)]
enum ImageVerb {
    /// List the images of the store
    #[command(after_help = "Example:\n  droppod image ls")]
    Ls,
    /// Bring images into the store
    #[command(after_help = "Example:\n  droppod image pull nginx:1.29 registry.example.com/team/app:2")]
    Pull {
        /// As in a manifest: nginx:1.29, registry.example.com/team/app@sha256:…, oci-archive:app.tar
        #[arg(required = true, value_name = "REFERENCE")]
        references: Vec<String>,
    },
    /// Bring the images of an archive into the store
    #[command(
        after_help = "Examples:\n  droppod image load app.tar\n  podman save -o nginx.tar nginx:1.29 && droppod image load -i nginx.tar"
    )]
    Load {
        /// An archive that `docker save` or `podman save` wrote, or an OCI one
        #[arg(required_unless_present = "inputs", value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The same, as docker and podman have it
        #[arg(short, long = "input", value_name = "FILE")]
        inputs: Vec<PathBuf>,
    },
    /// Forget images
    #[command(after_help = "Example:\n  droppod image rm nginx:1.29 && droppod image prune")]
    Rm {
        /// As `droppod image ls` lists it, REPOSITORY:TAG
        #[arg(required = true, value_name = "REFERENCE")]
        references: Vec<String>,
    },
    /// Tell whether the images of the store are whole
    #[command(after_help = "Example:\n  droppod image verify")]
    Verify,
    /// Remove layers that no image uses
    #[command(after_help = "Example:\n  droppod image prune")]
    Prune,
}

pub(crate) fn run(args: &ImageArgs, settings: &Settings) -> Result<Exit, Failure> {
    let images = Store::at(&settings.places.images);
    let base = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Failed, "cannot tell the current directory").because(error))?;
    let out = &mut stdout().lock();
    let done = match &args.verb {
        ImageVerb::Ls => store::list(&images, out),
        ImageVerb::Pull { references } => {
            let access = access().map_err(|reason| {
                Failure::new(Exit::Failed, "cannot read how registries are reached").because(reason)
            })?;
            limit_memory();
            let pull = |name: &String| store::pull(&images, name, &base, &access, clock::wall(), out);
            references.iter().try_for_each(pull)
        }
        ImageVerb::Load { files, inputs } => {
            files.iter().chain(inputs).try_for_each(|file| store::load(&images, file, clock::wall(), out))
        }
        ImageVerb::Rm { references } => {
            let records = Records::load(&settings.places)?;
            references.iter().try_for_each(|name| must_be_idle(name, &images, &base, &records))?;
            store::remove(&images, references, &base, out)
        }
        ImageVerb::Verify => store::verify(&images, out),
        ImageVerb::Prune => store::prune(&images, out),
    };
    done.map(|()| Exit::Done).map_err(failure)
}

/// A container that starts again would find its image gone.
fn must_be_idle(name: &str, images: &Store, base: &Path, records: &Records) -> Result<(), Failure> {
    let image = ImageRef::parse(name, base).map_err(|error| failure(error.into()))?;
    let stored = images
        .all()
        .map_err(|error| Failure::new(Exit::Failed, "cannot read the image store").because(error))?;
    let digest = stored.iter().find(|one| one.reference == image).map(|one| one.image.digest.as_str());
    let guest = image.clone().for_guest();
    let others = stored.iter().filter(|one| one.reference != image && one.reference != guest);
    let last = digest.is_some() && others.into_iter().all(|one| Some(one.image.digest.as_str()) != digest);
    for shown in records.shown.iter().filter(|shown| shown.lives()) {
        let beside = shown.known.record.source.absolute();
        let beside = beside.parent().unwrap_or(Path::new("/"));
        let containers = shown.pod_record().into_iter().flat_map(|record| &record.containers);
        let user = containers.into_iter().find(|container| {
            let same_name = ImageRef::parse(&container.image, beside).is_ok_and(|used| used == image);
            same_name || (last && Some(container.image_id.as_str()) == digest)
        });
        if let Some(container) = user {
            let what = format!("image {image} is in use by pod {}", shown.pod_id());
            return Err(Failure::new(Exit::Failed, what)
                .because(format!("its container {} runs from it", container.name))
                .help(format!("delete the pod first: droppod delete pod {}", shown.pod_id().name)));
        }
    }
    Ok(())
}

fn failure(error: ImageError) -> Failure {
    match error {
        ImageError::Output(error) => Failure::of_output(error),
        ImageError::Full { .. } => Failure::new(Exit::NoImage, error.to_string())
            .because("no space is left on the disc of the image store")
            .help("`droppod image prune` removes layers that no image uses; `df` shows the disc"),
        ImageError::Pull { .. } | ImageError::Load(_) => Failure::new(Exit::NoImage, error.to_string()),
        ImageError::Reference(_) => Failure::new(Exit::Usage, error.to_string()),
        ImageError::Store { operation, source } => {
            let denied = source.kind() == io::ErrorKind::PermissionDenied;
            let failure = Failure::new(Exit::Failed, format!("cannot {operation}")).because(source);
            if denied { failure.help("the image store belongs to root") } else { failure }
        }
        ImageError::Broken(_) => Failure::new(Exit::Failed, error.to_string())
            .help("`droppod image rm REFERENCE` forgets one, `pull` or `load` brings it in anew"),
        ImageError::Unknown(_) | ImageError::Busy => Failure::new(Exit::Failed, error.to_string()),
    }
}
