//! Events as objects: what `get events`, `describe` and `events` show.

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{Object, ObjectMeta};
use crate::model::object::Known;
use crate::model::record::{EventKind, EventRecord};

use super::{Course, events};

/// Who tells events, as kubelet is for Kubernetes.
const TELLER: &str = "droppod";

/// Events of one object, the oldest first. `node` is the machine's name.
pub(crate) fn event_objects(known: &Known, course: &Course, node: &str) -> Vec<Event> {
    let events = events(course);
    events.into_iter().enumerate().map(|(at, event)| event_object(known, at, event, node)).collect()
}

fn event_object(known: &Known, at: usize, event: EventRecord, node: &str) -> Event {
    let key = &known.record.key;
    let (api_version, kind) = known.object.type_meta();
    let namespace = if key.namespace.is_empty() { "default" } else { &key.namespace };
    // Named by its beginning, as kubelet does it. Two that began at once differ by their places.
    let beginning = event.first.as_nanosecond().saturating_add(i128::try_from(at).unwrap_or_default());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{beginning:x}", key.name)),
            namespace: Some(namespace.to_owned()),
            creation_timestamp: Some(Time(event.first)),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(api_version.to_owned()),
            kind: Some(kind.to_owned()),
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            uid: Some(known.record.uid.to_string()),
            field_path: event.container.as_deref().map(|container| field_path(&known.object, container)),
            ..ObjectReference::default()
        },
        type_: Some(
            match event.kind {
                EventKind::Normal => "Normal",
                EventKind::Warning => "Warning",
            }
            .to_owned(),
        ),
        reason: Some(event.reason),
        message: Some(event.message),
        count: i32::try_from(event.count).ok(),
        first_timestamp: Some(Time(event.first)),
        last_timestamp: Some(Time(event.last)),
        source: Some(EventSource { component: Some(TELLER.to_owned()), host: Some(node.to_owned()) }),
        reporting_component: Some(TELLER.to_owned()),
        reporting_instance: Some(node.to_owned()),
        ..Event::default()
    }
}

fn field_path(object: &Object, container: &str) -> String {
    let init = match object {
        Object::Pod(pod) => pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()),
        Object::ConfigMap(_)
        | Object::Secret(_)
        | Object::Namespace(_)
        | Object::Job(_)
        | Object::CronJob(_)
        | Object::Unserved { .. } => None,
    };
    let is_init = init.unwrap_or_default().iter().any(|known| known.name == container);
    let list = if is_init { "initContainers" } else { "containers" };
    format!("spec.{list}{{{container}}}")
}
