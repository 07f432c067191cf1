//! A Pod's own fields, and what its containers and volumes owe each other.

use std::collections::HashMap;

use crate::api::{Pod, PodSpec};
use crate::manifest::fault::Fault;
use crate::manifest::node::At;

use super::Rules;
use super::container::{self, Network, Ports, Role, Surroundings};
use super::names::{LABEL, QUALIFIED, SUBDOMAIN};
use super::{resources, scheduling, security, volume};

pub(super) fn check(pod: &Pod, at: &At<'_>, rules: &mut Rules) {
    security::annotations(&at.key("metadata"), rules);
    let at = at.key("spec");
    match &pod.spec {
        Some(spec) => check_spec(spec, &at, rules),
        None => rules.required(&at),
    }
}

/// Of a Pod, or of the template of one. `at` is its place.
pub(super) fn check_spec(spec: &PodSpec, at: &At<'_>, rules: &mut Rules) {
    plain_fields(spec, at, rules);
    readiness_gates(at, rules);
    host(spec, at, rules);
    dns(spec, at, rules);
    if let Some(context) = &spec.security_context {
        security::of_pod(context, &at.key("securityContext"), rules);
        security::host_sysctls(spec, context, at, rules);
    }
    if let Some(given) = &spec.resources {
        resources::of_pod(given, &at.key("resources"), rules);
    }
    scheduling::check(spec, at, rules);
    volume::check_all(spec, &at.key("volumes"), rules);
    containers(spec, at, rules);
}

fn plain_fields(spec: &PodSpec, at: &At<'_>, rules: &mut Rules) {
    rules.one_of(&at.key("restartPolicy"), &["", "Always", "OnFailure", "Never"]);
    let (grace, grace_at) = (spec.termination_grace_period_seconds, at.key("terminationGracePeriodSeconds"));
    if grace.is_some_and(|seconds| seconds < 0) {
        let fault = Fault::at(&grace_at, "a time below zero is taken for 1", "below zero");
        rules.push(fault.help("write 1 or more").warning());
    } else {
        rules.within(&grace_at, grace, 0..=i64::from(u32::MAX));
    }
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
    if let Some(account) = spec.service_account_name.as_deref().filter(|name| !name.is_empty()) {
        rules.name(&at.key("serviceAccountName"), account, &SUBDOMAIN);
    }
    for (index, secret) in spec.image_pull_secrets.iter().flatten().enumerate() {
        let secrets = at.key("imagePullSecrets");
        let secret_at = secrets.index(index);
        let name_at = secret_at.key("name");
        if secret.name.is_empty() {
            let fault = Fault::at(&name_at, "the field is missing or empty", "no Secret is named here");
            rules.push(fault.help("name a Secret, or remove the entry").warning());
        } else {
            rules.name(&name_at, &secret.name, &SUBDOMAIN);
        }
    }
}

/// Conditions that somebody else is to set before the pod counts as ready.
fn readiness_gates(at: &At<'_>, rules: &mut Rules) {
    for gate in at.key("readinessGates").each_item() {
        let condition = gate.key("conditionType");
        rules.required(&condition);
        if let Some(text) = condition.text().filter(|text| !text.is_empty()) {
            rules.name(&condition, text, &QUALIFIED);
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
    if spec.host_users == Some(false) {
        let message = "user namespaces are not made by this version";
        rules.wrong(&at.key("hostUsers"), message, "write `true`, or remove the field");
    }
    let aliases = at.key("hostAliases");
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let alias_at = aliases.index(index);
        if alias.ip.parse::<std::net::IpAddr>().is_err() {
            rules.address(&alias_at.key("ip"), "10.0.0.1");
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
            rules.address(&nameservers_at.index(index), "10.0.0.1");
        }
    }
    at_most(NAMESERVERS, nameservers.len(), &nameservers_at, rules);
    let Some(config) = config else { return };
    let (searches_at, options_at) = (config_at.key("searches"), config_at.key("options"));
    let searches = config.searches.as_deref().unwrap_or_default();
    at_most(SEARCHES, searches.len(), &searches_at, rules);
    if searches.join(" ").len() > SEARCHES_LENGTH {
        let message = format!("the search list is longer than {SEARCHES_LENGTH} characters");
        rules.push(Fault::at_key(&searches_at, message, "too long"));
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let domain = search.strip_suffix('.').unwrap_or(search);
        rules.name(&searches_at.index(index), domain, &SUBDOMAIN);
    }
    for option in options_at.each_item() {
        rules.required(&option.key("name"));
    }
}

/// What a C library takes from resolv.conf, as Kubernetes limits it.
const NAMESERVERS: usize = 3;
const SEARCHES: usize = 32;
const SEARCHES_LENGTH: usize = 2048;

fn at_most(limit: usize, count: usize, at: &At<'_>, rules: &mut Rules) {
    if count > limit {
        let fault = Fault::at_key(at, format!("the list has more than {limit} entries"), "too many");
        rules.push(fault.help("remove some"));
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
    let around = Surroundings {
        volumes: volume::declared(&at.key("volumes")),
        grace: spec.termination_grace_period_seconds.unwrap_or(30),
        network: if spec.host_network == Some(true) { Network::Host } else { Network::Own },
    };
    let roles = spec.init_containers.iter().flatten().map(|init| (Role::of_init(init), init));
    let both = inits
        .iter()
        .zip(roles)
        .chain(apps.iter().zip(spec.containers.iter().map(|container| (Role::App, container))));
    for (place, (role, container)) in both {
        if let Some(first) = names.insert(&container.name, place).filter(|_| !container.name.is_empty()) {
            rules.twice(&place.key("name"), &first.key("name"), "containers' names");
        }
        container::check(container, role, place, &around, rules);
        match role {
            // It is gone when the others ask for their ports.
            Role::Init => Ports::default().check(container, place, around.network, rules),
            Role::Sidecar | Role::App => ports.check(container, place, around.network, rules),
        }
    }
}
