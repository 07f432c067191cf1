//! How long tests wait, and how long that has been.

use std::time::{Duration, Instant};

/// Longest wait for a fact on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn deadline() -> Instant {
    after(PATIENCE)
}

pub(super) fn after(patience: Duration) -> Instant {
    now() + patience
}

pub(super) fn past(deadline: Instant) -> bool {
    now() > deadline
}

#[expect(clippy::disallowed_methods, reason = "a test has no loop that could hand it the time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets a moment pass that nothing tells of: where in somebody's course a signal is to hit.
#[expect(
    clippy::disallowed_methods,
    reason = "neither a random moment nor the pause between two looks is a fact that could be waited for"
)]
pub(crate) fn let_pass(moment: Duration) {
    std::thread::sleep(moment);
}

/// Between two looks at a fact, at least.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn pause() {
    let_pass(PAUSE);
}
