//! `image`: the verbs of the image store.

use std::io::{self, stdout};
use std::path::{Path, PathBuf};

use crate::failpoint;
use crate::image::store::{Store, StoredReference};
use crate::model::id::PodId;
use crate::model::image::ImageRef;
use crate::paths::Places;
use crate::sandbox::instance::up;
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
    failpoint::arm(&settings.places.state);
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
            references.iter().try_for_each(|name| must_be_idle(name, &images, &base, &settings.places))?;
            store::remove(&images, references, &base, out)
        }
        ImageVerb::Verify => store::verify(&images, out),
        ImageVerb::Prune => store::prune(&images, out),
    };
    done.map(|()| Exit::Done).map_err(failure)
}

/// A container that starts again would find its image gone.
fn must_be_idle(name: &str, images: &Store, base: &Path, places: &Places) -> Result<(), Failure> {
    let image = ImageRef::parse(name, base).map_err(|error| failure(error.into()))?;
    let stored = images
        .all()
        .map_err(|error| Failure::new(Exit::Failed, "cannot read the image store").because(error))?;
    let ups = up::all(places)
        .map_err(|error| Failure::new(Exit::Failed, "cannot see which `up` runs").because(error))?;
    if let Some(user) = User::of(&image, &stored, &Records::load(places)?) {
        let help = format!("delete the pod first: droppod delete pod {}", user.pod.name);
        return Err(user.refuses(&image).help(help));
    }
    for up in ups {
        if let Some(user) = User::of(&image, &stored, &Records::load(&up)?) {
            return Err(user
                .refuses(&image)
                .help("it is of a `droppod up` or `run`, which has to end first"));
        }
    }
    Ok(())
}

/// A container that runs from an image.
struct User {
    pod: PodId,
    container: String,
}

impl User {
    fn of(image: &ImageRef, stored: &[StoredReference], records: &Records) -> Option<User> {
        let digest = stored.iter().find(|one| one.reference == *image).map(|one| one.image.digest.as_str());
        let guest = image.clone().for_guest();
        let mut others = stored.iter().filter(|one| one.reference != *image && one.reference != guest);
        let last = digest.is_some() && others.all(|one| Some(one.image.digest.as_str()) != digest);
        records.shown.iter().filter(|shown| shown.lives()).find_map(|shown| {
            let beside = shown.known.record.source.absolute();
            let beside = beside.parent().unwrap_or(Path::new("/"));
            let mut containers = shown.pod_record().into_iter().flat_map(|record| &record.containers);
            let used = containers.find(|container| {
                let same_name = ImageRef::parse(&container.image, beside).is_ok_and(|used| used == *image);
                same_name || (last && Some(container.image_id.as_str()) == digest)
            });
            used.map(|container| User { pod: shown.pod_id(), container: container.name.clone() })
        })
    }

    fn refuses(&self, image: &ImageRef) -> Failure {
        Failure::new(Exit::Failed, format!("image {image} is in use by pod {}", self.pod))
            .because(format!("its container {} runs from it", self.container))
    }
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
