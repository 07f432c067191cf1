//! Containers: what they run, how they are, what they are given.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ContainerPort, ContainerState, ContainerStatus, EnvVar, EnvVarSource, Probe, ResourceFieldSelector,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::{Container, Pod};
use crate::model::quantity::milli;

use super::sheet::{Sheet, date};

/// Of a template all stands one level further in, but names of containers and volumes are only one blank further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Pod,
    Template,
}

impl Within {
    pub(super) fn level(self) -> usize {
        match self {
            Within::Pod => 0,
            Within::Template => 1,
        }
    }

    /// A name in a list.
    pub(super) fn name(self, name: &str, sheet: &mut Sheet) {
        match self {
            Within::Pod => sheet.line(1, format_args!("{name}:")),
            Within::Template => sheet.line(1, format_args!(" {name}:")),
        }
    }
}

pub(super) fn describe(
    within: Within,
    title: &str,
    containers: &[Container],
    statuses: &[ContainerStatus],
    pod: &Pod,
    sheet: &mut Sheet,
) {
    sheet.line(within.level(), format_args!("{title}:"));
    for container in containers {
        let status = statuses.iter().find(|status| status.name == container.name);
        within.name(&container.name, sheet);
        image(container, status, sheet);
        ports(container.ports.as_deref().unwrap_or_default(), sheet);
        words("Command:", container.command.as_deref().unwrap_or_default(), sheet);
        words("Args:", container.args.as_deref().unwrap_or_default(), sheet);
        if let Some(status) = status {
            course(status, sheet);
        }
        let resources = container.resources.as_ref();
        amounts("Limits:", resources.and_then(|resources| resources.limits.as_ref()), sheet);
        amounts("Requests:", resources.and_then(|resources| resources.requests.as_ref()), sheet);
        sheet.field_if(2, "Liveness", container.liveness_probe.as_ref().map(probe));
        sheet.field_if(2, "Readiness", container.readiness_probe.as_ref().map(probe));
        sheet.field_if(2, "Startup", container.startup_probe.as_ref().map(probe));
        environment(container, pod, sheet);
        mounts(container, sheet);
    }
}

fn image(container: &Container, status: Option<&ContainerStatus>, sheet: &mut Sheet) {
    if let Some(status) = status {
        sheet.field(2, "Container ID", status.container_id.as_deref().unwrap_or_default());
    }
    sheet.field(2, "Image", container.image.as_deref().unwrap_or_default());
    if let Some(status) = status {
        sheet.field(2, "Image ID", &status.image_id);
    }
}

fn ports(ports: &[ContainerPort], sheet: &mut Sheet) {
    let list = |number: fn(&ContainerPort) -> i32| {
        let texts: Vec<String> = ports
            .iter()
            .map(|port| format!("{}/{}", number(port), port.protocol.as_deref().unwrap_or("TCP")))
            .collect();
        if texts.is_empty() { "<none>".to_owned() } else { texts.join(", ") }
    };
    let title = |one: &'static str, many: &'static str| if ports.len() > 1 { many } else { one };
    sheet.field(2, title("Port", "Ports"), list(|port| port.container_port));
    sheet.field(2, title("Host Port", "Host Ports"), list(|port| port.host_port.unwrap_or(0)));
}

fn words(title: &str, words: &[String], sheet: &mut Sheet) {
    if !words.is_empty() {
        sheet.line(2, title);
        words.iter().flat_map(|word| word.split('\n')).for_each(|line| sheet.line(3, line));
    }
}

fn course(status: &ContainerStatus, sheet: &mut Sheet) {
    let waiting = ContainerState::default();
    state("State", status.state.as_ref().unwrap_or(&waiting), sheet);
    if let Some(last) = status.last_state.as_ref().filter(|last| last.terminated.is_some()) {
        state("Last State", last, sheet);
    }
    sheet.field(2, "Ready", if status.ready { "True" } else { "False" });
    sheet.field(2, "Restart Count", status.restart_count);
}

fn state(title: &str, state: &ContainerState, sheet: &mut Sheet) {
    let when = |time: Option<&Time>| time.map(|time| date(time.0));
    if let Some(running) = &state.running {
        sheet.field(2, title, "Running");
        sheet.field_if(3, "Started", when(running.started_at.as_ref()));
    } else if let Some(terminated) = &state.terminated {
        sheet.field(2, title, "Terminated");
        sheet.field_if(3, "Reason", terminated.reason.as_ref());
        sheet.field_if(3, "Message", terminated.message.as_ref());
        sheet.field(3, "Exit Code", terminated.exit_code);
        sheet.field_if(3, "Signal", terminated.signal.filter(|signal| *signal > 0));
        sheet.field_if(3, "Started", when(terminated.started_at.as_ref()));
        sheet.field_if(3, "Finished", when(terminated.finished_at.as_ref()));
    } else {
        sheet.field(2, title, "Waiting");
        sheet.field_if(3, "Reason", state.waiting.as_ref().and_then(|waiting| waiting.reason.as_ref()));
    }
}

fn amounts(title: &str, amounts: Option<&BTreeMap<String, Quantity>>, sheet: &mut Sheet) {
    let Some(amounts) = amounts.filter(|amounts| !amounts.is_empty()) else { return };
    sheet.line(2, title);
    amounts.iter().for_each(|(name, amount)| sheet.field(3, name, &amount.0));
}

fn probe(probe: &Probe) -> String {
    let timing = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        probe.initial_delay_seconds.unwrap_or(0),
        probe.timeout_seconds.unwrap_or(1),
        probe.period_seconds.unwrap_or(10),
        probe.success_threshold.unwrap_or(1),
        probe.failure_threshold.unwrap_or(3),
    );
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    if let Some(exec) = &probe.exec {
        return format!("exec [{}] {timing}", exec.command.as_deref().unwrap_or_default().join(" "));
    }
    if let Some(get) = &probe.http_get {
        let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        let (host, path) = (get.host.as_deref().unwrap_or_default(), get.path.as_deref().unwrap_or("/"));
        return format!("http-get {scheme}://{host}:{}{path} {timing}", port(&get.port));
    }
    if let Some(tcp) = &probe.tcp_socket {
        return format!(
            "tcp-socket {}:{} {timing}",
            tcp.host.as_deref().unwrap_or_default(),
            port(&tcp.port)
        );
    }
    if let Some(grpc) = &probe.grpc {
        return format!("grpc <pod>:{} {} {timing}", grpc.port, grpc.service.as_deref().unwrap_or_default());
    }
    format!("unknown {timing}")
}

fn environment(container: &Container, pod: &Pod, sheet: &mut Sheet) {
    let sources = container.env_from.as_deref().unwrap_or_default();
    if !sources.is_empty() {
        sheet.line(2, "Environment Variables from:");
    }
    for source in sources {
        let (name, from, optional) = match (&source.config_map_ref, &source.secret_ref) {
            (Some(map), _) => (&map.name, "ConfigMap", map.optional),
            (None, Some(secret)) => (&secret.name, "Secret", secret.optional),
            (None, None) => continue,
        };
        let prefix = source.prefix.as_deref().filter(|prefix| !prefix.is_empty());
        let prefix = prefix.map(|prefix| format!(" with prefix '{prefix}'")).unwrap_or_default();
        let optional = optional.unwrap_or(false);
        sheet.line(3, format_args!("{name}\t{from}{prefix}\tOptional: {optional}"));
    }
    match container.env.as_deref().unwrap_or_default() {
        [] => sheet.line(2, "Environment:\t<none>"),
        variables => {
            sheet.line(2, "Environment:");
            variables.iter().for_each(|variable| self::variable(variable, container, pod, sheet));
        }
    }
}

fn variable(variable: &EnvVar, container: &Container, pod: &Pod, sheet: &mut Sheet) {
    let name = &variable.name;
    match &variable.value_from {
        Some(source) => sheet.field(3, name, sourced(source, container, pod)),
        None => {
            let mut lines = variable.value.as_deref().unwrap_or_default().split('\n');
            sheet.field(3, name, lines.next().unwrap_or_default());
            lines.for_each(|line| sheet.line(3, format_args!("\t{line}")));
        }
    }
}

/// Never what a Secret holds.
fn sourced(source: &EnvVarSource, container: &Container, pod: &Pod) -> String {
    if let Some(field) = &source.field_ref {
        let version = field.api_version.as_deref().unwrap_or("v1");
        return format!("{} ({version}:{})", field_value(&field.field_path, pod), field.field_path);
    }
    if let Some(resource) = &source.resource_field_ref {
        return format!("{} ({})", amount(resource, container), resource.resource);
    }
    if let Some(secret) = &source.secret_key_ref {
        let optional = secret.optional.unwrap_or(false);
        return format!(
            "<set to the key '{}' in secret '{}'>\tOptional: {optional}",
            secret.key, secret.name
        );
    }
    if let Some(map) = &source.config_map_key_ref {
        let optional = map.optional.unwrap_or(false);
        return format!("<set to the key '{}' of config map '{}'>\tOptional: {optional}", map.key, map.name);
    }
    String::new()
}

/// Of the pod's own name only what was known before it ran, as kubectl tells it.
fn field_value(path: &str, pod: &Pod) -> String {
    let of = |marks: &Option<BTreeMap<String, String>>, key: &str| {
        marks.as_ref().and_then(|marks| marks.get(key)).cloned().unwrap_or_default()
    };
    match path {
        "metadata.name" => pod.metadata.name.clone().unwrap_or_default(),
        "metadata.namespace" => pod.metadata.namespace.clone().unwrap_or_default(),
        "metadata.uid" => pod.metadata.uid.clone().unwrap_or_default(),
        path => match path.strip_suffix("']").and_then(|path| path.split_once("['")) {
            Some(("metadata.labels", key)) => of(&pod.metadata.labels, key),
            Some(("metadata.annotations", key)) => of(&pod.metadata.annotations, key),
            Some(_) | None => String::new(),
        },
    }
}

/// In units of the divisor, rounded up.
fn amount(wanted: &ResourceFieldSelector, container: &Container) -> String {
    let resources = container.resources.as_ref();
    let amount = match wanted.resource.split_once('.') {
        Some(("limits", name)) => resources.and_then(|all| all.limits.as_ref()?.get(name)),
        Some(("requests", name)) => resources.and_then(|all| all.requests.as_ref()?.get(name)),
        Some(_) | None => None,
    };
    let divisor = wanted.divisor.as_ref().and_then(|divisor| milli(&divisor.0)).filter(|milli| *milli > 0);
    match amount.and_then(|amount| milli(&amount.0)) {
        Some(milli) => {
            let divisor = divisor.unwrap_or(1000);
            (milli / divisor + i128::from(milli % divisor > 0)).to_string()
        }
        None if wanted.resource.starts_with("limits.") => "node allocatable".to_owned(),
        None => "0".to_owned(),
    }
}

fn mounts(container: &Container, sheet: &mut Sheet) {
    let mut mounts: Vec<_> = container.volume_mounts.iter().flatten().collect();
    mounts.sort_by(|a, b| a.mount_path.cmp(&b.mount_path));
    if mounts.is_empty() {
        sheet.line(2, "Mounts:\t<none>");
        return;
    }
    sheet.line(2, "Mounts:");
    for mount in mounts {
        let mode = if mount.read_only == Some(true) { "ro" } else { "rw" };
        let path = mount.sub_path.as_deref().filter(|path| !path.is_empty());
        let path = path.map(|path| format!(",path={path:?}")).unwrap_or_default();
        sheet.line(3, format_args!("{} from {} ({mode}{path})", mount.mount_path, mount.name));
    }
}
