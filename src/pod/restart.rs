//! Whether a container runs again, and how long it rests before.

pub(super) use crate::model::back_off::{LASTING, delay, in_words};
use crate::model::pod_plan::{RestartPolicy, Role};

pub(crate) fn again(role: Role, policy: RestartPolicy, code: i32) -> bool {
    match (role, policy) {
        (Role::Sidecar, RestartPolicy::Always | RestartPolicy::OnFailure | RestartPolicy::Never)
        | (Role::App, RestartPolicy::Always) => true,
        (Role::Init, RestartPolicy::Always | RestartPolicy::OnFailure)
        | (Role::App, RestartPolicy::OnFailure) => code != 0,
        (Role::Init | Role::App, RestartPolicy::Never) => false,
    }
}
