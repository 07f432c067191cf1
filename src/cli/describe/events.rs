//! The table of events at the end of a description.

use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::model::time::Timestamp;
use crate::status::age;

use super::sheet::Sheet;

pub(super) fn describe(events: &[Event], now: Timestamp, sheet: &mut Sheet) {
    if events.is_empty() {
        sheet.line(0, "Events:\t<none>");
        return;
    }
    sheet.part();
    sheet.line(0, "Events:");
    sheet.line(1, "Type\tReason\tAge\tFrom\tMessage");
    sheet.line(1, "----\t------\t----\t----\t-------");
    for event in events {
        let (type_, reason) = (event.type_.as_deref(), event.reason.as_deref());
        let from = event.source.as_ref().and_then(|source| source.component.as_deref());
        let message = event.message.as_deref().unwrap_or_default().trim();
        sheet.line(
            1,
            format_args!(
                "{}\t{}\t{}\t{}\t{message}",
                type_.unwrap_or_default(),
                reason.unwrap_or_default(),
                interval(event, now),
                from.unwrap_or_default(),
            ),
        );
    }
}

/// `5m`, or `10s (x4 over 5m)` if it came more than once.
pub(crate) fn interval(event: &Event, now: Timestamp) -> String {
    let first = since(event.first_timestamp.as_ref(), now);
    match event.count {
        Some(count) if count > 1 => {
            format!("{} (x{count} over {first})", since(event.last_timestamp.as_ref(), now))
        }
        Some(_) | None => first,
    }
}

pub(super) fn since(time: Option<&Time>, now: Timestamp) -> String {
    match time {
        Some(time) => age(Duration::try_from(now.duration_since(time.0)).unwrap_or_default()),
        None => "<unknown>".to_owned(),
    }
}
