//! Pull processes: at most three, each for one image, their failures written down with when to try again.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::MemfdFlags;

use crate::image::store::file_name;
use crate::model::image::ImageRef;
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
    pub(super) fn pull(&mut self, image: &ImageRef) -> Result<Acted, ActError> {
        if self.children.pulls() >= AT_ONCE {
            return Ok(Acted::AlreadySo);
        }
        let failed = |source| ActError::Image { operation: "start the pull", image: name(image), source };
        let reference = serde_json::to_string(image).map_err(|error| failed(io::Error::from(error)))?;
        let output =
            rustix::fs::memfd_create("pull", MemfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        let args = [OsStr::new("pull"), OsStr::new(&reference), self.places.images.as_os_str()];
        let child = self.binary.start(&args, output.as_fd(), &[]).map_err(failed)?;
        self.children.add_pull(image, child, File::from(output));
        Ok(Acted::Done)
    }

    /// Reaps what has ended and writes down what the ends of pulls mean.
    pub(crate) fn reap(&mut self, now: Now) -> Vec<ActError> {
        let ended = self.children.reap();
        ended.iter().filter_map(|pull| self.pull_ended(pull, now).err()).collect()
    }

    pub(super) fn pull_ended(&self, ended: &EndedPull, now: Now) -> Result<(), ActError> {
        let file = file_name(&ended.image);
        let written = match &ended.failure {
            None => {
                tracing::info!(image = name(&ended.image), "image pulled");
                remove(&self.places.pulls().join(&file))
            }
            Some(message) => self.note_failure(&file, &ended.image, message, now),
        };
        written.map_err(|source| ActError::Image {
            operation: "write down the end of the pull",
            image: name(&ended.image),
            source,
        })
    }

    fn note_failure(&self, file: &str, image: &ImageRef, message: &str, now: Now) -> io::Result<()> {
        let tries = pulls::read(&self.places, file)?.map_or(0, |failed| failed.error.tries) + 1;
        let retry_at = now.boot + back_off(tries);
        tracing::warn!(image = name(image), tries, message, "image pull failed");
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

fn name(image: &ImageRef) -> String {
    match image {
        ImageRef::HostRoot => "droppod.local/host".to_owned(),
        ImageRef::Registry(reference) => reference.clone(),
        ImageRef::Local { path, .. } => path.display().to_string(),
    }
}
