//! A Pod's own fields, and what its containers and volumes owe each other.

use std::collections::HashMap;

use crate::api::{Pod, PodSpec};
use crate::manifest::fault::Fault;
use crate::manifest::node::At;

use super::Rules;
use super::container::{self, Ports};
use super::names::{LABEL, SUBDOMAIN};
use super::{resources, security, volume};

pub(super) fn check(pod: &Pod, at: &At<'_>, rules: &mut Rules) {
    let at = at.key("spec");
    let Some(spec) = &pod.spec else { return rules.required(&at) };
    plain_fields(spec, &at, rules);
    host(spec, &at, rules);
    dns(spec, &at, rules);
    if let Some(context) = &spec.security_context {
        security::of_pod(context, &at.key("securityContext"), rules);
    }
    if let Some(given) = &spec.resources {
        resources::check(given, &at.key("resources"), rules);
    }
    volume::check_all(spec, &at.key("volumes"), rules);
    containers(spec, &at, rules);
}

fn plain_fields(spec: &PodSpec, at: &At<'_>, rules: &mut Rules) {
    rules.one_of(&at.key("restartPolicy"), &["", "Always", "OnFailure", "Never"]);
    let grace = spec.termination_grace_period_seconds;
    rules.within(&at.key("terminationGracePeriodSeconds"), grace, 0..=i64::from(u32::MAX));
    rules.within(&at.key("activeDeadlineSeconds"), spec.active_deadline_seconds, 1..=i64::from(i32::MAX));
    let os = at.key("os");
    if os.is_set() {
        rules.required(&os.key("name"));
    }
    match spec.os.as_ref().map(|os| os.name.as_str()) {
        Some("windows") => {
            rules.wrong(
                &os.key("name"),
                "Windows containers do not run here",
                "write `linux`, or remove the field",
            );
        }
        Some(_) => rules.one_of(&os.key("name"), &["linux"]),
        None => {}
    }
    let ephemeral = at.key("ephemeralContainers");
    if spec.ephemeral_containers.as_ref().is_some_and(|list| !list.is_empty()) {
        let message = "ephemeral containers are added to a running pod, never declared with it";
        rules.push(Fault::at_key(&ephemeral, message, "not allowed here").help("remove the field"));
    }
    for (index, secret) in spec.image_pull_secrets.iter().flatten().enumerate() {
        let secrets = at.key("imagePullSecrets");
        let secret_at = secrets.index(index);
        let name_at = secret_at.key("name");
        rules.required(&name_at);
        if !secret.name.is_empty() {
            rules.name(&name_at, &secret.name, &SUBDOMAIN);
        }
    }
}

/// Names of the pod and its share in the host's namespaces.
fn host(spec: &PodSpec, at: &At<'_>, rules: &mut Rules) {
    for (name, given) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
        if let Some(given) = given {
            rules.name(&at.key(name), given, &LABEL);
        }
    }
    if spec.host_pid == Some(true) && spec.share_process_namespace == Some(true) {
        let message = "the containers cannot share a process namespace and be in the host's";
        let fault = Fault::at_key(&at.key("shareProcessNamespace"), message, "contradicts")
            .label(at.key("hostPID").key_span(), "this")
            .help("remove one of the two");
        rules.push(fault);
    }
    let aliases = at.key("hostAliases");
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let alias_at = aliases.index(index);
        if alias.ip.parse::<std::net::IpAddr>().is_err() {
            rules.wrong(&alias_at.key("ip"), "the value is not an IP address", "write one such as 10.0.0.1");
        }
        let names = alias_at.key("hostnames");
        for (index, name) in alias.hostnames.iter().flatten().enumerate() {
            rules.name(&names.index(index), name, &SUBDOMAIN);
        }
    }
}

fn dns(spec: &PodSpec, at: &At<'_>, rules: &mut Rules) {
    let policy = at.key("dnsPolicy");
    rules.one_of(&policy, &["", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]);
    let (config, config_at) = (spec.dns_config.as_ref(), at.key("dnsConfig"));
    let nameservers_at = config_at.key("nameservers");
    let nameservers = config.and_then(|config| config.nameservers.as_ref()).map_or(&[][..], Vec::as_slice);
    if spec.dns_policy.as_deref() == Some("None") && nameservers.is_empty() {
        let fault = Fault::at(&policy, "`None` leaves the pod without a name server", "needs name servers")
            .help("give one under `dnsConfig.nameservers`, or choose another policy");
        rules.push(fault);
    }
    for (index, server) in nameservers.iter().enumerate() {
        if server.parse::<std::net::IpAddr>().is_err() {
            rules.wrong(
                &nameservers_at.index(index),
                "the value is not an IP address",
                "write one such as 10.0.0.1",
            );
        }
    }
}

fn containers(spec: &PodSpec, at: &At<'_>, rules: &mut Rules) {
    let (inits_at, apps_at) = (at.key("initContainers"), at.key("containers"));
    if spec.containers.is_empty() {
        let fault = Fault::at_key(&apps_at, "a pod needs at least one container", "no container here")
            .help("add one with `name` and `image`");
        rules.push(fault);
    }
    let inits: Vec<At<'_>> = inits_at.each_item().collect();
    let apps: Vec<At<'_>> = apps_at.each_item().collect();
    let mut names: HashMap<&str, &At<'_>> = HashMap::new();
    let mut ports = Ports::default();
    let volumes = volume::declared(&at.key("volumes"));
    let both =
        inits.iter().zip(spec.init_containers.iter().flatten()).chain(apps.iter().zip(&spec.containers));
    for (place, container) in both {
        if let Some(first) = names.insert(&container.name, place).filter(|_| !container.name.is_empty()) {
            rules.twice(&place.key("name"), &first.key("name"), "containers' names");
        }
        container::check(container, place, &volumes, rules);
        ports.check(container, place, rules);
    }
    for (place, container) in inits.iter().zip(spec.init_containers.iter().flatten()) {
        if container.restart_policy.is_some() {
            rules.one_of(&place.key("restartPolicy"), &["Always", "OnFailure", "Never"]);
        }
    }
}
