//! Which columns each kind has, and what stands in them: all of it read from the object alone.

use std::time::Duration;

use k8s_openapi::api::batch::v1::JobStatus;
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use crate::api::{CronJob, Job, JobSpec, KindName, Pod};
use crate::cli::print::resource_name;
use crate::cli::table::cell;
use crate::model::time::Timestamp;
use crate::status::{age, completions, job_word, ready_column, restarts_column, status_word};

#[cfg(test)]
mod tests;

/// The columns of one kind of table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) kind: &'static KindName,
    pub(super) extras: Vec<Extra>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extra {
    Namespace,
    /// `pod/web` in place of `web`.
    KindPrefix,
    Wide,
    /// A column for this label.
    Label(String),
    Labels,
}

/// What a kind's table shows. A kind that is not listed has a name and an age.
struct Table {
    kind: &'static str,
    headers: &'static [&'static str],
    wide: &'static [&'static str],
    cells: fn(&Value, Timestamp) -> Cells,
}

/// Beside the name, which is the first of each table but that of events.
#[derive(Default)]
struct Cells {
    own: Vec<String>,
    wide: Vec<String>,
}

const TABLES: &[Table] = &[
    Table {
        kind: "Pod",
        headers: &["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
        wide: &["IP", "NODE", "NOMINATED NODE", "READINESS GATES"],
        cells: pod,
    },
    Table {
        kind: "Job",
        headers: &["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"],
        wide: &["CONTAINERS", "IMAGES", "SELECTOR"],
        cells: job,
    },
    Table {
        kind: "CronJob",
        headers: &["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE", "AGE"],
        wide: &["CONTAINERS", "IMAGES", "SELECTOR"],
        cells: cron_job,
    },
    Table { kind: "ConfigMap", headers: &["NAME", "DATA", "AGE"], wide: &[], cells: config_map },
    Table { kind: "Secret", headers: &["NAME", "TYPE", "DATA", "AGE"], wide: &[], cells: secret },
    Table { kind: "Namespace", headers: &["NAME", "STATUS", "AGE"], wide: &[], cells: namespace },
];

const OTHER: Table = Table { kind: "", headers: &["NAME", "AGE"], wide: &[], cells: other };

const EVENT: &[&str] = &["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
const EVENT_WIDE: &[&str] = &[
    "LAST SEEN",
    "TYPE",
    "REASON",
    "OBJECT",
    "SUBOBJECT",
    "SOURCE",
    "MESSAGE",
    "FIRST SEEN",
    "COUNT",
    "NAME",
];

impl Layout {
    fn has(&self, extra: &Extra) -> bool {
        self.extras.contains(extra)
    }

    fn table(&self) -> &'static Table {
        TABLES.iter().find(|table| table.kind == self.kind.kind).unwrap_or(&OTHER)
    }

    fn is_of_events(&self) -> bool {
        self.kind.kind == "Event"
    }

    /// What this table shows besides the kind's own columns goes around them.
    fn frame(
        &self,
        namespace: &str,
        own: Vec<String>,
        extra: impl Fn(&Extra) -> Option<String>,
    ) -> Vec<String> {
        let mut row = Vec::new();
        if self.has(&Extra::Namespace) {
            row.push(namespace.to_owned());
        }
        row.extend(own);
        row.extend(self.extras.iter().filter_map(extra));
        row
    }
}

pub(super) fn header(layout: &Layout) -> Vec<String> {
    let table = layout.table();
    let wide = layout.has(&Extra::Wide);
    let words: Vec<&str> = match (layout.is_of_events(), wide) {
        (true, true) => EVENT_WIDE.to_vec(),
        (true, false) => EVENT.to_vec(),
        (false, true) => table.headers.iter().chain(table.wide).copied().collect(),
        (false, false) => table.headers.to_vec(),
    };
    layout.frame("NAMESPACE", words.into_iter().map(str::to_owned).collect(), |extra| match extra {
        // The last part of a label's name says which it is.
        Extra::Label(key) => Some(key.rsplit('/').next().unwrap_or(key).to_uppercase()),
        Extra::Labels => Some("LABELS".to_owned()),
        Extra::Namespace | Extra::KindPrefix | Extra::Wide => None,
    })
}

pub(super) fn row(layout: &Layout, object: &Value, now: Timestamp) -> Vec<String> {
    let wide = layout.has(&Extra::Wide);
    let own = if layout.is_of_events() {
        event(object, wide, now)
    } else {
        let name = if layout.has(&Extra::KindPrefix) {
            resource_name(object)
        } else {
            text(object, "/metadata/name")
        };
        let mut cells = (layout.table().cells)(object, now);
        let mut own = vec![name];
        own.append(&mut cells.own);
        if wide {
            own.append(&mut cells.wide);
        }
        own
    };
    let namespace = text(object, "/metadata/namespace");
    let row = layout.frame(&namespace, own, |extra| match extra {
        Extra::Label(key) => Some(label(object, key)),
        Extra::Labels => Some(labels(object)),
        Extra::Namespace | Extra::KindPrefix | Extra::Wide => None,
    });
    row.iter().map(|text| cell(text)).collect()
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn entries(object: &Value, pointer: &str) -> usize {
    object.pointer(pointer).and_then(Value::as_object).map_or(0, serde_json::Map::len)
}

fn or_none(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "<none>".to_owned())
}

/// How long ago that was; nothing is younger than now though the clock was set back.
fn since(time: Option<Timestamp>, now: Timestamp) -> String {
    let known = |time| age(Duration::try_from(now.duration_since(time)).unwrap_or_default());
    time.map_or_else(|| "<unknown>".to_owned(), known)
}

fn lived(object: &Value, now: Timestamp) -> String {
    since(text(object, "/metadata/creationTimestamp").parse().ok(), now)
}

fn pod(object: &Value, now: Timestamp) -> Cells {
    let Ok(pod) = serde_json::from_value::<Pod>(object.clone()) else { return other(object, now) };
    let status = pod.status.as_ref();
    let own = vec![ready_column(&pod), status_word(&pod), restarts_column(&pod, now), lived(object, now)];
    let wide = vec![
        or_none(status.and_then(|status| status.pod_ip.clone())),
        or_none(pod.spec.as_ref().and_then(|spec| spec.node_name.clone())),
        or_none(status.and_then(|status| status.nominated_node_name.clone())),
        readiness_gates(&pod),
    ];
    Cells { own, wide }
}

/// `1/2`: gates whose condition holds, of all.
fn readiness_gates(pod: &Pod) -> String {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_deref()).unwrap_or_default();
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let holds = |type_: &str| {
        conditions.iter().any(|condition| condition.type_ == type_ && condition.status == "True")
    };
    match gates {
        [] => "<none>".to_owned(),
        gates => {
            let met = gates.iter().filter(|gate| holds(&gate.condition_type)).count();
            format!("{met}/{}", gates.len())
        }
    }
}

fn job(object: &Value, now: Timestamp) -> Cells {
    let Ok(job) = serde_json::from_value::<Job>(object.clone()) else { return other(object, now) };
    let nothing = JobStatus::default();
    let status = job.status.as_ref().unwrap_or(&nothing);
    let deleted_at = job.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let until = status.completion_time.as_ref().map_or(now, |time| time.0);
    let duration = status.start_time.as_ref().map(|time| since(Some(time.0), until)).unwrap_or_default();
    let word = job_word(deleted_at, status).to_owned();
    let own = vec![word, completions(&job, status), duration, lived(object, now)];
    let selector = format!("batch.kubernetes.io/controller-uid={}", text(object, "/metadata/uid"));
    Cells { own, wide: of_template(job.spec.as_ref(), selector) }
}

fn cron_job(object: &Value, now: Timestamp) -> Cells {
    let Ok(cron) = serde_json::from_value::<CronJob>(object.clone()) else { return other(object, now) };
    let status = cron.status.unwrap_or_default();
    let last = status.last_schedule_time.map(|time| since(Some(time.0), now));
    let suspend = if cron.spec.suspend == Some(true) { "True" } else { "False" };
    let own = vec![
        cron.spec.schedule,
        or_none(cron.spec.time_zone),
        suspend.to_owned(),
        status.active.map_or(0, |active| active.len()).to_string(),
        or_none(last),
        lived(object, now),
    ];
    Cells { own, wide: of_template(cron.spec.job_template.spec.as_ref(), or_none(None)) }
}

/// What the pods of a Job run.
fn of_template(job: Option<&JobSpec>, selector: String) -> Vec<String> {
    let spec = job.and_then(|job| job.template.spec.as_ref());
    let containers = || spec.into_iter().flat_map(|spec| &spec.containers);
    let names: Vec<&str> = containers().map(|container| container.name.as_str()).collect();
    let images: Vec<&str> = containers().filter_map(|container| container.image.as_deref()).collect();
    vec![names.join(","), images.join(","), selector]
}

fn config_map(object: &Value, now: Timestamp) -> Cells {
    let entries = entries(object, "/data") + entries(object, "/binaryData");
    Cells { own: vec![entries.to_string(), lived(object, now)], ..Cells::default() }
}

fn secret(object: &Value, now: Timestamp) -> Cells {
    let kind = Some(text(object, "/type")).filter(|kind| !kind.is_empty());
    let kind = kind.unwrap_or_else(|| "Opaque".to_owned());
    let own = vec![kind, entries(object, "/data").to_string(), lived(object, now)];
    Cells { own, ..Cells::default() }
}

fn namespace(object: &Value, now: Timestamp) -> Cells {
    Cells { own: vec![or_none(Some(text(object, "/status/phase"))), lived(object, now)], ..Cells::default() }
}

fn other(object: &Value, now: Timestamp) -> Cells {
    Cells { own: vec![lived(object, now)], ..Cells::default() }
}

fn event(object: &Value, wide: bool, now: Timestamp) -> Vec<String> {
    let Ok(event) = serde_json::from_value::<Event>(object.clone()) else { return Vec::new() };
    let involved = &event.involved_object;
    let kind = involved.kind.as_deref().unwrap_or_default().to_lowercase();
    let about = format!("{kind}/{}", involved.name.as_deref().unwrap_or_default());
    let last = event.last_timestamp.as_ref().or(event.first_timestamp.as_ref()).map(|time| time.0);
    let type_ = event.type_.clone().unwrap_or_default();
    let mut row = vec![since(last, now), type_, event.reason.clone().unwrap_or_default(), about];
    let message = event.message.as_deref().unwrap_or_default().trim().to_owned();
    if wide {
        let source = event.source.unwrap_or_default();
        let parts = [source.component, source.host];
        let source: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let first = event.first_timestamp.as_ref().map(|time| time.0);
        row.extend([involved.field_path.clone().unwrap_or_default(), source.join(", "), message]);
        row.extend([since(first, now), event.count.unwrap_or(1).to_string()]);
        row.push(event.metadata.name.unwrap_or_default());
    } else {
        row.push(message);
    }
    row
}

fn label(object: &Value, key: &str) -> String {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    labels.and_then(|labels| labels.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn labels(object: &Value) -> String {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let pairs: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    or_none(Some(pairs.join(",")))
}
