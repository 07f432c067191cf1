//! What is due while the pod lives: init containers one by one, sidecars among them, then all app containers; runs
//! that follow a run; new images.

use std::rc::Rc;

use super::NEVER;
use super::container::{Container, Course};
use super::note::Out;

pub(super) fn advance(containers: &mut [Container], out: &mut Out) {
    let plan = Rc::clone(&out.plan);
    let kill_at = out.end_of_grace(None);
    for (container, plan) in containers.iter_mut().zip(plan.all_containers()) {
        container.renew(plan, kill_at, out);
        container.look_after(Course::Onwards, out);
        container.press(NEVER, out);
    }
    // Whatever has run comes before the first that holds the others up, so the loop reaches every run that is due.
    for (container, plan) in containers.iter_mut().zip(plan.all_containers()) {
        container.start(plan, out);
        if !container.lets_next_start() {
            break;
        }
    }
}
