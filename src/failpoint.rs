//! Where a test makes this process fail, right after something has been done that whoever comes next has to finish or
//! undo. A build without the feature `failpoints` or without debug assertions, such as every release, has nothing of it:
//! `cargo test --release` leaves its binary where a release lies, too.
//!
//! The file `failpoint` of the state directory says what is to happen once, to the first process that gets there:
//! `kill`, `ENOSPC`, `EIO` or `delay`, which time in that process, and the boundary's name, as in
//! `kill 3 state published`. It is read as a process starts, and gone as soon as it is obeyed; while somebody is late,
//! `late` beside it has its process id.

#[cfg(all(feature = "failpoints", debug_assertions))]
pub(crate) use armed::{arm, pass, reach, reach_of};
#[cfg(not(all(feature = "failpoints", debug_assertions)))]
pub(crate) use unarmed::{arm, pass, reach, reach_of};

#[cfg(not(all(feature = "failpoints", debug_assertions)))]
mod unarmed {
    use std::ffi::OsStr;
    use std::io;
    use std::path::Path;

    pub(crate) const fn arm(_state: &Path) {}

    #[expect(clippy::unnecessary_wraps, reason = "with the feature it fails")]
    pub(crate) const fn reach(_boundary: &str) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "with the feature it fails")]
    pub(crate) const fn reach_of(_boundary: &str, _name: &OsStr) -> io::Result<()> {
        Ok(())
    }

    pub(crate) const fn pass(_boundary: &str) {}
}

#[cfg(all(feature = "failpoints", debug_assertions))]
mod armed {
    use std::ffi::OsStr;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::io::{Errno, retry_on_intr};
    use rustix::process::{Signal, getpid, kill_process};
    use rustix::thread::{ClockId, clock_nanosleep_absolute};
    use rustix::time::clock_gettime;

    /// In seconds. Nobody is told to stop and on time for that.
    const DELAY: i64 = 5;

    static ORDER: OnceLock<Option<Order>> = OnceLock::new();

    #[derive(Debug)]
    struct Order {
        file: PathBuf,
        boundary: String,
        fault: Fault,
        /// How often this process is to get there yet.
        ahead: AtomicU32,
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
        let (fault, rest) = text.trim().split_once(' ')?;
        let (ordinal, boundary) = rest.split_once(' ')?;
        let fault = match fault {
            "kill" => Fault::Kill,
            "ENOSPC" => Fault::Error(Errno::NOSPC),
            "EIO" => Fault::Error(Errno::IO),
            "delay" => Fault::Delay,
            _ => return None,
        };
        let ahead = AtomicU32::new(ordinal.parse().ok()?);
        Some(Order { file, boundary: boundary.to_owned(), fault, ahead })
    }

    /// # Errors
    /// What was ordered for this boundary.
    pub(crate) fn reach(boundary: &str) -> io::Result<()> {
        match ORDER.get() {
            Some(Some(order)) if order.boundary == boundary => order.obey(),
            Some(_) | None => Ok(()),
        }
    }

    /// A boundary for each of many of a kind: `draft of goal.json`.
    ///
    /// # Errors
    /// What was ordered for this boundary.
    pub(crate) fn reach_of(boundary: &str, name: &OsStr) -> io::Result<()> {
        let named =
            |order: &Order| order.boundary.strip_prefix(boundary).map(str::trim_start) == name.to_str();
        match ORDER.get() {
            Some(Some(order)) if named(order) => order.obey(),
            Some(_) | None => Ok(()),
        }
    }

    /// As [`reach`] where nothing can fail: only a kill or a delay is of use.
    pub(crate) fn pass(boundary: &str) {
        drop(reach(boundary));
    }

    impl Order {
        fn obey(&self) -> io::Result<()> {
            let late = self.file.with_file_name("late");
            // Whoever takes the order away is the one that it is for.
            if self.ahead.fetch_sub(1, Ordering::Relaxed) != 1 || std::fs::rename(&self.file, &late).is_err()
            {
                return Ok(());
            }
            if matches!(self.fault, Fault::Delay) {
                std::fs::write(&late, getpid().as_raw_pid().to_string())?;
                let mut end = clock_gettime(rustix::time::ClockId::Monotonic);
                end.tv_sec += DELAY;
                retry_on_intr(|| clock_nanosleep_absolute(ClockId::Monotonic, &end))?;
            }
            std::fs::remove_file(&late)?;
            match self.fault {
                Fault::Kill => Ok(kill_process(getpid(), Signal::KILL)?),
                Fault::Error(error) => Err(error.into()),
                Fault::Delay => Ok(()),
            }
        }
    }
}
