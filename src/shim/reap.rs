//! Who it was that ended: a container, a probe or hook, a session, or a stranger left to this process as their subreaper.

use crate::sandbox::sys::reap;

use super::event_loop::Shim;
use super::{end, enter, handler, session};

/// Reaps every child that has ended. Strangers are reaped too: a leftover of a failed create that stayed a zombie
/// would keep its container's pid 1 from ever going away.
pub(super) fn reap_all(shim: &mut Shim) {
    // Only a missing child makes it fail, which means that there is none to reap.
    while let Ok(Some(pid)) = reap::unreaped() {
        // First, as long as numbers are still those of their processes: who has entered a container has ended, or what it
        // has left there has, and in which order they are told is by chance.
        handler::look(shim, pid);
        session::look(shim, pid);
        enter::look_at_stragglers(&mut shim.stragglers, pid);
        let Ok(Some(ended)) = reap::reap(pid) else { return };
        let container = shim.running.iter().find(|(_, running)| running.pid == ended.pid);
        if let Some(name) = container.map(|(name, _)| name.clone()) {
            end::of_run(shim, &name, &ended);
        } else if handler::ended(shim, &ended) {
            // Its verdict is on the way.
        } else if let Some(session) =
            shim.sessions.iter_mut().find(|session| session.pid() == Some(ended.pid))
        {
            session.ended(ended.code);
        }
    }
}
