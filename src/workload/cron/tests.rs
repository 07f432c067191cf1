//! The cases of Kubernetes' own tests of CronJobs, those named `should_…` by its names, and clocks that go wrong.

use serde_json::{Value, json};

use crate::api::Object;
use crate::model::id::Uid;
use crate::model::object::Known;
use crate::workload::control::tests::world::{Ends, World, job_spec, merge, uid};

fn cron(more: Value) -> World {
    cron_with(json!({}), more)
}

fn cron_with(metadata: Value, more: Value) -> World {
    let mut world = World::at("2026-05-04T12:00:30Z");
    let mut spec = json!({"schedule": "*/5 * * * *", "jobTemplate": {"spec": job_spec(json!({}))}});
    merge(&mut spec, more);
    world.declare(1, "CronJob", "tick", metadata, spec);
    world.settle();
    world
}

/// Jobs that are there and not told to go, the oldest first.
fn jobs(world: &World) -> Vec<&Known> {
    let mut jobs: Vec<&Known> = world
        .objects
        .values()
        .filter(|known| matches!(*known.object, Object::Job(_)) && known.record.deletion.is_none())
        .collect();
    jobs.sort_by_key(|known| known.record.owner.as_ref().map(|owner| owner.number));
    jobs
}

fn due(world: &World) -> Vec<String> {
    let scheduled = "batch.kubernetes.io/cronjob-scheduled-timestamp";
    jobs(world)
        .iter()
        .map(|job| job.object.metadata().annotations.as_ref().unwrap()[scheduled].clone())
        .collect()
}

/// Messages of the CronJob's events of a reason.
fn told(world: &World, reason: &str) -> Vec<String> {
    let events = world.controlled.crons[&uid(1)].events.iter();
    events.filter(|event| event.reason == reason).map(|event| event.message.clone()).collect()
}

/// The name of the Job that was due then.
fn minute_name(due: &str) -> String {
    format!("tick-{}", due.parse::<crate::model::time::Timestamp>().unwrap().as_second() / 60)
}

fn names(world: &World) -> Vec<String> {
    jobs(world).iter().map(|job| job.record.key.name.clone()).collect()
}

#[test]
fn a_job_is_made_each_time_that_is_due() {
    let mut world = cron(json!({}));
    assert!(jobs(&world).is_empty());
    assert_eq!(world.wake_in.map(|wait| wait.as_secs()), Some(270));
    world.wait(269).settle();
    assert!(jobs(&world).is_empty());
    world.wait(1).settle();
    assert_eq!(due(&world), ["2026-05-04T12:05:00Z"]);
    // The minute it was due at is in its name.
    assert_eq!(names(&world), [format!("tick-{}", world.wall.as_second() / 60)]);
    world.wait(299).settle();
    assert_eq!(jobs(&world).len(), 1);
}

#[test]
fn should_schedule_multiple_jobs_concurrently() {
    let mut world = cron(json!({}));
    world.wait(270).settle().wait(300).settle();
    assert_eq!((jobs(&world).len(), world.active().len()), (2, 2));
}

#[test]
fn should_not_schedule_jobs_when_suspended() {
    let mut world = cron(json!({"suspend": true}));
    world.wait(86_400).settle();
    assert_eq!((world.made.len(), world.wake_in), (0, None));
}

#[test]
fn should_not_schedule_new_jobs_when_forbid_concurrent() {
    let mut world = cron(json!({"concurrencyPolicy": "Forbid"}));
    world.wait(270).settle().wait(300).settle();
    assert_eq!(due(&world), ["2026-05-04T12:05:00Z"]);
    world.wait(60).end_all(Ends::With(0)).settle();
    assert_eq!(due(&world), ["2026-05-04T12:05:00Z", "2026-05-04T12:10:00Z"]);
    assert_eq!(told(&world, "JobAlreadyActive").len(), 1);
}

#[test]
fn what_stands_in_the_way_of_a_job_is_told_once() {
    let mut world = cron(json!({"schedule": "* * * * *", "concurrencyPolicy": "Forbid"}));
    world.wait(60).settle().wait(86_400).settle();
    assert_eq!((told(&world, "JobAlreadyActive").len(), told(&world, "TooManyMissedTimes").len()), (1, 1));
    assert!(world.steps().steps.is_empty());
    world.end_all(Ends::With(0)).settle();
    assert_eq!(jobs(&world).len(), 2);
}

#[test]
fn should_replace_jobs_when_replace_concurrent() {
    let mut world = cron(json!({"concurrencyPolicy": "Replace"}));
    world.wait(270).settle();
    let pod = world.active()[0].clone();
    world.wait(300).settle();
    assert_eq!(due(&world), ["2026-05-04T12:10:00Z"]);
    assert!(world.active().len() == 1 && world.active()[0] != pod);
    assert_eq!(
        told(&world, "SuccessfulDelete"),
        [format!("Deleted job {}", minute_name("2026-05-04T12:05:00Z"))]
    );
    assert!(told(&world, "MissingJob").is_empty());
}

#[test]
fn the_last_is_replaced_also_by_a_job_of_a_watcher_that_died_right_after_it_had_made_it() {
    let mut world = cron(json!({"concurrencyPolicy": "Replace"}));
    world.wait(270).settle().wait(300);
    let make = world.steps().steps.into_iter().next().unwrap();
    assert!(matches!(make, crate::model::control::Step::Make(_)));
    world.take(make);
    world.settle();
    assert_eq!(due(&world), ["2026-05-04T12:10:00Z"]);
    assert_eq!(world.active().len(), 1);
}

#[test]
fn should_be_able_to_schedule_after_more_than_100_missed_schedule() {
    let mut world = cron(json!({}));
    world.wait(100 * 86_400).settle();
    assert_eq!(jobs(&world).len(), 1);
    assert_eq!(told(&world, "TooManyMissedTimes").len(), 1);
}

#[test]
fn a_time_missed_for_longer_than_the_deadline_is_not_served() {
    let mut world = cron(json!({"startingDeadlineSeconds": 60}));
    world.wait(270 + 120).settle();
    assert!(jobs(&world).is_empty());
    let missed = "Missed scheduled time to start a job: Mon, 04 May 2026 12:05:00 +0000";
    assert_eq!(told(&world, "MissSchedule"), [missed]);
    world.wait(230).settle();
    assert_eq!(due(&world), ["2026-05-04T12:10:00Z"]);
}

#[test]
fn as_many_ended_jobs_are_kept_as_the_limits_say() {
    let mut world = cron(json!({"successfulJobsHistoryLimit": 2, "failedJobsHistoryLimit": 0}));
    world.wait(270).settle();
    for _ in 0..5 {
        world.end_all(Ends::With(0)).settle().wait(300).settle();
    }
    world.end_all(Ends::With(0)).settle();
    assert_eq!(due(&world), ["2026-05-04T12:25:00Z", "2026-05-04T12:30:00Z"]);
    world.edit(1, json!({"jobTemplate": {"spec": {"backoffLimit": 0}}}));
    world.wait(300).settle().end_all(Ends::With(1)).settle();
    assert_eq!(jobs(&world).len(), 2);
    let failed = minute_name("2026-05-04T12:35:00Z");
    assert!(
        told(&world, "SawCompletedJob").contains(&format!("Saw completed job: {failed}, condition: Failed"))
    );
    assert!(told(&world, "SuccessfulDelete").contains(&format!("Deleted job {failed}")));
}

#[test]
fn the_end_of_a_job_is_told_once_and_so_is_that_it_went_missing() {
    let mut world = cron(json!({}));
    world.wait(270).settle().end_all(Ends::With(0)).settle().wait(1).settle();
    let first = minute_name("2026-05-04T12:05:00Z");
    assert_eq!(told(&world, "SawCompletedJob"), [format!("Saw completed job: {first}, condition: Complete")]);
    world.wait(299).settle();
    let second = jobs(&world)[1].record.uid.clone();
    world.delete(&second, None);
    world.settle();
    let second = minute_name("2026-05-04T12:10:00Z");
    assert_eq!(told(&world, "MissingJob"), [format!("Active job went missing: {second}")]);
    assert_eq!(told(&world, "SawCompletedJob").len(), 1);
}

#[test]
fn an_interval_is_counted_from_the_last_time_or_from_when_the_cron_job_came() {
    let mut world = cron(json!({"schedule": "@every 90s"}));
    assert_eq!(world.wake_in.map(|wait| wait.as_secs()), Some(90));
    world.wait(89).settle();
    assert!(jobs(&world).is_empty());
    world.wait(31).settle();
    assert_eq!(due(&world), ["2026-05-04T12:02:00Z"], "and not from when that was seen");
    assert_eq!(world.wake_in.map(|wait| wait.as_secs()), Some(60));
    world.wait(1000).settle();
    assert_eq!(due(&world)[1..], ["2026-05-04T12:18:30Z"]);
    world.edit(1, json!({"schedule": "@every 5m", "startingDeadlineSeconds": 60}));
    world.wait(300).settle();
    assert_eq!(due(&world)[2..], ["2026-05-04T12:23:30Z"]);
}

#[test]
fn two_jobs_of_one_minute_have_two_names() {
    let mut world = cron(json!({"schedule": "@every 20s"}));
    world.wait(20).settle().wait(20).settle();
    let last = world.wall.as_second();
    assert_eq!(names(&world), [format!("tick-{}", last - 20), format!("tick-{last}")]);
}

#[test]
fn a_recorded_job_is_started_by_the_next_watcher_and_its_time_is_not_served_twice() {
    let mut world = cron(json!({"successfulJobsHistoryLimit": 0}));
    // The watcher dies after the Job is on disc and before anything else is.
    world.wait(270);
    let make = world.steps().steps.into_iter().next().unwrap();
    assert!(matches!(make, crate::model::control::Step::Make(_)));
    world.take(make);
    world.wait(10).settle();
    assert_eq!(world.active().len(), 1);
    world.end_all(Ends::With(0)).settle();
    assert!(jobs(&world).is_empty());
    world.wait(60).settle();
    assert_eq!(world.made.len(), 2, "one Job and its pod");
}

#[test]
fn a_clock_set_back_serves_no_time_twice() {
    let mut world = cron(json!({"successfulJobsHistoryLimit": 0}));
    world.wait(270).settle().end_all(Ends::With(0)).settle();
    let made = world.made.len();
    world.wall = "2026-05-04T12:04:58Z".parse().unwrap();
    world.settle().wait(4).settle();
    assert_eq!(world.made.len(), made);
    assert!(told(&world, "ClockSetBack").is_empty(), "nothing is left out");
    world.wait(300).settle();
    assert!(world.made.len() > made);
}

#[test]
fn a_clock_that_was_hours_ahead_leaves_times_out_and_that_is_told() {
    let mut world = cron(json!({}));
    world.wall = "2026-05-04T15:00:10Z".parse().unwrap();
    world.settle();
    world.wall = "2026-05-04T12:07:00Z".parse().unwrap();
    world.settle().wait(300).settle();
    assert_eq!(due(&world), ["2026-05-04T15:00:00Z"]);
    let message = "the clock was set back: nothing is due until it shows more than 2026-05-04T15:00:00Z";
    assert_eq!(told(&world, "ClockSetBack"), [message]);
    world.wall = "2026-05-04T15:05:00Z".parse().unwrap();
    world.settle();
    assert_eq!(due(&world)[1..], ["2026-05-04T15:05:00Z"]);
}

#[test]
fn a_clock_that_was_years_ahead_does_not_stop_the_schedule() {
    let mut world = cron(json!({}));
    world.wall = "2040-01-01T00:00:01Z".parse().unwrap();
    world.settle();
    assert_eq!(jobs(&world).len(), 1);
    world.wall = "2026-05-04T12:07:00Z".parse().unwrap();
    world.settle();
    assert_eq!(jobs(&world).len(), 1);
    assert_eq!(told(&world, "ClockSetBack").len(), 1);
    world.wait(180).settle();
    assert_eq!(due(&world)[0], "2026-05-04T12:10:00Z");
}

#[test]
fn a_machine_that_knows_no_date_at_boot_serves_no_time_twice() {
    let mut world = cron(json!({"successfulJobsHistoryLimit": 0}));
    world.wait(270).settle().end_all(Ends::With(0)).settle();
    let made = world.made.len();
    for shown in ["2040-01-01T00:00:01Z", "2026-05-04T12:06:00Z", "1970-01-01T00:00:10Z"] {
        world.wall = shown.parse().unwrap();
        world.settle().end_all(Ends::With(0)).settle();
    }
    let wrongly = world.made.len();
    assert!(wrongly <= made + 2, "one time and its pod for 2040");
    world.wall = "2026-05-04T12:07:00Z".parse().unwrap();
    world.settle();
    assert_eq!(world.made.len(), wrongly);
    world.wait(180).settle();
    assert_eq!(due(&world), ["2026-05-04T12:10:00Z"]);
}

#[test]
fn a_machine_without_a_clock_at_boot_serves_one_time_when_it_learns_the_date() {
    let mut world = World::at("1970-01-01T00:00:10Z");
    let spec = json!({"schedule": "@hourly", "jobTemplate": {"spec": job_spec(json!({}))}});
    world.declare(1, "CronJob", "tick", json!({}), spec);
    world.settle();
    world.wall = "2026-05-04T12:30:00Z".parse().unwrap();
    world.settle();
    assert_eq!(due(&world), ["2026-05-04T12:00:00Z"]);
}

#[test]
fn should_support_timezone() {
    let mut world = cron(json!({"schedule": "30 9 * * *", "timeZone": "America/New_York"}));
    world.wait(90 * 60).settle();
    assert_eq!(due(&world), ["2026-05-04T09:30:00-04:00"]);
}

#[test]
fn daylight_saving_is_as_in_kubernetes_unless_once_is_asked_for() {
    for (metadata, jobs_made) in [(json!({}), 0), (json!({"annotations": {"droppod.dev/dst": "once"}}), 1)] {
        let mut world = World::at("2026-03-28T12:00:00Z");
        let spec = json!({
            "schedule": "30 2 * * *", "timeZone": "Europe/Berlin", "jobTemplate": {"spec": job_spec(json!({}))},
        });
        world.declare(1, "CronJob", "tick", metadata, spec);
        world.settle();
        world.wait(86_400).settle();
        assert_eq!(jobs(&world).len(), jobs_made);
    }
}

#[test]
fn a_cron_job_that_is_removed_takes_everything_along() {
    let mut world = cron(json!({}));
    world.wait(270).settle();
    world.delete(&uid(1), None);
    world.settle();
    assert!(world.objects.is_empty(), "{:?}", world.objects.keys().collect::<Vec<&Uid>>());
}

#[test]
fn the_last_success_is_remembered_when_its_job_is_not() {
    let mut world = cron(json!({"successfulJobsHistoryLimit": 0}));
    world.wait(270).settle().wait(20).end_all(Ends::With(0)).settle();
    let record = &world.controlled.crons[&uid(1)];
    assert_eq!(record.last_success, Some(world.wall));
    assert_eq!(record.last_schedule.map(|at| at.to_string()).as_deref(), Some("2026-05-04T12:05:00Z"));
}
