//! Ends of processes, heard by their pidfds: of pods, whoever started them, and of pulls.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

#[derive(Debug)]
pub(crate) struct Ends {
    sender: mpsc::Sender<()>,
    heard: mpsc::Receiver<()>,
    watched: BTreeMap<i32, JoinHandle<()>>,
}

impl Ends {
    pub(crate) fn new() -> Ends {
        // Room for one: a second end before the next pass says nothing that the first did not.
        let (sender, heard) = mpsc::channel(1);
        Ends { sender, heard, watched: BTreeMap::new() }
    }

    /// A process that has ended already is heard at once; one that is gone is not heard, and not missed: the pass
    /// that asks has seen it.
    pub(crate) fn watch(&mut self, pids: impl Iterator<Item = i32>) {
        self.watched.retain(|_, task| !task.is_finished());
        pids.for_each(|pid| self.watch_one(pid));
    }

    fn watch_one(&mut self, pid: i32) {
        if self.watched.contains_key(&pid) {
            return;
        }
        let pidfd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok());
        let Some(Ok(pidfd)) = pidfd.map(registered) else { return };
        let sender = self.sender.clone();
        let task = tokio::spawn(async move {
            drop(pidfd.readable().await);
            let _ = sender.try_send(());
        });
        self.watched.insert(pid, task);
    }

    pub(crate) async fn next(&mut self) {
        // This value holds a sender, so the channel does not close.
        let _ = self.heard.recv().await;
    }
}

#[expect(
    deprecated,
    reason = "unsound for a type that can close or exchange its descriptor while registered; an OwnedFd cannot"
)]
fn registered(pidfd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}
