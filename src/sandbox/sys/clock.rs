//! The two clocks. Only loops read them; thinking is handed a `Now`.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::model::time::{Moment, Now};

pub(crate) fn now() -> Now {
    Now { wall: wall(), boot: boot() }
}

pub(crate) fn boot() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    Moment(Duration::new(time.tv_sec.unsigned_abs(), nanos(&time)))
}

/// The clock that service managers count in.
pub(crate) fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec.unsigned_abs(), nanos(&time))
}

pub(crate) fn wall() -> Timestamp {
    let time = clock_gettime(ClockId::Realtime);
    let nanos = i32::try_from(time.tv_nsec).expect("tv_nsec is below 1_000_000_000");
    // Outside of years -9999 to 9999 only if the clock was set so: the epoch is as good an answer.
    Timestamp::new(time.tv_sec, nanos).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn nanos(time: &Timespec) -> u32 {
    u32::try_from(time.tv_nsec).expect("tv_nsec is below 1_000_000_000")
}
