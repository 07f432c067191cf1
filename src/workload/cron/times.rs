//! When a CronJob is due.

use jiff::Zoned;
use jiff::tz::TimeZone;

use crate::api::{CronJob, ObjectMeta};
use crate::model::schedule::{Dst, Schedule, zone_named};
use crate::model::time::Timestamp;

/// Annotation on a CronJob: what daylight saving does to it.
const DST: &str = "droppod.dev/dst";

pub(super) fn dst(metadata: &ObjectMeta) -> Dst {
    match metadata.annotations.as_ref().and_then(|annotations| annotations.get(DST)).map(String::as_str) {
        Some("once") => Dst::Once,
        Some(_) | None => Dst::Kubernetes,
    }
}

/// The times after `after` at which a CronJob is due, in its time zone or in `zone`; none while it is suspended.
pub(crate) fn next_times(cron: &CronJob, after: Timestamp, zone: &TimeZone, count: usize) -> Vec<Zoned> {
    let Some(schedule) =
        Schedule::parse(&cron.spec.schedule).ok().filter(|_| cron.spec.suspend != Some(true))
    else {
        return Vec::new();
    };
    let named = cron.spec.time_zone.as_deref().and_then(zone_named);
    let (zone, dst) = (named.unwrap_or_else(|| zone.clone()), dst(&cron.metadata));
    let served = cron.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
    let served = served.or(cron.metadata.creation_timestamp.as_ref()).map_or(after, |time| time.0);
    let first = schedule.next(schedule.base(served, after), &zone, dst);
    let times = std::iter::successors(first, |time| schedule.next(*time, &zone, dst));
    times.take(count).map(|time| time.to_zoned(zone.clone())).collect()
}

/// The time after `after` at which a CronJob is due whose newest time was `served`, or which was made then; as
/// [`next_times`].
pub(crate) fn next_time(
    cron: &CronJob,
    served: Timestamp,
    after: Timestamp,
    zone: &TimeZone,
) -> Option<Timestamp> {
    let schedule = Schedule::parse(&cron.spec.schedule).ok().filter(|_| cron.spec.suspend != Some(true))?;
    let named = cron.spec.time_zone.as_deref().and_then(zone_named);
    let zone = named.unwrap_or_else(|| zone.clone());
    schedule.next(schedule.base(served, after), &zone, dst(&cron.metadata))
}
