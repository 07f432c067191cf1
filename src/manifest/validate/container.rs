//! One container: name, image, ports, mounts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;

use k8s_openapi::api::core::v1::{ContainerPort, VolumeMount};

use crate::api::Container;
use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::manifest::unknown::similar;
use crate::model::image::ImageRef;

use super::names::{LABEL, PORT};
use super::volume::Declared;
use super::{Rules, environment, probe, resources, security};

/// What of a pod its containers have to fit.
pub(super) struct Surroundings<'a> {
    pub(super) volumes: Declared<'a>,
    /// Seconds.
    pub(super) grace: i64,
    pub(super) network: Network,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    Own,
    Host,
}

/// How long a container lives, beside the others of its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Ends before the next one starts.
    Init,
    /// An init container that stays.
    Sidecar,
    App,
}

impl Role {
    pub(super) fn of_init(container: &Container) -> Role {
        if container.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init }
    }
}

pub(super) fn check(
    container: &Container,
    role: Role,
    at: &At<'_>,
    around: &Surroundings<'_>,
    rules: &mut Rules,
) {
    let name_at = at.key("name");
    rules.required(&name_at);
    if !container.name.is_empty() {
        rules.name(&name_at, &container.name, &LABEL);
    }
    let image_at = at.key("image");
    rules.required(&image_at);
    let image = container.image.as_deref().unwrap_or_default();
    if !image.is_empty() {
        image_reference(image, &image_at, rules);
    }
    rules.one_of(&at.key("imagePullPolicy"), &["", "Always", "IfNotPresent", "Never"]);
    rules.one_of(&at.key("restartPolicy"), &["Always", "OnFailure", "Never"]);
    rules.one_of(&at.key("terminationMessagePolicy"), &["", "File", "FallbackToLogsOnError"]);
    if let Some(given) = &container.resources {
        resources::check(given, &at.key("resources"), rules);
    }
    if let Some(context) = &container.security_context {
        security::of_container(context, &at.key("securityContext"), rules);
    }
    environment::check(container, at, rules);
    match role {
        Role::Init => unwatched(at, rules),
        Role::Sidecar | Role::App => probe::check(container, around.grace, at, rules),
    }
    mounts(container, &at.key("volumeMounts"), &around.volumes, rules);
}

fn image_reference(image: &str, at: &At<'_>, rules: &mut Rules) {
    let example =
        "write it as `registry/name:tag`, such as `nginx:1.27` or `registry.example.com/team/app:2`";
    if image.trim() != image {
        let fault = Fault::at(at, "the image reference begins or ends with a blank", "not an image");
        return rules.push(fault.help("write it without the blank"));
    }
    // A cluster takes the pod, too, and lets it wait with InvalidImageName.
    let fault = |why: &str| {
        Fault::at(
            at,
            format!("the image reference is not valid: {why}"),
            "the pod will wait with InvalidImageName",
        )
        .warning()
    };
    if image.contains("://") {
        rules.push(fault("it is a URL").help("leave out what stands before the registry's name"));
    } else if image.contains(['{', '}', '$']) {
        rules.push(fault("it looks like a template that was not filled in").help(example));
    } else if image.contains(char::is_whitespace) {
        rules.push(fault("it has a blank in it").help(example));
    } else if let Err(bad) = ImageRef::parse(image, Path::new("/")) {
        rules.push(fault(bad.why).help(example));
    }
}

/// An init container that ends by itself has no probes and hooks.
fn unwatched(at: &At<'_>, rules: &mut Rules) {
    for field in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] {
        let field_at = at.key(field);
        if field_at.is_set() {
            let message = "an init container that ends by itself has no probes and hooks";
            let fault = Fault::at_key(&field_at, message, "not allowed here");
            rules.push(fault.help("remove it, or write `restartPolicy: Always` to make it a sidecar"));
        }
    }
}

fn mounts(container: &Container, at: &At<'_>, volumes: &Declared<'_>, rules: &mut Rules) {
    let mut paths: HashMap<&str, Range<usize>> = HashMap::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let at = at.index(index);
        let (name_at, path_at) = (at.key("name"), at.key("mountPath"));
        rules.required(&name_at);
        rules.required(&path_at);
        if !rules.is_full() && !mount.name.is_empty() && !volumes.contains_key(mount.name.as_str()) {
            rules.push(unknown_volume(&mount.name, &name_at, volumes));
        }
        let path = mount.mount_path.as_str();
        if !path.is_empty() && !path.starts_with('/') {
            rules.wrong(&path_at, "the path is not absolute", "begin it with `/`");
        } else if path.contains(':') {
            rules.wrong(&path_at, "the path has a `:` in it", "choose a path without");
        } else if path.split('/').any(|part| part == "..") {
            rules.wrong(&path_at, "the path goes upwards", "write it without `..`");
        }
        match paths.get(path) {
            Some(first) if !path.is_empty() => {
                let fault =
                    Fault::at(&path_at, "two volumes are mounted in the same place", "the same again")
                        .label(first.clone(), "first used here")
                        .help("mount one of the two elsewhere");
                rules.push(fault);
            }
            Some(_) | None => {
                paths.insert(path, path_at.span());
            }
        }
        for (field, given) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
            if let Some(given) = given {
                inner_path(given, &at.key(field), "the volume", rules);
            }
        }
        if mount.sub_path.is_some() && mount.sub_path_expr.is_some() {
            let message = "`subPath` and `subPathExpr` exclude each other";
            rules.push(Fault::at_key(&at.key("subPathExpr"), message, "remove one of the two"));
        }
        rules.one_of(&at.key("mountPropagation"), &["", "None", "HostToContainer", "Bidirectional"]);
        privileged_propagation(container, &at.key("mountPropagation"), rules);
        recursive(mount, &at, rules);
    }
}

/// What is read-only all the way down is read-only itself, and lets nothing in.
fn recursive(mount: &VolumeMount, at: &At<'_>, rules: &mut Rules) {
    let recursive_at = at.key("recursiveReadOnly");
    rules.one_of(&recursive_at, &["Disabled", "IfPossible", "Enabled"]);
    let asked = matches!(mount.recursive_read_only.as_deref(), Some("IfPossible" | "Enabled"));
    if asked && mount.read_only != Some(true) {
        let message = "a mount is read-only recursively only if it is read-only";
        rules.push(Fault::at(&recursive_at, message, "not read-only itself").help("add `readOnly: true`"));
    }
    let propagation_at = at.key("mountPropagation");
    if asked && propagation_at.text().is_some_and(|text| !matches!(text, "" | "None")) {
        let message = "a mount that is read-only recursively takes no part in mount propagation";
        let fault = Fault::at(&propagation_at, message, "contradicts")
            .label(recursive_at.key_span(), "this")
            .help("remove one of the two");
        rules.push(fault);
    }
}

fn privileged_propagation(container: &Container, at: &At<'_>, rules: &mut Rules) {
    let privileged = container.security_context.as_ref().and_then(|context| context.privileged) == Some(true);
    if at.text() == Some("Bidirectional") && !privileged {
        rules.wrong(
            at,
            "mounts may reach the host from privileged containers only",
            "write `HostToContainer`",
        );
    }
}

fn unknown_volume(name: &str, at: &At<'_>, volumes: &Declared<'_>) -> Fault {
    let fault = Fault::at(at, "no volume of this name is declared in the pod", "no volume has this name");
    match similar(name, volumes.keys().copied()) {
        // Names in a file are its text: they are said beside it, not in the status.
        Some(similar) => Fault::at(at, fault.message, format!("did you mean `{similar}`?"))
            .label(volumes[similar].clone(), "a similar volume is declared here")
            .help("write the name of a volume under `spec.volumes`"),
        None => fault.help("declare it under `spec.volumes`, for example with `emptyDir: {}`"),
    }
}

fn host_address(address: &str, at: &At<'_>, rules: &mut Rules) {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if !address.is_unspecified() => {
            rules.wrong(at, "pods here have IPv4 addresses alone", "write an IPv4 address of the machine");
        }
        Ok(IpAddr::V4(_) | IpAddr::V6(_)) => {}
        Err(_) => rules.address(at, "127.0.0.1"),
    }
}

/// A path inside of something: relative, and never out of it.
pub(super) fn inner_path(path: &str, at: &At<'_>, of: &str, rules: &mut Rules) {
    if path.starts_with('/') {
        let fault = Fault::at(at, "the path is absolute", "begins with `/`");
        rules.push(fault.help(format!("write it relative to {of}, without the first `/`")));
    } else if path.split('/').any(|part| part == "..") {
        let fault = Fault::at(at, format!("the path leads out of {of}"), "goes upwards");
        rules.push(fault.help("write it without `..`"));
    }
}

/// Ports of all containers of a pod: they share one network.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Host port, protocol and host address, with where it was asked for.
    host: HashMap<(i32, String, String), Range<usize>>,
}

impl Ports {
    pub(super) fn check(&mut self, container: &Container, at: &At<'_>, network: Network, rules: &mut Rules) {
        let ports_at = at.key("ports");
        let mut names: HashMap<&str, Range<usize>> = HashMap::new();
        let mut numbers: HashMap<(i32, &str), Range<usize>> = HashMap::new();
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let at = ports_at.index(index);
            let number_at = at.key("containerPort");
            if number_at.is_set() {
                rules.within(&number_at, Some(port.container_port.into()), 1..=65535);
            } else {
                rules.required(&number_at);
            }
            rules.within(&at.key("hostPort"), port.host_port.map(i64::from), 0..=65535);
            rules.one_of(&at.key("protocol"), &["", "TCP", "UDP", "SCTP"]);
            if let Some(address) = port.host_ip.as_deref().filter(|address| !address.is_empty()) {
                host_address(address, &at.key("hostIP"), rules);
            }
            if let Some(name) = &port.name {
                let name_at = at.key("name");
                rules.name(&name_at, name, &PORT);
                if let Some(first) = names.insert(name, name_at.span()) {
                    let fault = Fault::at(&name_at, "two ports' names are the same", "the same again")
                        .label(first, "first used here")
                        .help("rename one of the two");
                    rules.push(fault);
                }
            }
            let protocol = port.protocol.as_deref().filter(|given| !given.is_empty()).unwrap_or("TCP");
            if let Some(first) = numbers.insert((port.container_port, protocol), number_at.span())
                && port.container_port != 0
            {
                let message = "the container declares this port and protocol twice";
                let fault =
                    Fault::at(&number_at, message, "the same again").label(first, "first declared here");
                rules.push(fault.help("remove one of the two").warning());
            }
            self.host_port(port, protocol, &at, network, rules);
        }
    }

    fn host_port(
        &mut self,
        port: &ContainerPort,
        protocol: &str,
        at: &At<'_>,
        network: Network,
        rules: &mut Rules,
    ) {
        let Some(host_port) = port.host_port.filter(|port| *port != 0) else { return };
        let address = port.host_ip.clone().unwrap_or_default();
        let port_at = at.key("hostPort");
        if network == Network::Host && host_port != port.container_port {
            let message = "in the host's network a container's port is the host's port";
            let fault = Fault::at(&port_at, message, "another number")
                .label(at.key("containerPort").span(), "than this one")
                .help("make the two equal, or remove `hostPort`");
            rules.push(fault);
        }
        if let Some(first) = self.host.insert((host_port, protocol.to_owned(), address), port_at.span()) {
            let fault = Fault::at(&port_at, "two ports ask for the same port of the host", "the same again")
                .label(first, "first used here")
                .help("give one of the two another `hostPort`");
            rules.push(fault);
        }
    }
}
