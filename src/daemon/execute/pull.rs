//! Pull processes, each for one image, their failures written down with when to try again.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;

use rustix::fs::MemfdFlags;

use crate::image::store::{self, file_name};
use crate::model::back_off;
use crate::model::image::{Archive, ImageRef, PullRequest};
use crate::model::objects::Objects;
use crate::model::observed::PullError;
use crate::model::pull_environment::PullHandover;
use crate::model::record::{EventKind, EventRecord};
use crate::model::time::Now;
use crate::publish::remove;
use crate::rundir::pulls::{self, FailedPull};
use crate::sandbox::spawn::PULL_HANDOVER_FD;
use crate::workload::{self, PullSecrets};

use super::children::{Again, EndedPull, PullFailure};
use super::memory::{self, PULLED};
use super::{ActError, Acted, Hands};

/// What is logged of them that an `up` tells in its own words.
pub(crate) const PULLS: &str = "droppod::pulls";

/// kubelet's word for a Secret of `imagePullSecrets` that is not there.
const NO_SECRET: &str = "FailedToRetrieveImagePullSecret";

// `SealedBinary::start` hands descriptors over from 3 on.
const _: () = assert!(PULL_HANDOVER_FD == 3);

/// In a file without a name, to be read from its start.
fn in_memory(handover: &PullHandover) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("handover", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(handover)?)?;
    file.rewind()?;
    Ok(file)
}

impl Hands {
    pub(super) fn pull(
        &mut self,
        request: &PullRequest,
        known: &Objects,
        now: Now,
    ) -> Result<Acted, ActError> {
        let failed =
            |source| ActError::Image { operation: "start the pull", image: request.to_string(), source };
        let text = serde_json::to_string(request).map_err(|error| failed(io::Error::from(error)))?;
        let output =
            rustix::fs::memfd_create("pull", MemfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let args = [OsStr::new("pull"), OsStr::new(&text), self.places.images.as_os_str()];
        let secrets = match request {
            PullRequest::Archive(_) => PullSecrets::default(),
            PullRequest::Image(image) => workload::pull_secrets(known, image),
        };
        let environment = self.pull_environment.clone();
        let handed = in_memory(&PullHandover { secrets: secrets.found, environment }).map_err(failed)?;
        let child = self.binary.start(&args, output.as_fd(), &[handed.as_fd()]).map_err(failed)?;
        self.children.add_pull(request, child, File::from(output), now.boot);
        for (pod, names) in &secrets.missing {
            let names = names.join(", ");
            let message = format!(
                "Unable to retrieve some image pull secrets ({names}); attempting to pull the image may not succeed."
            );
            let event = EventRecord::once(EventKind::Warning, NO_SECRET, message, None, now.wall);
            memory::note_events(&self.places, pod, [event])?;
        }
        match request {
            PullRequest::Archive(_) => {}
            PullRequest::Image(image) => self.tell_users(image, known, |authored, container| {
                let message = format!("Pulling image \"{authored}\"");
                EventRecord::once(EventKind::Normal, "Pulling", message, Some(container), now.wall)
            })?,
        }
        Ok(Acted::Done)
    }

    /// Reaps what has ended and writes down what the ends of pulls mean.
    pub(crate) fn reap(&mut self, known: &Objects, now: Now) -> Vec<ActError> {
        let ended = self.children.reap();
        ended.iter().filter_map(|pull| self.pull_ended(pull, known, now).err()).collect()
    }

    fn pull_ended(&mut self, ended: &EndedPull, known: &Objects, now: Now) -> Result<(), ActError> {
        match &ended.request {
            PullRequest::Image(image) => {
                self.image_ended(image, ended.failure.as_ref(), now)?;
                let took = (now.boot - ended.since).as_secs_f32();
                self.tell_users(image, known, |authored, container| {
                    let (kind, reason, message) = match &ended.failure {
                        None => {
                            let message = format!("Successfully pulled image \"{authored}\" in {took:.1}s");
                            (EventKind::Normal, PULLED, message)
                        }
                        Some(why) => {
                            let message = format!("Failed to pull image \"{authored}\": {}", why.message);
                            (EventKind::Warning, "Failed", message)
                        }
                    };
                    EventRecord::once(kind, reason, message, Some(container), now.wall)
                })
            }
            PullRequest::Archive(archive) => {
                self.load_ended(archive, ended.failure.as_ref(), now);
                Ok(())
            }
        }
    }

    pub(super) fn image_ended(
        &self,
        image: &ImageRef,
        failure: Option<&PullFailure>,
        now: Now,
    ) -> Result<(), ActError> {
        let file = file_name(image);
        let written = match failure {
            None => {
                tracing::info!(%image, "image pulled");
                remove(&self.places.pulls().join(&file))
            }
            Some(failure) => self.note_failure(&file, image, failure, now),
        };
        written.map_err(|source| ActError::Image {
            operation: "write down the end of the pull",
            image: image.to_string(),
            source,
        })
    }

    /// Adds an event to each container that has the image; `event` is given the image as its author wrote it.
    fn tell_users(
        &self,
        image: &ImageRef,
        known: &Objects,
        event: impl Fn(&str, &str) -> EventRecord,
    ) -> Result<(), ActError> {
        for user in workload::users_of(known, image) {
            memory::note_events(&self.places, &user.pod, [event(&user.authored, &user.container)])?;
        }
        Ok(())
    }

    /// The process itself has noted in the store that it has loaded the archive.
    fn load_ended(&mut self, archive: &Archive, failure: Option<&PullFailure>, now: Now) {
        let path = archive.path.display();
        match failure {
            None => tracing::info!(archive = %path, "images loaded"),
            Some(PullFailure { message, outlook }) => {
                match self.children.note_unloaded(archive, *outlook, now.boot) {
                    Again::At(_) => tracing::warn!(archive = %path, message, "images not loaded yet"),
                    Again::Never => {
                        tracing::warn!(archive = %path, message, "images not loaded; the archive is left until it changes");
                    }
                }
            }
        }
    }

    fn note_failure(&self, file: &str, image: &ImageRef, failure: &PullFailure, now: Now) -> io::Result<()> {
        let PullFailure { message, outlook } = failure;
        let version = store::version(image);
        let before = pulls::read(&self.places, file)?.filter(|before| before.version == version);
        let tries = before.map_or(0, |failed| failed.error.tries) + 1;
        // The failure is an answer of somebody else's: never asked again at once.
        let retry_at = now.boot + back_off::delay(tries.saturating_add(1));
        tracing::warn!(target: PULLS, %image, tries, message, "image pull failed");
        let error = PullError { message: message.clone(), tries, outlook: *outlook };
        pulls::write(&self.places, file, &FailedPull { image: image.clone(), error, retry_at, version })?;
        Ok(())
    }
}
