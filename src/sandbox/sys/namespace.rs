//! `unshare(2)`. Entering a namespace, `setns(2)`, is `rustix::thread::move_into_link_name_space`.
#![expect(unsafe_code, reason = "rustix calls unshare unsafe because of CLONE_FILES")]

use std::io;

use rustix::thread::UnshareFlags;

/// Gives the calling thread namespaces of its own. A shared descriptor table stays shared: `FILES` is left out.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    let flags = flags.difference(UnshareFlags::FILES);
    // SAFETY: the one danger is a thread that cannot see the descriptors of another, and FILES is not in `flags`.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}
