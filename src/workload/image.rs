//! What a container's `image:` stands for now: an image in the store, a pull, or the reason it waits for one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::api::Container;
use crate::model::desired::{Cause, Waiting};
use crate::model::image::{BadImageRef, ImageRef, PullPolicy, StoredImage};
use crate::model::object::Known;
use crate::model::observed::{ImageObservation, Outlook};
use crate::model::pod_plan::ImagePlan;
use crate::model::time::Now;

/// Where an image stands for one container.
pub(super) enum Standing {
    Ready(ImagePlan),
    Awaited {
        pull: Option<ImageRef>,
        /// Absent while nothing has gone wrong: the container is being created.
        why: Option<Waiting>,
    },
}

/// The directory that relative paths of a manifest start from.
pub(super) fn base(known: &Known) -> PathBuf {
    let manifest = known.record.source.absolute();
    manifest.parent().map(Path::to_owned).unwrap_or_default()
}

/// What an `image:` of that pod's stands for.
pub(super) fn reference(known: &Known, authored: &str) -> Result<ImageRef, BadImageRef> {
    let reference = ImageRef::parse(authored, &base(known))?;
    Ok(if known.is_apart() { reference.for_guest() } else { reference })
}

/// `given` is the image that the container of a living pod has.
pub(super) fn standing(
    container: &Container,
    known: &Known,
    given: Option<&ImagePlan>,
    images: &BTreeMap<ImageRef, ImageObservation>,
    now: Now,
) -> Standing {
    let authored = container.image.as_deref().unwrap_or_default();
    // Whatever its tag or its archive stands for by now.
    if let Some(given) = given.filter(|given| given.authored == authored) {
        return Standing::Ready(given.clone());
    }
    let created_at = known.record.created_at;
    let reference = match reference(known, authored) {
        Ok(reference) => reference,
        Err(bad) => return refused("InvalidImageName", format!("Failed to apply default image tag: {bad}")),
    };
    let ready = |stored| {
        Standing::Ready(ImagePlan { authored: authored.to_owned(), reference: reference.clone(), stored })
    };
    if reference == ImageRef::HostRoot {
        return ready(None);
    }
    let pull = || Standing::Awaited { pull: Some(reference.clone()), why: None };
    let policy = policy(container);
    match images.get(&reference) {
        Some(ImageObservation::Present { image, resolved_at }) => match policy {
            PullPolicy::Always if *resolved_at < created_at => pull(),
            PullPolicy::Always | PullPolicy::IfNotPresent | PullPolicy::Never => ready(Some(image.clone())),
        },
        Some(ImageObservation::Pulling | ImageObservation::Preloading) => {
            Standing::Awaited { pull: None, why: None }
        }
        Some(ImageObservation::Failed { error, retry_at, stale }) => match (policy, stale) {
            (PullPolicy::IfNotPresent | PullPolicy::Never, Some(stale)) => {
                ready(Some(StoredImage::clone(stale)))
            }
            (PullPolicy::Never, None) => never_present(authored),
            (PullPolicy::Always, Some(_) | None) | (PullPolicy::IfNotPresent, None) => {
                let due = now.boot >= *retry_at;
                let cause = match error.outlook {
                    Outlook::MayPass => Cause::Pull,
                    Outlook::Final => Cause::Refused,
                };
                let why = if error.tries == 1 {
                    waiting("ErrImagePull", error.message.clone(), cause)
                } else {
                    let message = format!("Back-off pulling image \"{authored}\": {}", error.message);
                    waiting("ImagePullBackOff", message, cause)
                };
                Standing::Awaited { pull: due.then(|| reference.clone()), why: Some(why) }
            }
        },
        None => match policy {
            PullPolicy::Never => never_present(authored),
            PullPolicy::Always | PullPolicy::IfNotPresent => pull(),
        },
    }
}

fn policy(container: &Container) -> PullPolicy {
    match container.image_pull_policy.as_deref() {
        Some("Always") => PullPolicy::Always,
        Some("Never") => PullPolicy::Never,
        Some(_) | None => PullPolicy::IfNotPresent,
    }
}

fn never_present(image: &str) -> Standing {
    refused(
        "ErrImageNeverPull",
        format!("Container image \"{image}\" is not present with pull policy of Never"),
    )
}

fn refused(reason: &str, message: String) -> Standing {
    Standing::Awaited { pull: None, why: Some(waiting(reason, message, Cause::Image)) }
}

fn waiting(reason: &str, message: String, cause: Cause) -> Waiting {
    Waiting { reason: reason.to_owned(), message, cause }
}
