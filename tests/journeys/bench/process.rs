//! Processes of a test: those that run beside it, and those that have ended.

use std::io::Read;
use std::process::{Child, Command, Output};
use std::time::Duration;

use super::clock::{PATIENCE, after, deadline, past, pause};

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A process of droppod that runs beside the test.
pub(crate) struct Running {
    pub(crate) child: Child,
}

impl Running {
    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGTERM, and the exit code it leads to.
    pub(crate) fn stop(mut self) -> i32 {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        let deadline = deadline();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(!past(deadline), "it does not stop");
            pause();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ran {
    pub(super) fn from(output: &Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Ran {
        assert_eq!(self.stdout, text, "stderr: {}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, part: &str) -> Ran {
        assert!(self.stdout.contains(part) || self.stderr.contains(part), "no {part:?} in {self:#?}");
        self
    }
}

pub(super) fn wait_with_deadline(child: Child, args: &[&str]) -> Output {
    wait_at_most(child, &format!("`droppod {}`", args.join(" ")), PATIENCE)
}

/// Reads what a child prints until it ends, and fails if it does not.
pub(crate) fn wait_at_most(mut child: Child, name: &str, patience: Duration) -> Output {
    fn reader(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            bytes
        })
    }
    let stdout = child.stdout.take().map(reader);
    let stderr = child.stderr.take().map(reader);
    let deadline = after(patience);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if past(deadline) {
            drop(child.kill());
            panic!("{name} does not end");
        }
        pause();
    };
    let read = |reader: Option<std::thread::JoinHandle<Vec<u8>>>| {
        reader.map(|reader| reader.join().unwrap()).unwrap_or_default()
    };
    Output { status, stdout: read(stdout), stderr: read(stderr) }
}
