//! Where libcontainer sends the master of a terminal that it made for a container, and the size of a terminal.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use oci_spec::runtime::Process;

use crate::paths::PodDir;
use crate::sandbox::sys::{pty, scm};

/// A socket that is gone with this.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) path: PathBuf,
    listener: UnixListener,
}

impl Console {
    pub(super) fn listen(pod: &PodDir) -> io::Result<Console> {
        let path = pod.0.join("console.sock");
        crate::publish::remove(&path)?;
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Console { path, listener })
    }

    /// To be called after the container was created: the master is in the socket's queue by then, or will never be.
    pub(super) fn master(&self) -> io::Result<OwnedFd> {
        let (stream, _) = self.listener.accept()?;
        let mut received = scm::receive(&stream, &mut [0; 4096])?;
        received
            .descriptors
            .pop()
            .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no terminal was sent"))
    }
}

/// Gives this process's terminal, which is made without a size, the one that is asked for.
pub(super) fn fit(process: &Process) {
    let size = process.console_size().filter(|_| process.terminal() == Some(true));
    let fits = |side: u64| u16::try_from(side).ok();
    if let Some((Some(rows), Some(columns))) = size.map(|size| (fits(size.height()), fits(size.width()))) {
        // A terminal of the wrong size is better than none.
        drop(pty::set_size(io::stdin(), rows, columns));
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // One that stays is replaced by the next, and goes with the pod's directory.
        drop(std::fs::remove_file(&self.path));
    }
}
