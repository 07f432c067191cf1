//! Two pieces of work at once, of which one mostly waits for the kernel.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};

/// Where no thread can be had, one after the other.
pub(crate) fn beside<A: Send, B>(one: impl Fn() -> A + Send + Sync, other: impl FnOnce() -> B) -> (A, B) {
    scope(|scope| match Builder::new().spawn_scoped(scope, &one) {
        Ok(thread) => {
            let other = other();
            (thread.join().unwrap_or_else(|panic| resume_unwind(panic)), other)
        }
        Err(_) => (one(), other()),
    })
}
