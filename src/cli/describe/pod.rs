//! A pod from its name to its events.

use k8s_openapi::api::core::v1::{PodStatus, Toleration};

use crate::api::{Pod, PodSpec};
use crate::model::time::Timestamp;

use super::container::{self, Within};
use super::events::since;
use super::sheet::{Sheet, date};
use super::{metadata, volumes};

pub(super) fn describe(pod: &Pod, now: Timestamp, sheet: &mut Sheet) {
    let (no_spec, no_status) = (PodSpec::default(), PodStatus::default());
    let spec = pod.spec.as_ref().unwrap_or(&no_spec);
    let status = pod.status.as_ref().unwrap_or(&no_status);
    metadata::name(&pod.metadata, sheet);
    place(spec, status, sheet);
    metadata::marks(&pod.metadata, sheet);
    course(pod, status, now, sheet);
    if let Some(profile) = spec.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref())
    {
        sheet.field(0, "SeccompProfile", &profile.type_);
        sheet.field_if(0, "LocalhostProfile", profile.localhost_profile.as_ref());
    }
    addresses(pod, status, sheet);
    let init = status.init_container_statuses.as_deref().unwrap_or_default();
    if let Some(containers) = spec.init_containers.as_deref().filter(|list| !list.is_empty()) {
        container::describe(Within::Pod, "Init Containers", containers, init, pod, sheet);
    }
    let app = status.container_statuses.as_deref().unwrap_or_default();
    container::describe(Within::Pod, "Containers", &spec.containers, app, pod, sheet);
    let conditions = status.conditions.as_deref().unwrap_or_default();
    if !conditions.is_empty() {
        sheet.line(0, "Conditions:\n  Type\tStatus");
        for condition in conditions {
            sheet.line(1, format_args!("{} \t{} ", condition.type_, condition.status));
        }
    }
    volumes::describe(Within::Pod, spec.volumes.as_deref().unwrap_or_default(), sheet);
    sheet.field(0, "QoS Class", status.qos_class.as_deref().unwrap_or_default());
    metadata::pairs(0, "Node-Selectors", spec.node_selector.as_ref(), sheet);
    tolerations(0, spec.tolerations.as_deref().unwrap_or_default(), sheet);
}

fn place(spec: &PodSpec, status: &PodStatus, sheet: &mut Sheet) {
    if let Some(priority) = spec.priority {
        sheet.field(0, "Priority", priority);
    }
    sheet.field_if(0, "Priority Class Name", spec.priority_class_name.as_ref());
    sheet.field_if(0, "Runtime Class Name", spec.runtime_class_name.as_ref());
    sheet.field_if(0, "Service Account", spec.service_account_name.as_ref());
    match &spec.node_name {
        Some(node) => {
            let ip = status.host_ip.as_deref().unwrap_or_default();
            sheet.field(0, "Node", format_args!("{node}/{ip}"));
        }
        None => sheet.field(0, "Node", "<none>"),
    }
    sheet.field_if(0, "Start Time", status.start_time.as_ref().map(|time| date(time.0)));
}

fn course(pod: &Pod, status: &PodStatus, now: Timestamp, sheet: &mut Sheet) {
    let phase = status.phase.as_deref().unwrap_or_default();
    match &pod.metadata.deletion_timestamp {
        Some(deletion) if !matches!(phase, "Failed" | "Succeeded") => {
            sheet.field(0, "Status", format_args!("Terminating (lasts {})", since(Some(deletion), now)));
            let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
            sheet.field(0, "Termination Grace Period", format_args!("{grace}s"));
        }
        Some(_) | None => sheet.field(0, "Status", phase),
    }
    sheet.field_if(0, "Reason", status.reason.as_ref());
    sheet.field_if(0, "Message", status.message.as_ref());
}

fn addresses(pod: &Pod, status: &PodStatus, sheet: &mut Sheet) {
    sheet.field(0, "IP", status.pod_ip.as_deref().unwrap_or_default());
    match status.pod_ips.as_deref().unwrap_or_default() {
        [] => sheet.field(0, "IPs", "<none>"),
        all => {
            sheet.line(0, "IPs:");
            all.iter().for_each(|one| sheet.field(1, "IP", &one.ip));
        }
    }
    metadata::controller(&pod.metadata, sheet);
}

pub(super) fn tolerations(level: usize, tolerations: &[Toleration], sheet: &mut Sheet) {
    let mut sorted: Vec<&Toleration> = tolerations.iter().collect();
    sorted.sort_by_key(|toleration| toleration.key.clone());
    let mut title = "Tolerations:";
    for toleration in sorted {
        let mut text = toleration.key.clone().unwrap_or_default();
        let given = |part: &Option<String>| part.clone().filter(|part| !part.is_empty());
        if let Some(value) = given(&toleration.value) {
            text.push_str(&format!("={value}"));
        } else if toleration.operator.as_deref() == Some("Exists") {
            let effect = given(&toleration.effect).map(|effect| format!(":{effect}")).unwrap_or_default();
            let gap = if text.is_empty() && effect.is_empty() { "" } else { " " };
            text = format!("{text}{effect}{gap}op=Exists");
        }
        if let Some(effect) = given(&toleration.effect)
            && !text.contains("op=Exists")
        {
            text.push_str(&format!(":{effect}"));
        }
        if let Some(seconds) = toleration.toleration_seconds {
            text.push_str(&format!(" for {seconds}s"));
        }
        sheet.line(level, format_args!("{title}\t{text}"));
        title = "";
    }
    if !title.is_empty() {
        sheet.line(level, format_args!("{title}\t<none>"));
    }
}
