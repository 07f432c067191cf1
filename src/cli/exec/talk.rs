//! One conversation over a pod's control socket: lines of JSON, descriptors beside them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{Mode, OFlags};

use crate::paths::PodDir;
use crate::rundir::control::{Answer, LINE_LIMIT, Request};
use crate::sandbox::sys::scm;

pub(in crate::cli) struct Talk {
    socket: UnixStream,
    inbox: Vec<u8>,
    answers: VecDeque<Answer>,
    descriptors: Vec<OwnedFd>,
}

impl Talk {
    pub(in crate::cli) fn open(pod: &PodDir) -> io::Result<Talk> {
        // A socket's path may have 108 bytes; through the directory's descriptor it is short, whatever --run-dir is.
        let directory = rustix::fs::open(&pod.0, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let name = pod.socket();
        let name = name.file_name().expect("the socket's path ends in its name");
        let path = std::path::Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        let socket = UnixStream::connect(path)?;
        Ok(Talk { socket, inbox: Vec::new(), answers: VecDeque::new(), descriptors: Vec::new() })
    }

    pub(in crate::cli) fn ask(
        &mut self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        if line.len() > LINE_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is longer than 256 KiB"));
        }
        let mut sent = scm::send(&self.socket, &line, descriptors)?;
        while sent < line.len() {
            sent += scm::send(&self.socket, &line[sent..], &[])?;
        }
        Ok(())
    }

    /// Takes in what has come; blocks if nothing has.
    pub(in crate::cli) fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let received = scm::receive(&self.socket, &mut buffer)?;
        if received.bytes == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the pod process has gone"));
        }
        self.descriptors.extend(received.descriptors);
        self.inbox.extend_from_slice(&buffer[..received.bytes]);
        while let Some(end) = self.inbox.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.inbox.drain(..=end).collect();
            self.answers.push_back(serde_json::from_slice(&line)?);
        }
        if self.inbox.len() > LINE_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer is longer than agreed"));
        }
        Ok(())
    }

    pub(in crate::cli) fn next(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// Blocks until an answer has come.
    pub(in crate::cli) fn wait(&mut self) -> io::Result<Answer> {
        loop {
            if let Some(answer) = self.next() {
                return Ok(answer);
            }
            self.receive()?;
        }
    }

    /// A descriptor that came with an answer.
    pub(in crate::cli) fn descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop()
    }
}

impl AsFd for Talk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
