//! The words of a pod's control socket, `<run-dir>/pods/<uid>/control.sock` (a stream socket, 0600).
//!
//! A caller sends one [`Request`] as a line of JSON with the descriptors it hands over (SCM_RIGHTS) on the first
//! byte. The pod process answers with [`Answer`]s, a line of JSON each; the terminal's master comes with
//! `Answer::Started`. The caller may send [`Request::Resize`] while its session lasts. A caller that goes away
//! ends what it has executed with SIGHUP.

use serde::{Deserialize, Serialize};

use super::goal::StopOrder;

/// Longest line either side accepts, in bytes.
pub(crate) const LINE_LIMIT: usize = 256 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Runs a command in a running container. Without a terminal the container's ends of stdin, stdout and
    /// stderr are handed over, in that order; with one, nothing is.
    Exec {
        container: String,
        argv: Vec<String>,
        terminal: Option<WindowSize>,
    },
    /// Looks on at a running container: the caller's ends of stdout and stderr are handed over, in that order, and
    /// the writing end of its input comes back with `Answer::Started` if it is wished for. The session ends with
    /// the container; a caller that goes away only detaches.
    Attach {
        container: String,
        input: InputWish,
        terminal: Option<WindowSize>,
    },
    /// What else stands in the goal, from who had no room to write it there. Nothing is answered.
    Stop(StopOrder),
    Resize(WindowSize),
    /// Sends a signal to the session's process.
    Signal(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum InputWish {
    None,
    Connect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WindowSize {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Started {
        pid: i32,
    },
    /// 128 + signal if a signal ended it. The last answer of a session.
    Ended {
        code: i32,
    },
    /// Nothing was done. The last answer of a session.
    Refused {
        why: String,
    },
}
