//! Pull processes: at most three, each for one image, their failures written down with when to try again.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::MemfdFlags;

use crate::image::store::file_name;
use crate::model::image::{Archive, ImageRef, PullRequest};
use crate::model::observed::PullError;
use crate::model::time::Now;
use crate::publish::remove;
use crate::rundir::pulls::{self, FailedPull};

use super::children::EndedPull;
use super::{ActError, Acted, Hands};

const AT_ONCE: usize = 3;
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

impl Hands {
    /// A pull that finds no room is planned again by the pass that follows the end of another.
    pub(super) fn pull(&mut self, request: &PullRequest) -> Result<Acted, ActError> {
        if self.children.pulls() >= AT_ONCE {
            return Ok(Acted::AlreadySo);
        }
        let failed =
            |source| ActError::Image { operation: "start the pull", image: request.to_string(), source };
        let text = serde_json::to_string(request).map_err(|error| failed(io::Error::from(error)))?;
        let output =
            rustix::fs::memfd_create("pull", MemfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let args = [OsStr::new("pull"), OsStr::new(&text), self.places.images.as_os_str()];
        let child = self.binary.start(&args, output.as_fd(), &[]).map_err(failed)?;
        self.children.add_pull(request, child, File::from(output));
        Ok(Acted::Done)
    }

    /// Reaps what has ended and writes down what the ends of pulls mean.
    pub(crate) fn reap(&mut self, now: Now) -> Vec<ActError> {
        let ended = self.children.reap();
        ended.iter().filter_map(|pull| self.pull_ended(pull, now).err()).collect()
    }

    fn pull_ended(&mut self, ended: &EndedPull, now: Now) -> Result<(), ActError> {
        match &ended.request {
            PullRequest::Image(image) => self.image_ended(image, ended.failure.as_deref(), now),
            PullRequest::Archive(archive) => {
                self.load_ended(archive, ended.failure.as_deref());
                Ok(())
            }
        }
    }

    pub(super) fn image_ended(
        &self,
        image: &ImageRef,
        failure: Option<&str>,
        now: Now,
    ) -> Result<(), ActError> {
        let file = file_name(image);
        let written = match failure {
            None => {
                tracing::info!(%image, "image pulled");
                remove(&self.places.pulls().join(&file))
            }
            Some(message) => self.note_failure(&file, image, message, now),
        };
        written.map_err(|source| ActError::Image {
            operation: "write down the end of the pull",
            image: image.to_string(),
            source,
        })
    }

    /// The process itself has noted in the store that it has loaded the archive.
    fn load_ended(&mut self, archive: &Archive, failure: Option<&str>) {
        let path = archive.path.display();
        match failure {
            None => tracing::info!(archive = %path, "images loaded"),
            Some(message) => {
                tracing::warn!(archive = %path, message, "images not loaded; the archive is left until it changes");
                self.children.bad_archives.insert(archive.clone());
            }
        }
    }

    fn note_failure(&self, file: &str, image: &ImageRef, message: &str, now: Now) -> io::Result<()> {
        let tries = pulls::read(&self.places, file)?.map_or(0, |failed| failed.error.tries) + 1;
        let retry_at = now.boot + back_off(tries);
        tracing::warn!(%image, tries, message, "image pull failed");
        let error = PullError { message: message.to_owned(), tries };
        pulls::write(&self.places, file, &FailedPull { image: image.clone(), error, retry_at })?;
        Ok(())
    }
}

/// 10 s after the first failure, doubling to 300 s.
pub(super) fn back_off(tries: u32) -> Duration {
    let doublings = tries.saturating_sub(1).min(16);
    (FIRST_WAIT * 2u32.pow(doublings)).min(LONGEST_WAIT)
}
