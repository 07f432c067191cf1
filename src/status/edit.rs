//! An edit that a pod has not taken over yet: it runs on with the images of before.

use crate::api::{Container, Pod, PodSpec};
use crate::model::desired::Waiting;

use super::Course;

/// Whether the images that run are those that are asked for, as far as any do.
pub(crate) fn is_in_force(pod: &Pod, course: &Course) -> bool {
    pod.spec.as_ref().is_none_or(|spec| waiting(spec, course).next().is_none())
}

/// `waits for image x: ImagePullBackOff`, without a reason while it is being pulled.
pub(super) fn wait(spec: &PodSpec, course: &Course) -> Option<String> {
    course.waiting.as_ref()?;
    let mut images: Vec<&str> =
        waiting(spec, course).filter_map(|container| container.image.as_deref()).collect();
    images.dedup();
    let reason = trouble(spec, course).map(|(reason, _)| format!(": {reason}")).unwrap_or_default();
    (!images.is_empty()).then(|| format!("waits for image {}{reason}", images.join(", ")))
}

/// Why an image is not there, in kubelet's word, and what goes on meanwhile.
pub(super) fn trouble<'a>(spec: &'a PodSpec, course: &'a Course) -> Option<(&'a str, String)> {
    let why = &course.waiting.as_ref()?.why;
    let of_container = |container: &'a Container| {
        let own = why.containers.get(&container.name).or(why.pod.as_ref());
        // One that waits keeps the whole edit from being in force.
        let waiting: &Waiting = own.or_else(|| why.containers.values().next())?;
        Some((container, waiting))
    };
    let (container, Waiting { reason, message, .. }) = waiting(spec, course).find_map(of_container)?;
    let goes_on = format!("container {} goes on with the image before", container.name);
    Some((reason, if message.is_empty() { goes_on } else { format!("{goes_on}: {message}") }))
}

/// Containers of a pod that goes on whose image is another than the one in force.
fn waiting<'a>(spec: &'a PodSpec, course: &'a Course) -> impl Iterator<Item = &'a Container> {
    let record = course.record.as_ref().filter(|record| {
        course.finished.is_none() && record.outcome.is_none() && record.stopping.is_none() && !course.lost
    });
    let in_force = move |name: &str| record?.containers.iter().find(|known| known.name == name);
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    all.filter(move |container| {
        in_force(&container.name).is_some_and(|known| container.image.as_deref() != Some(&known.image))
    })
}
