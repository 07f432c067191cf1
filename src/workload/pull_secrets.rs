//! What an image may be pulled with, as the pods say that have it.

use crate::api::{PodSpec, Secret};
use crate::model::id::PodId;
use crate::model::image::ImageRef;
use crate::model::objects::Objects;
use crate::model::pull_secret::PullSecret;

use super::references::{References, secret_data};
use super::{has_image, pod_id, pods_by_age};

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PullSecrets {
    /// The older pod's first.
    pub(crate) found: Vec<PullSecret>,
    /// Pods with the names of Secrets that are not there.
    pub(crate) missing: Vec<(PodId, Vec<String>)>,
}

/// An image of guests is asked for without credentials: one guest must not have by it what another's Secret opens.
pub(crate) fn pull_secrets(objects: &Objects, image: &ImageRef) -> PullSecrets {
    let mut secrets = PullSecrets::default();
    match image {
        ImageRef::Registry(_) => {}
        ImageRef::Guest(_) | ImageRef::HostRoot | ImageRef::Local { .. } => return secrets,
    }
    let references = References::among(objects);
    for (known, pod) in pods_by_age(objects).into_iter().filter(|(known, _)| known.record.deletion.is_none())
    {
        let Some(spec) = pod.spec.as_ref().filter(|spec| has_image(known, spec, image)) else { continue };
        let id = pod_id(known);
        let mut missing = Vec::new();
        for name in names(spec) {
            match references.secret(&id.namespace, name) {
                Ok(secret) => {
                    let more = credentials(secret).filter(|one| !secrets.found.contains(one));
                    secrets.found.extend(more);
                }
                Err(_) => missing.push(name.to_owned()),
            }
        }
        if !missing.is_empty() {
            secrets.missing.push((id, missing));
        }
    }
    secrets
}

fn names(spec: &PodSpec) -> impl Iterator<Item = &str> {
    let named = spec.image_pull_secrets.iter().flatten().map(|reference| reference.name.as_str());
    named.filter(|name| !name.is_empty())
}

/// `None` for a Secret of another type, which the kubelet passes over too.
fn credentials(secret: &Secret) -> Option<PullSecret> {
    let text = |key: &str| secret_data(secret).get(key).map(|text| text.to_vec());
    match secret.type_.as_deref()? {
        "kubernetes.io/dockerconfigjson" => text(".dockerconfigjson").map(PullSecret::DockerConfigJson),
        "kubernetes.io/dockercfg" => text(".dockercfg").map(PullSecret::DockerCfg),
        _ => None,
    }
}
