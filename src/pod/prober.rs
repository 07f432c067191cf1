//! One probe of one run of a container: when it is due, and when its results count.
//!
//! ```text
//!   Due ──when its time has come──► UnderWay ──result, or its timeout──► Due, a period after the last began
//!    └───────────── the result is settled, or nobody asks any more ─────────────► Over
//! ```

use std::time::Duration;

use crate::model::handler::{ProbeHandler, ProbePlan};
use crate::model::time::{Moment, Now};

/// A call has a timeout of its own and tells more of it than we could; this is for one that does not keep it.
const BEYOND_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    Success,
    Failure,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prober {
    turn: Turn,
    /// The last finding, and how often it has come in a row.
    row: Option<(Finding, u32)>,
    /// The last finding that came as often as its threshold says.
    pub(super) settled: Option<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Turn {
    Due(Moment),
    UnderWay { number: u32, until: Moment, next: Moment },
    Over,
}

impl Prober {
    pub(super) fn new(plan: &ProbePlan, since: Now) -> Prober {
        Prober { turn: Turn::Due(since.boot + plan.initial_delay), row: None, settled: None }
    }

    /// When time alone will change something about it.
    pub(super) fn due(&self) -> Option<Moment> {
        match self.turn {
            Turn::Due(at) | Turn::UnderWay { until: at, .. } => Some(at),
            Turn::Over => None,
        }
    }

    /// Whether it is to be run at this moment.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        match self.turn {
            Turn::Due(at) => at <= now,
            Turn::UnderWay { .. } | Turn::Over => false,
        }
    }

    pub(super) fn run(&mut self, plan: &ProbePlan, number: u32, now: Moment) {
        let patience = match plan.handler {
            ProbeHandler::Exec(_) => plan.timeout,
            ProbeHandler::Call(_) => plan.timeout + BEYOND_TIMEOUT,
        };
        self.turn = Turn::UnderWay { number, until: now + patience, next: now + plan.period };
    }

    /// The number of the run that has taken too long.
    pub(super) fn overdue(&self, now: Moment) -> Option<u32> {
        match self.turn {
            Turn::UnderWay { number, until, .. } => (until <= now).then_some(number),
            Turn::Due(_) | Turn::Over => None,
        }
    }

    /// The run of this number is over. Tells whether it was the one under way.
    pub(super) fn is_back(&mut self, number: u32) -> bool {
        match self.turn {
            Turn::UnderWay { number: known, next, .. } if known == number => {
                self.turn = Turn::Due(next);
                true
            }
            Turn::UnderWay { .. } | Turn::Due(_) | Turn::Over => false,
        }
    }

    /// Counts a finding; gives it back if it has come as often as it must.
    pub(super) fn count(&mut self, finding: Finding, plan: &ProbePlan) -> Option<Finding> {
        let times = match self.row {
            Some((last, times)) if last == finding => times.saturating_add(1),
            Some(_) | None => 1,
        };
        self.row = Some((finding, times));
        let threshold = match finding {
            Finding::Success => plan.success_threshold,
            Finding::Failure => plan.failure_threshold,
        };
        if times < threshold {
            return None;
        }
        self.settled = Some(finding);
        self.settled
    }

    /// Nobody asks any more until the next run of the container. The number of what is under way.
    pub(super) fn end(&mut self) -> Option<u32> {
        match std::mem::replace(&mut self.turn, Turn::Over) {
            Turn::UnderWay { number, .. } => Some(number),
            Turn::Due(_) | Turn::Over => None,
        }
    }
}
