//! What controllers know of their objects and cannot see in them: durable before anything reacts to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::indexes::Indexes;
use super::record::EventRecord;
use super::time::{Moment, Now, Timestamp};

/// `<state-dir>/objects/<uid>/job.json`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    pub(crate) format: u32,
    /// When it began to be active: its deadline counts from here.
    pub(crate) started: Option<Stamp>,
    /// Whether it was suspended when that was last looked at, once it has ever been.
    pub(crate) suspension: Option<Suspension>,
    /// Pods made so far; the next one's number.
    pub(crate) made: u64,
    /// Numbers of pods whose end is in the counts below.
    pub(crate) counted: Indexes,
    /// Of pods that the Job itself has told to go and does not count, such as those beyond its parallelism.
    #[serde(default, skip_serializing_if = "Indexes::is_empty")]
    pub(crate) dismissed: Indexes,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// Of an Indexed Job, in place of `succeeded`.
    pub(crate) completed: Indexes,
    pub(crate) failed_indexes: Indexes,
    /// With `backoffLimitPerIndex`: of indexes that have failed and are neither done nor given up.
    pub(crate) index_failures: BTreeMap<u64, Failures>,
    pub(crate) failures: Failures,
    /// Set once it is decided how the Job ends; its pods then go.
    pub(crate) verdict: Option<Verdict>,
    /// Set once it has ended and no pod of it is left.
    pub(crate) finished: Option<Stamp>,
    /// What of its spec may be edited after its end and has no effect then, as it was at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_with: Option<serde_json::Value>,
    pub(crate) events: Vec<EventRecord>,
}

/// Failures in a row, without a success between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failures {
    pub(crate) count: u32,
    /// Those of them that a policy says are not to count against a limit.
    #[serde(default)]
    pub(crate) ignored: u32,
    pub(crate) last: Option<Stamp>,
}

impl Failures {
    pub(crate) fn counted(&self) -> u32 {
        self.count.saturating_sub(self.ignored)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspension {
    pub(crate) state: SuspensionState,
    pub(crate) since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SuspensionState {
    Suspended,
    Resumed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) reason: JobEnd,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

/// Why a Job ends, in Kubernetes' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JobEnd {
    CompletionsReached,
    SuccessPolicy,
    BackoffLimitExceeded,
    DeadlineExceeded,
    PodFailurePolicy,
    FailedIndexes,
    MaxFailedIndexesExceeded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Success,
    Failure,
}

impl JobEnd {
    pub(crate) fn ending(self) -> Ending {
        match self {
            JobEnd::CompletionsReached | JobEnd::SuccessPolicy => Ending::Success,
            JobEnd::BackoffLimitExceeded
            | JobEnd::DeadlineExceeded
            | JobEnd::PodFailurePolicy
            | JobEnd::FailedIndexes
            | JobEnd::MaxFailedIndexesExceeded => Ending::Failure,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            JobEnd::CompletionsReached => "CompletionsReached",
            JobEnd::SuccessPolicy => "SuccessPolicy",
            JobEnd::BackoffLimitExceeded => "BackoffLimitExceeded",
            JobEnd::DeadlineExceeded => "DeadlineExceeded",
            JobEnd::PodFailurePolicy => "PodFailurePolicy",
            JobEnd::FailedIndexes => "FailedIndexes",
            JobEnd::MaxFailedIndexesExceeded => "MaxFailedIndexesExceeded",
        }
    }
}

impl JobRecord {
    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<Ending> {
        self.finished.as_ref()?;
        self.verdict.as_ref().map(|verdict| verdict.reason.ending())
    }
}

/// `<state-dir>/objects/<uid>/cronjob.json`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CronRecord {
    pub(crate) format: u32,
    /// The newest due time for which a Job was made. A Job that is in force may tell of a newer one: making it is
    /// what counts.
    pub(crate) last_schedule: Option<Timestamp>,
    /// Newest times served under clocks that showed a later date. They count again once the clock comes to them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) ahead: BTreeSet<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
    /// Names of Jobs that had not ended when they were last looked at, by the second that they were due at.
    #[serde(default)]
    pub(crate) active: BTreeMap<u64, String>,
    pub(crate) events: Vec<EventRecord>,
}

/// A moment that outlives a reboot, and within one is counted on the clock that nobody sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) wall: Timestamp,
    boot: Moment,
    boot_id: String,
}

/// The present, and the boot it is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present<'a> {
    pub(crate) now: Now,
    pub(crate) boot_id: &'a str,
}

impl Present<'_> {
    pub(crate) fn stamp(self) -> Stamp {
        Stamp { wall: self.now.wall, boot: self.now.boot, boot_id: self.boot_id.to_owned() }
    }

    /// How long `then` is ago.
    pub(crate) fn since(self, then: &Stamp) -> Duration {
        if then.boot_id == self.boot_id {
            return self.now.boot - then.boot;
        }
        Duration::try_from(self.now.wall.duration_since(then.wall)).unwrap_or_default()
    }

    /// What is left of `span`, counted from `then`; `None` if nothing is.
    pub(crate) fn left(self, then: &Stamp, span: Duration) -> Option<Duration> {
        span.checked_sub(self.since(then)).filter(|left| !left.is_zero())
    }
}
