//! One container: name, image, ports, mounts.

use std::collections::HashMap;
use std::ops::Range;

use crate::api::Container;
use crate::manifest::fault::Fault;
use crate::manifest::node::{At, Node};
use crate::manifest::unknown::similar;

use super::names::{LABEL, PORT};
use super::volume::Declared;
use super::{Rules, environment, resources, security};

pub(super) fn check(container: &Container, at: &At<'_>, volumes: &Declared<'_>, rules: &mut Rules) {
    let name_at = at.key("name");
    rules.required(&name_at);
    if !container.name.is_empty() {
        rules.name(&name_at, &container.name, &LABEL);
    }
    let image_at = at.key("image");
    rules.required(&image_at);
    let image = container.image.as_deref().unwrap_or_default();
    if image.contains(char::is_whitespace) {
        rules.wrong(&image_at, "an image reference has no spaces in it", "write it as registry/name:tag");
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
    mounts(container, &at.key("volumeMounts"), volumes, rules);
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
                        .label(first.clone(), "first used here");
                rules.push(fault);
            }
            Some(_) | None => {
                paths.insert(path, path_at.span());
            }
        }
        for (field, given) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
            if let Some(given) = given {
                inner_path(given, &at.key(field), rules);
            }
        }
        if mount.sub_path.is_some() && mount.sub_path_expr.is_some() {
            let message = "`subPath` and `subPathExpr` exclude each other";
            rules.push(Fault::at_key(&at.key("subPathExpr"), message, "remove one of the two"));
        }
        rules.one_of(&at.key("mountPropagation"), &["", "None", "HostToContainer", "Bidirectional"]);
        recursive_read_only(&at, rules);
        privileged_propagation(container, &at.key("mountPropagation"), rules);
    }
}

/// As the API server has it.
fn recursive_read_only(at: &At<'_>, rules: &mut Rules) {
    let field = at.key("recursiveReadOnly");
    rules.one_of(&field, &["Disabled", "IfPossible", "Enabled"]);
    let asked = matches!(field.text(), Some("IfPossible" | "Enabled"));
    let (read_only, propagation) = (at.key("readOnly"), at.key("mountPropagation"));
    if asked && read_only.node.and_then(Node::truth) != Some(true) {
        rules.wrong(&field, "the mount is not read-only itself", "add `readOnly: true`");
    }
    if asked && matches!(propagation.text(), Some("HostToContainer" | "Bidirectional")) {
        rules.wrong(&field, "mounts that come later would not be read-only", "remove `mountPropagation`");
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
        Some(similar) => fault
            .label(volumes[similar].clone(), "a similar volume is declared here")
            .help(format!("did you mean `{similar}`?")),
        None => fault.help("declare it under `spec.volumes`"),
    }
}

/// A path inside of a volume: relative, and never out of it.
pub(super) fn inner_path(path: &str, at: &At<'_>, rules: &mut Rules) {
    if path.starts_with('/') {
        rules.wrong(at, "the path is absolute", "write it relative to the volume, without the first `/`");
    } else if path.split('/').any(|part| part == "..") {
        rules.wrong(at, "the path leads out of the volume", "write it without `..`");
    }
}

/// Ports of all containers of a pod: they share one network.
#[derive(Default)]
pub(super) struct Ports {
    /// Host port, protocol and host address, with where it was asked for.
    host: HashMap<(i32, String, String), Range<usize>>,
}

impl Ports {
    pub(super) fn check(&mut self, container: &Container, at: &At<'_>, rules: &mut Rules) {
        let ports_at = at.key("ports");
        let mut names: HashMap<&str, Range<usize>> = HashMap::new();
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
            if let Some(address) = port.host_ip.as_deref().filter(|address| !address.is_empty())
                && address.parse::<std::net::IpAddr>().is_err()
            {
                rules.wrong(
                    &at.key("hostIP"),
                    "the value is not an IP address",
                    "write one such as 127.0.0.1",
                );
            }
            if let Some(name) = &port.name {
                let name_at = at.key("name");
                rules.name(&name_at, name, &PORT);
                if let Some(first) = names.insert(name, name_at.span()) {
                    let fault = Fault::at(&name_at, "two ports' names are the same", "the same again")
                        .label(first, "first used here");
                    rules.push(fault);
                }
            }
            let Some(host_port) = port.host_port.filter(|port| *port != 0) else { continue };
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            let address = port.host_ip.clone().unwrap_or_default();
            let port_at = at.key("hostPort");
            if let Some(first) = self.host.insert((host_port, protocol, address), port_at.span()) {
                let fault =
                    Fault::at(&port_at, "two ports ask for the same port of the host", "the same again")
                        .label(first, "first used here");
                rules.push(fault);
            }
        }
    }
}
