//! What the API server fills in where the author said nothing
//! (kubernetes `pkg/apis/core/v1/defaults.go` and `zz_generated.defaults.go`).

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PodSecurityContext, Probe, ResourceRequirements, Volume, VolumeProjection,
};

use crate::api::{Container, CronJobSpec, JobSpec, Object, PodSpec, Secret};

pub(crate) fn apply(object: &mut Object) {
    match object {
        Object::Pod(pod) => pod_defaults(pod.spec.get_or_insert_default()),
        Object::Job(job) => job_defaults(job.spec.get_or_insert_default()),
        Object::CronJob(cron) => cron_defaults(&mut cron.spec),
        Object::Secret(secret) => secret_defaults(secret),
        Object::ConfigMap(_) | Object::Namespace(_) | Object::Unserved { .. } => {}
    }
}

fn text(field: &mut Option<String>, default: &str) {
    if field.as_deref().is_none_or(str::is_empty) {
        *field = Some(default.to_owned());
    }
}

fn pod_defaults(spec: &mut PodSpec) {
    text(&mut spec.restart_policy, "Always");
    text(&mut spec.dns_policy, "ClusterFirst");
    let grace = spec.termination_grace_period_seconds.get_or_insert(30);
    if *grace < 0 {
        *grace = 1;
    }
    spec.enable_service_links.get_or_insert(true);
    spec.security_context.get_or_insert_with(PodSecurityContext::default);
    let host_network = spec.host_network == Some(true);
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        container_defaults(container);
        for port in container.ports.iter_mut().flatten().filter(|_| host_network) {
            port.host_port.get_or_insert(port.container_port);
        }
    }
    for volume in spec.volumes.iter_mut().flatten() {
        volume_defaults(volume);
    }
    if let Some(resources) = &mut spec.resources {
        requests_from_limits(resources);
    }
    service_account(spec);
}

/// Kubernetes `pkg/apis/batch/v1/defaults.go`.
fn job_defaults(spec: &mut JobSpec) {
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    let limit = if spec.backoff_limit_per_index.is_some() { i32::MAX } else { 6 };
    spec.backoff_limit.get_or_insert(limit);
    text(&mut spec.completion_mode, "NonIndexed");
    spec.suspend.get_or_insert(false);
    let replaced = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    text(&mut spec.pod_replacement_policy, replaced);
    let rules = spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules);
    for condition in rules.flat_map(|rule| rule.on_pod_conditions.iter_mut().flatten()) {
        text(&mut condition.status, "True");
    }
    pod_defaults(spec.template.spec.get_or_insert_default());
}

fn cron_defaults(spec: &mut CronJobSpec) {
    text(&mut spec.concurrency_policy, "Allow");
    spec.suspend.get_or_insert(false);
    spec.successful_jobs_history_limit.get_or_insert(3);
    spec.failed_jobs_history_limit.get_or_insert(1);
    job_defaults(spec.job_template.spec.get_or_insert_default());
}

/// `serviceAccount` is the old name of `serviceAccountName`; the server keeps the two equal.
fn service_account(spec: &mut PodSpec) {
    if spec.service_account_name.is_none() {
        spec.service_account_name.clone_from(&spec.service_account);
    }
}

fn container_defaults(container: &mut Container) {
    let policy = if is_fetched_always(container.image.as_deref().unwrap_or_default()) {
        "Always"
    } else {
        "IfNotPresent"
    };
    text(&mut container.image_pull_policy, policy);
    text(&mut container.termination_message_path, "/dev/termination-log");
    text(&mut container.termination_message_policy, "File");
    requests_from_limits(container.resources.get_or_insert_default());
    for port in container.ports.iter_mut().flatten() {
        text(&mut port.protocol, "TCP");
    }
    for field in container.env.iter_mut().flatten().filter_map(|env| env.value_from.as_mut()) {
        if let Some(field) = &mut field.field_ref {
            text(&mut field.api_version, "v1");
        }
    }
    let probes =
        [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    for probe in probes.into_iter().flatten() {
        probe_defaults(probe);
    }
    if let Some(lifecycle) = &mut container.lifecycle {
        for hook in [&mut lifecycle.post_start, &mut lifecycle.pre_stop].into_iter().flatten() {
            if let Some(http) = &mut hook.http_get {
                text(&mut http.scheme, "HTTP");
                text(&mut http.path, "/");
            }
        }
    }
}

/// Whether an image is looked for in its registry at each start: one whose tag may come to mean something else.
fn is_fetched_always(image: &str) -> bool {
    let local = ["oci:", "oci-archive:", "docker-archive:"].iter().any(|prefix| image.starts_with(prefix));
    if local || image == "droppod.local/host" || image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => true,
    }
}

fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = &resources.limits else { return };
    let requests = resources.requests.get_or_insert_default();
    for (name, quantity) in limits {
        requests.entry(name.clone()).or_insert_with(|| quantity.clone());
    }
}

fn probe_defaults(probe: &mut Probe) {
    let number = |field: &mut Option<i32>, default| {
        if field.is_none_or(|given| given == 0) {
            *field = Some(default);
        }
    };
    number(&mut probe.timeout_seconds, 1);
    number(&mut probe.period_seconds, 10);
    number(&mut probe.success_threshold, 1);
    number(&mut probe.failure_threshold, 3);
    if let Some(http) = &mut probe.http_get {
        text(&mut http.scheme, "HTTP");
        text(&mut http.path, "/");
    }
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

const FILE_MODE: i32 = 0o644;

fn volume_defaults(volume: &mut Volume) {
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    } else if let Some(map) = &mut volume.config_map {
        map.default_mode.get_or_insert(FILE_MODE);
    } else if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        for file in downward.items.iter_mut().flatten() {
            if let Some(field) = &mut file.field_ref {
                text(&mut field.api_version, "v1");
            }
        }
    } else if let Some(projected) = &mut volume.projected {
        projected.default_mode.get_or_insert(FILE_MODE);
        projected.sources.iter_mut().flatten().for_each(projection_defaults);
    } else if let Some(host) = &mut volume.host_path {
        host.type_.get_or_insert_default();
    } else if volume.empty_dir.is_none() {
        // A volume of which nothing but the name is given.
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
}

fn projection_defaults(source: &mut VolumeProjection) {
    for file in source.downward_api.iter_mut().flat_map(|downward| downward.items.iter_mut().flatten()) {
        if let Some(field) = &mut file.field_ref {
            text(&mut field.api_version, "v1");
        }
    }
}

/// `stringData` is for writing only: it goes over into `data`.
fn secret_defaults(secret: &mut Secret) {
    text(&mut secret.type_, "Opaque");
    if let Some(plain) = secret.string_data.take() {
        let data: &mut BTreeMap<String, ByteString> = secret.data.get_or_insert_default();
        data.extend(plain.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes()))));
    }
}
