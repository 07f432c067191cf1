//! Pseudo-terminals, and the caller's own terminal while a session has it.
#![expect(unsafe_code, reason = "who controls a terminal, and who hears of its end, is not in rustix")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// The foreground process group hears of it by SIGWINCH.
pub(crate) fn set_size(terminal: impl AsFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}

/// Gives up this process's controlling terminal, on standard input, so that another session can have it.
pub(crate) fn give_up() -> io::Result<()> {
    // The group in the foreground hears of it by SIGHUP, and that is this process.
    // SAFETY: sets a disposition that runs no code; the number is a signal's that may be ignored.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    // SAFETY: a request without an argument.
    match unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCNOTTY) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A terminal in raw mode: each key goes through as it is. Dropping this puts the terminal back.
#[derive(Debug)]
pub(crate) struct RawMode<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> RawMode<'a> {
    pub(crate) fn enter(terminal: BorrowedFd<'a>) -> io::Result<RawMode<'a>> {
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw)?;
        Ok(RawMode { terminal, before })
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        // A terminal that has hung up has no mode to go back to.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    use rustix::termios::{LocalModes, tcgetwinsize};

    use super::*;

    #[test]
    fn a_terminal_is_raw_for_as_long_as_asked_and_has_the_size_it_is_given() {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        unlockpt(&master).unwrap();
        let terminal = ioctl_tiocgptpeer(&master, flags).unwrap();
        set_size(&master, 40, 132).unwrap();
        let size = tcgetwinsize(&terminal).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (40, 132));

        let echoes = || tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO);
        assert!(echoes());
        let raw = RawMode::enter(terminal.as_fd()).unwrap();
        assert!(!echoes());
        drop(raw);
        assert!(echoes());
    }
}
