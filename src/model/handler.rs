//! What probes and lifecycle hooks of a container do, when, and what came of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probes {
    pub(crate) startup: Option<ProbePlan>,
    pub(crate) liveness: Option<ProbePlan>,
    pub(crate) readiness: Option<ProbePlan>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbePlan {
    pub(crate) handler: ProbeHandler,
    /// From the container's start.
    pub(crate) initial_delay: Duration,
    pub(crate) timeout: Duration,
    /// From the begin of one probe to that of the next.
    pub(crate) period: Duration,
    pub(crate) success_threshold: u32,
    pub(crate) failure_threshold: u32,
    /// Of the container that it condemns, in place of the pod's.
    pub(crate) grace: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ProbeHandler {
    /// Program and arguments, run in the container.
    Exec(Vec<String>),
    Call(Call),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hooks {
    pub(crate) post_start: Option<Hook>,
    pub(crate) pre_stop: Option<Hook>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hook {
    Exec(Vec<String>),
    Call(Call),
    Sleep(Duration),
}

/// Something asked for over the pod's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Call {
    Http {
        scheme: Scheme,
        host: String,
        port: u16,
        /// With its query; as the author wrote it.
        path: String,
        headers: Vec<(String, String)>,
    },
    Tcp {
        host: String,
        port: u16,
    },
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        scheme: Scheme,
        host: String,
        port: u16,
        service: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// What a handler is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    PostStart,
    Probe(ProbeKind),
    PreStop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    pub(crate) const ALL: [ProbeKind; 3] = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProbeKind::Startup => "startup",
            ProbeKind::Liveness => "liveness",
            ProbeKind::Readiness => "readiness",
        })
    }
}

impl Probes {
    pub(crate) fn of(&self, kind: ProbeKind) -> Option<&ProbePlan> {
        match kind {
            ProbeKind::Startup => self.startup.as_ref(),
            ProbeKind::Liveness => self.liveness.as_ref(),
            ProbeKind::Readiness => self.readiness.as_ref(),
        }
    }
}

/// One run of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Errand {
    pub(crate) container: String,
    pub(crate) purpose: Purpose,
    /// Never used again for this container.
    pub(crate) number: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    /// Success, of which something is to be told.
    Warning(String),
    Failure(String),
    /// The handler could not be run: neither counts.
    Unknown(String),
}

/// What running a handler comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// In the container, confined as it is.
    Exec(Vec<String>),
    Call(CallOrder),
}

/// What `droppod probe` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CallOrder {
    pub(crate) call: Call,
    pub(crate) judged: Judged,
    /// None: as long as it takes.
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Judged {
    /// By what the answer says, as a probe.
    ByAnswer,
    /// By there being an answer, as a hook.
    ByArrival,
}
