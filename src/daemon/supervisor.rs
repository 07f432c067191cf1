//! Whoever started the service, told how it is: datagrams to `$NOTIFY_SOCKET`, as sd_notify(3) has them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::model::time::Moment;
use crate::sandbox::sys::clock;

/// A supervisor that does not read keeps nobody waiting for longer.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the environment says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Invitation {
    /// `NOTIFY_SOCKET`
    pub(crate) socket: Option<OsString>,
    /// `WATCHDOG_USEC`
    pub(crate) watchdog: Option<String>,
    /// `WATCHDOG_PID`
    pub(crate) watchdog_pid: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Supervisor {
    socket: UnixDatagram,
    address: SocketAddr,
    /// Between two signs of life.
    beat: Option<Duration>,
    last_beat: Moment,
    status: String,
}

impl Supervisor {
    /// `None` if nobody wants to be told.
    pub(crate) fn meet(invitation: &Invitation) -> io::Result<Option<Supervisor>> {
        let Some(name) = invitation.socket.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let address = address(name)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let beat = beat(invitation, std::process::id());
        Ok(Some(Supervisor { socket, address, beat, last_beat: clock::boot(), status: String::new() }))
    }

    pub(crate) fn ready(&mut self) {
        self.tell("READY=1");
    }

    pub(crate) fn reloading(&mut self) {
        let at = clock::monotonic().as_micros();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={at}"));
    }

    pub(crate) fn stopping(&mut self) {
        self.tell("STOPPING=1");
    }

    /// One line for a person, told when it changes.
    pub(crate) fn status(&mut self, line: &str) {
        if self.status != line {
            line.clone_into(&mut self.status);
            self.tell(&format!("STATUS={line}"));
        }
    }

    /// Gives a sign of life if one is due; tells when the next is.
    pub(crate) fn beat(&mut self, now: Moment) -> Option<Moment> {
        let beat = self.beat?;
        if now - self.last_beat >= beat {
            self.last_beat = now;
            self.tell("WATCHDOG=1");
        }
        Some(self.last_beat + beat)
    }

    /// One that is gone is not missed: it starts another service, or none.
    fn tell(&mut self, state: &str) {
        if let Err(error) = self.socket.send_to_addr(state.as_bytes(), &self.address) {
            tracing::debug!(%error, state, "the service manager was not told");
        }
    }
}

/// `/path`, or `@name` for an abstract one.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a path nor an abstract name")),
    }
}

/// Half of what the watchdog allows, if it is meant for this process.
fn beat(invitation: &Invitation, own_pid: u32) -> Option<Duration> {
    let meant = invitation.watchdog_pid.as_ref().is_none_or(|pid| pid.parse() == Ok(own_pid));
    let allowed: u64 = invitation.watchdog.as_ref().filter(|_| meant)?.parse().ok()?;
    (allowed > 0).then(|| Duration::from_micros(allowed) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_come_twice_as_often_as_asked_and_only_from_who_is_meant() {
        let asked = |usec: &str, pid: Option<&str>| Invitation {
            watchdog: Some(usec.to_owned()),
            watchdog_pid: pid.map(str::to_owned),
            socket: None,
        };
        assert_eq!(beat(&asked("30000000", None), 7), Some(Duration::from_secs(15)));
        assert_eq!(beat(&asked("30000000", Some("7")), 7), Some(Duration::from_secs(15)));
        assert_eq!(beat(&asked("30000000", Some("8")), 7), None);
        for nothing in ["0", "", "soon"] {
            assert_eq!(beat(&asked(nothing, None), 7), None);
        }
    }

    #[test]
    fn sockets_have_paths_or_abstract_names() {
        assert!(address(OsStr::new("/run/systemd/notify")).unwrap().as_pathname().is_some());
        assert_eq!(address(OsStr::new("@a/b")).unwrap().as_abstract_name(), Some(&b"a/b"[..]));
        assert!(address(OsStr::new("vsock:2:1234")).is_err());
    }
}
