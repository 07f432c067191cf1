//! What a process tells the kernel about itself. Capabilities, no_new_privs and the dumpable flag are
//! `rustix::thread` and `rustix::process`, safe as they are.

use std::io;

use rustix::process::{Pid, Signal};

/// Orphans below this process become its children: it hears of their end, and nothing escapes it.
pub(crate) fn become_subreaper() -> io::Result<()> {
    // The kernel takes any pid for yes.
    Ok(rustix::process::set_child_subreaper(Some(Pid::INIT))?)
}

/// SIGKILL to this process when the thread that made it ends. Lost when a set-user-ID program is executed or the
/// credentials change; does nothing if the parent has ended already, so look at `getppid` afterwards.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}
