//! Where a test makes this process fail, right after something has been done that whoever comes next has to finish or
//! undo. A build without the feature `failpoints`, such as every release, has nothing of it.
//!
//! The file `failpoint` of the state directory says what is to happen once, to the first process that gets there:
//! `kill`, `ENOSPC`, `EIO` or `delay`, and the boundary's name. It is read as a process starts, and gone once it has
//! been obeyed.

#[cfg(feature = "failpoints")]
pub(crate) use armed::{arm, reach};
#[cfg(not(feature = "failpoints"))]
pub(crate) use unarmed::{arm, reach};

#[cfg(not(feature = "failpoints"))]
mod unarmed {
    use std::io;
    use std::path::Path;

    pub(crate) const fn arm(_state: &Path) {}

    #[expect(clippy::unnecessary_wraps, reason = "with the feature it fails")]
    pub(crate) const fn reach(_boundary: &str) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;

    use rustix::event::{Timespec, poll};
    use rustix::io::Errno;
    use rustix::process::{Signal, getpid, kill_process};

    const DELAY: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

    static ORDER: OnceLock<Option<Order>> = OnceLock::new();

    #[derive(Debug)]
    struct Order {
        file: PathBuf,
        boundary: String,
        fault: Fault,
    }

    #[derive(Debug, Clone, Copy)]
    enum Fault {
        Kill,
        Error(Errno),
        Delay,
    }

    /// Looks whether this process is to fail somewhere.
    pub(crate) fn arm(state: &Path) {
        ORDER.get_or_init(|| read(state.join("failpoint")));
    }

    fn read(file: PathBuf) -> Option<Order> {
        let text = std::fs::read_to_string(&file).ok()?;
        let (fault, boundary) = text.trim().split_once(' ')?;
        let fault = match fault {
            "kill" => Fault::Kill,
            "ENOSPC" => Fault::Error(Errno::NOSPC),
            "EIO" => Fault::Error(Errno::IO),
            "delay" => Fault::Delay,
            _ => return None,
        };
        Some(Order { file, boundary: boundary.to_owned(), fault })
    }

    /// # Errors
    /// What was ordered for this boundary.
    pub(crate) fn reach(boundary: &str) -> io::Result<()> {
        let Some(Some(order)) = ORDER.get() else { return Ok(()) };
        // Whoever removes the order is the one that it is for.
        if order.boundary != boundary || std::fs::remove_file(&order.file).is_err() {
            return Ok(());
        }
        match order.fault {
            Fault::Kill => Ok(kill_process(getpid(), Signal::KILL)?),
            Fault::Error(error) => Err(error.into()),
            Fault::Delay => poll(&mut [], Some(&DELAY)).map(drop).map_err(io::Error::from),
        }
    }
}
