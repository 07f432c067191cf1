//! What hardens a pod beyond baseline: the restricted standard.

use super::super::node::{At, Node};
use super::{Broken, Levels, Rule, baseline, each_container, each_context, truth};

const VOLUMES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

const PROFILES: &[&str] = &["RuntimeDefault", "Localhost"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        at: Levels::RestrictedOnly,
        sentence: "only some types of volume are permitted",
        help: "use emptyDir, configMap, secret, downwardAPI, projected or persistentVolumeClaim",
        find: volumes,
    },
    Rule {
        at: Levels::RestrictedOnly,
        sentence: "privilege escalation must not be allowed",
        help: "write `securityContext: {allowPrivilegeEscalation: false}` in the container",
        find: escalation,
    },
    Rule {
        at: Levels::RestrictedOnly,
        sentence: "containers must be required to run as non-root users",
        help: "write `securityContext: {runAsNonRoot: true}` in the pod or in each container",
        find: non_root,
    },
    Rule {
        at: Levels::RestrictedOnly,
        sentence: "containers must not set runAsUser to 0",
        help: "choose another user, or leave it to the image",
        find: root_user,
    },
    Rule {
        at: Levels::RestrictedOnly,
        sentence: "the seccomp profile must be explicitly set to one of the allowed values",
        help: "write `securityContext: {seccompProfile: {type: RuntimeDefault}}` in the pod or in each container",
        find: seccomp,
    },
    Rule {
        at: Levels::RestrictedOnly,
        sentence: "containers must drop ALL capabilities, and may add back NET_BIND_SERVICE only",
        help: "write `securityContext: {capabilities: {drop: [ALL]}}` in the container",
        find: capabilities,
    },
    Rule {
        at: Levels::Scoped,
        sentence: "images are not read from a folder that others can write to",
        help: "use an image from a registry",
        find: local_images,
    },
];

fn local_images(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_container(pod, |container| {
        let image = container.key("image");
        if image.text().is_some_and(baseline::is_local) {
            broken.at(&image);
        }
    });
}

fn volumes(pod: &At<'_>, broken: &mut Broken<'_>) {
    let spec = pod.key("spec");
    for volume in spec.key("volumes").each_item() {
        let sources = volume.each_entry().filter(|source| source.last_key() != "name" && source.is_set());
        for source in sources.filter(|source| !VOLUMES.contains(&source.last_key())) {
            broken.at(&source);
        }
    }
}

fn escalation(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_container(pod, |container| {
        let context = container.key("securityContext");
        let allowed = context.key("allowPrivilegeEscalation");
        match truth(&allowed) {
            Some(false) => {}
            Some(true) => broken.at(&allowed),
            None => broken.missing(container),
        }
    });
}

/// A container's word counts over the pod's; a pod must not say no.
fn non_root(pod: &At<'_>, broken: &mut Broken<'_>) {
    let spec = pod.key("spec");
    let context = spec.key("securityContext");
    let of_pod = context.key("runAsNonRoot");
    if truth(&of_pod) == Some(false) {
        broken.at(&of_pod);
    }
    each_container(pod, |container| {
        let context = container.key("securityContext");
        let own = context.key("runAsNonRoot");
        match (truth(&own), truth(&of_pod)) {
            (Some(true), _) | (None, Some(_)) => {}
            (Some(false), _) => broken.at(&own),
            (None, None) => broken.missing(container),
        }
    });
}

fn root_user(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_context(pod, |context| {
        let user = context.key("runAsUser");
        if user.node.and_then(Node::whole) == Some(0) {
            broken.at(&user);
        }
    });
}

fn seccomp(pod: &At<'_>, broken: &mut Broken<'_>) {
    each_context(pod, |context| {
        let profile = context.key("seccompProfile");
        baseline::one_of(&profile.key("type"), PROFILES, broken);
    });
    let spec = pod.key("spec");
    let context = spec.key("securityContext");
    if context.key("seccompProfile").key("type").is_set() {
        return;
    }
    each_container(pod, |container| {
        let context = container.key("securityContext");
        if !context.key("seccompProfile").key("type").is_set() {
            broken.missing(container);
        }
    });
}

fn capabilities(pod: &At<'_>, broken: &mut Broken<'_>) {
    baseline::added(pod, &["NET_BIND_SERVICE"], broken);
    each_container(pod, |container| {
        let context = container.key("securityContext");
        let capabilities = context.key("capabilities");
        if !capabilities.key("drop").each_item().any(|name| name.text() == Some("ALL")) {
            broken.missing(container);
        }
    });
}
