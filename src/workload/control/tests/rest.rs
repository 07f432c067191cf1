//! Who is not looked at. That nothing is missed by it, all laws show: each of their passes is compared with a look at all.

use serde_json::{Value, json};

use super::world::{Ends, World, job_spec, merge, uid};

/// A CronJob that is suspended and a Job that has ended.
fn idle(job: Value) -> World {
    let mut world = World::job(job);
    let spec =
        json!({"schedule": "* * * * *", "suspend": true, "jobTemplate": {"spec": job_spec(json!({}))}});
    world.declare(2, "CronJob", "tick", json!({}), spec);
    world.settle().end_all(Ends::With(0)).settle();
    assert!(world.ended().is_some());
    world.pass();
    world
}

#[test]
fn what_is_suspended_or_has_ended_is_looked_at_no_more() {
    let mut world = idle(json!({}));
    assert!(world.due().is_empty());
    assert!(world.wait(1_000_000).due().is_empty());
}

#[test]
fn an_edit_has_that_alone_looked_at_which_is_edited() {
    let mut world = idle(json!({}));
    world.edit(2, json!({"suspend": false}));
    assert_eq!(world.due(), [uid(2)].into());
    world.pass();
    world.pass();
    assert!(world.due().is_empty(), "its next time is not due yet");
    world.wait(60);
    assert_eq!(world.due(), [uid(2)].into());
    assert_eq!((world.pass() > 0, world.active().len()), (true, 0));
    world.settle();
    assert!(world.due().contains(&uid(2)), "its Job goes on");
}

#[test]
fn a_job_that_is_to_go_is_looked_at_when_its_time_is_over() {
    let mut spec = json!({});
    merge(&mut spec, json!({"ttlSecondsAfterFinished": 100}));
    let mut world = idle(spec);
    assert!(world.wait(99).due().is_empty());
    assert_eq!(world.wait(1).due(), [uid(1)].into());
    world.settle();
    assert!(world.active().is_empty());
}

#[test]
fn a_clock_that_is_set_has_all_looked_at() {
    let mut world = idle(json!({}));
    world.wall += std::time::Duration::from_secs(1);
    assert_eq!(world.due(), [uid(1), uid(2)].into());
}
