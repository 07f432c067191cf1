//! Processes that this one has started, until they have ended and are reaped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::model::back_off;
use crate::model::id::Uid;
use crate::model::image::{Archive, PullRequest};
use crate::model::observed::Outlook;
use crate::model::time::Moment;
use crate::sandbox::spawn::Child;

/// Of what a child wrote, what is kept: its end.
const MESSAGE_LIMIT: u64 = 4096;
/// Exit code of a pull whose failure is final.
const NO_IMAGE: i32 = 13;

#[derive(Debug, Default)]
pub(crate) struct Children {
    pods: BTreeMap<Uid, Child>,
    pulls: BTreeMap<PullRequest, PullChild>,
    /// Archives that could not be loaded, and how often.
    unloaded: BTreeMap<Archive, (u32, Again)>,
}

/// When what has failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    At(Moment),
    /// Unless it changes.
    Never,
}

#[derive(Debug)]
struct PullChild {
    child: Child,
    /// What it writes: why it failed.
    output: File,
    since: Moment,
}

/// A pull that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EndedPull {
    pub(crate) request: PullRequest,
    pub(crate) failure: Option<PullFailure>,
    pub(crate) since: Moment,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PullFailure {
    pub(crate) message: String,
    pub(crate) outlook: Outlook,
}

impl Children {
    pub(crate) fn add_pod(&mut self, uid: &Uid, child: Child) {
        self.pods.insert(uid.clone(), child);
    }

    pub(crate) fn add_pull(&mut self, request: &PullRequest, child: Child, output: File, since: Moment) {
        self.pulls.insert(request.clone(), PullChild { child, output, since });
    }

    pub(crate) fn is_pulling(&self, request: &PullRequest) -> bool {
        self.pulls.contains_key(request)
    }

    /// Archives that are being loaded.
    pub(crate) fn loading(&self) -> impl Iterator<Item = &Archive> {
        self.pulls.keys().filter_map(|request| match request {
            PullRequest::Archive(archive) => Some(archive),
            PullRequest::Image(_) => None,
        })
    }

    /// Whether an archive could not be loaded, and nothing is to come of another try yet.
    pub(crate) fn could_not_load(&self, archive: &Archive, now: Moment) -> bool {
        self.unloaded.get(archive).is_some_and(|(_, again)| match again {
            Again::At(at) => now < *at,
            Again::Never => true,
        })
    }

    /// Notes that an archive could not be loaded.
    pub(super) fn note_unloaded(&mut self, archive: &Archive, outlook: Outlook, now: Moment) -> Again {
        let (tries, again) = self.unloaded.entry(archive.clone()).or_insert((0, Again::Never));
        *tries = tries.saturating_add(1);
        *again = match outlook {
            Outlook::MayPass => Again::At(now + back_off::delay(tries.saturating_add(1))),
            Outlook::Final => Again::Never,
        };
        *again
    }

    pub(crate) fn pulls(&self) -> usize {
        self.pulls.len()
    }

    pub(crate) fn pod_uids(&self) -> impl Iterator<Item = &Uid> {
        self.pods.keys()
    }

    /// Every child with a descriptor that tells of its end.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Child> {
        self.pods.values().chain(self.pulls.values().map(|pull| &pull.child))
    }

    /// Reaps what has ended, without waiting.
    pub(crate) fn reap(&mut self) -> Vec<EndedPull> {
        self.pods.retain(|_, child| ended(child).is_none());
        let mut done = Vec::new();
        self.pulls.retain(|request, pull| {
            let Some(end) = ended(&pull.child) else { return true };
            let outlook = match end {
                End::Exited(0) => None,
                End::Exited(NO_IMAGE) => Some(Outlook::Final),
                End::Exited(_) | End::Unknown => Some(Outlook::MayPass),
            };
            let failure =
                outlook.map(|outlook| PullFailure { message: message(&mut pull.output, end), outlook });
            done.push(EndedPull { request: request.clone(), failure, since: pull.since });
            false
        });
        done
    }

    /// Pulls are begun again by whoever wants the image next.
    pub(crate) fn end_pulls(&mut self) {
        for pull in self.pulls.values() {
            // One that has ended already cannot be signalled and need not be.
            let _ = pidfd_send_signal(&pull.child.pidfd, Signal::KILL);
            let _ = waitid(WaitId::PidFd(pull.child.pidfd.as_fd()), WaitIdOptions::EXITED);
        }
        self.pulls.clear();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Exited(i32),
    /// A signal, or the child was reaped by somebody else.
    Unknown,
}

fn ended(child: &Child) -> Option<End> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    match waitid(WaitId::PidFd(child.pidfd.as_fd()), options) {
        Ok(None) => None,
        Ok(Some(status)) => Some(status.exit_status().map_or(End::Unknown, End::Exited)),
        Err(rustix::io::Errno::INTR) => None,
        Err(_) => Some(End::Unknown),
    }
}

/// The end of what the pull wrote, on one line.
fn message(output: &mut File, end: End) -> String {
    let text = tail(output).unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match end {
        _ if !text.is_empty() => text,
        End::Exited(code) => format!("the pull ended with exit code {code}"),
        End::Unknown => "the pull was ended by a signal".to_owned(),
    }
}

pub(super) fn tail(output: &mut File) -> io::Result<String> {
    let size = output.metadata()?.len();
    output.seek(SeekFrom::Start(size.saturating_sub(MESSAGE_LIMIT)))?;
    let mut bytes = Vec::new();
    output.take(MESSAGE_LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
