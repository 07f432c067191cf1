//! Whether a container runs again, and how long it rests before.

use std::time::Duration;

use crate::model::pod_plan::{RestartPolicy, Role};

/// A run this long makes the crashes before it forgotten.
pub(super) const LASTING: Duration = Duration::from_secs(600);

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

pub(super) fn again(role: Role, policy: RestartPolicy, code: i32) -> bool {
    match (role, policy) {
        (Role::Sidecar, RestartPolicy::Always | RestartPolicy::OnFailure | RestartPolicy::Never)
        | (Role::App, RestartPolicy::Always) => true,
        (Role::Init, RestartPolicy::Always | RestartPolicy::OnFailure)
        | (Role::App, RestartPolicy::OnFailure) => code != 0,
        (Role::Init | Role::App, RestartPolicy::Never) => false,
    }
}

/// After `crashes` failures in a row: none, 10 s, 20 s, 40 s and so on to 5 minutes.
pub(super) fn delay(crashes: u32) -> Duration {
    match crashes {
        0 | 1 => Duration::ZERO,
        more => FIRST.saturating_mul(1u32.checked_shl(more - 2).unwrap_or(u32::MAX)).min(LONGEST),
    }
}

/// As Go prints it, which kubelet's messages show: `40s`, `1m20s`, `5m0s`.
pub(super) fn in_words(delay: Duration) -> String {
    let seconds = delay.as_secs();
    match seconds / 60 {
        0 => format!("{seconds}s"),
        minutes => format!("{minutes}m{}s", seconds % 60),
    }
}
