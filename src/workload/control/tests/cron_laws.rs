//! What holds for every CronJob, whatever happens to it, to its Jobs and to the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Ends, World, job_spec, merge, uid};
use crate::api::Object;
use crate::model::id::Uid;
use crate::model::job::Ending;
use crate::model::object::Known;
use crate::model::schedule::{Dst, Schedule, zone_named};
use crate::model::time::Timestamp;

const ZONE: &str = "Europe/Berlin";

#[derive(Debug, Clone)]
enum Event {
    Wait(u64),
    /// The clock on the wall is so many seconds off from here on.
    Clock(i64),
    /// Some seconds later, a pass that is cut off after some of its steps.
    Cut(u64, usize),
    Edit(Value),
    End(usize, i32),
    /// A person deletes a Job.
    Delete(usize),
    Reboot,
}

fn schedules() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("* * * * *"),
        Just("*/5 * * * *"),
        Just("30 2,14 * * *"),
        Just("@every 90s"),
        Just("@every 20s"),
    ]
}

fn policies() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("Allow"), Just("Forbid"), Just("Replace")]
}

fn edits() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => any::<bool>().prop_map(|suspend| json!({"suspend": suspend})),
        2 => schedules().prop_map(|schedule| json!({"schedule": schedule})),
        1 => policies().prop_map(|policy| json!({"concurrencyPolicy": policy})),
        1 => proptest::option::of(1..400u32).prop_map(|deadline| json!({"startingDeadlineSeconds": deadline})),
        1 => (0..3u8, 0..3u8).prop_map(|(good, bad)| {
            json!({"successfulJobsHistoryLimit": good, "failedJobsHistoryLimit": bad})
        }),
    ]
}

/// Clocks go wrong by less than half a day, so that none is ever a day behind what was served.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = prop_oneof![
        6 => prop_oneof![0..100u64, 0..4000u64].prop_map(Event::Wait),
        2 => (-39_600..39_600i64).prop_map(Event::Clock),
        4 => (prop_oneof![Just(0), 0..400u64], 0..4usize).prop_map(|(wait, after)| Event::Cut(wait, after)),
        2 => edits().prop_map(Event::Edit),
        5 => (0..6usize, prop_oneof![3 => Just(0), 1 => Just(1)]).prop_map(|(at, code)| Event::End(at, code)),
        1 => (0..6usize).prop_map(Event::Delete),
        1 => Just(Event::Reboot),
    ];
    proptest::collection::vec(one, 0..40)
}

fn specs() -> impl Strategy<Value = Value> {
    (schedules(), policies(), 0..4u8, 0..3u8, proptest::option::of(0..400u32)).prop_map(
        |(schedule, policy, good, bad, deadline)| {
            json!({
                "schedule": schedule, "concurrencyPolicy": policy, "timeZone": ZONE,
                "successfulJobsHistoryLimit": good, "failedJobsHistoryLimit": bad,
                "startingDeadlineSeconds": deadline,
            })
        },
    )
}

struct Life {
    world: World,
    /// How far the clock on the wall is ahead.
    off: i64,
}

impl Life {
    fn new(more: Value) -> Life {
        let mut world = World::at("2026-10-24T22:00:30Z");
        let mut spec = json!({"jobTemplate": {"spec": job_spec(json!({"backoffLimit": 0}))}});
        merge(&mut spec, more);
        world.declare(1, "CronJob", "tick", json!({}), spec);
        Life { world, off: 0 }
    }

    fn policy(&self) -> String {
        let Object::CronJob(cron) = &*self.world.objects[&uid(1)].object else { unreachable!() };
        cron.spec.concurrency_policy.clone().unwrap()
    }

    fn jobs(&self) -> impl Iterator<Item = &Known> {
        self.world.objects.values().filter(|known| matches!(*known.object, Object::Job(_)))
    }

    fn unfinished(&self) -> BTreeSet<Uid> {
        let jobs = self.jobs().map(|job| &job.record.uid);
        let has_finished =
            |uid: &Uid| self.world.controlled.jobs.get(uid).is_some_and(|record| record.finished.is_some());
        jobs.filter(|uid| !has_finished(uid)).cloned().collect()
    }

    fn unfinished_and_staying(&self) -> usize {
        let staying = |uid: &&Uid| self.world.objects[*uid].record.deletion.is_none();
        self.unfinished().iter().filter(staying).count()
    }

    /// A pass makes one Job at most, and with `Forbid` none beside another. Tells how many steps it had.
    fn pass(&mut self, at_most: usize) -> Result<usize, TestCaseError> {
        let before: BTreeSet<Uid> = self.jobs().map(|job| job.record.uid.clone()).collect();
        let unfinished = self.unfinished().len();
        let steps = self.world.steps();
        self.world.wake_in = steps.wake_in;
        let count = steps.steps.len();
        for step in steps.steps.into_iter().take(at_most) {
            self.world.take(step);
        }
        let made = self.jobs().filter(|job| !before.contains(&job.record.uid)).count();
        prop_assert!(made <= 1);
        prop_assert!(made == 0 || unfinished == 0 || self.policy() != "Forbid", "one beside another");
        Ok(count)
    }

    fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..200 {
            if self.pass(usize::MAX)? + self.world.leave() == 0 {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("the world does not settle"))
    }

    fn set_clock(&mut self, off: i64) {
        let by = Duration::from_secs((off - self.off).unsigned_abs());
        if off > self.off {
            self.world.wall += by
        } else {
            self.world.wall -= by
        }
        self.off = off;
    }

    /// What ends or is deleted is seen by the next look.
    fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Wait(seconds) => {
                self.world.wait(*seconds);
            }
            Event::Clock(off) => self.set_clock(*off),
            Event::Cut(wait, after) => {
                self.world.wait(*wait);
                return self.pass(*after).map(|_| ());
            }
            Event::Edit(spec) => self.world.edit(1, spec.clone()),
            Event::End(at, code) => {
                let active = self.world.active();
                if !active.is_empty() {
                    self.world.end(&active[at % active.len()], Ends::With(*code));
                }
                return Ok(());
            }
            Event::Delete(at) => {
                let staying = self.jobs().filter(|job| job.record.deletion.is_none());
                let jobs: Vec<Uid> = staying.map(|job| job.record.uid.clone()).collect();
                if !jobs.is_empty() {
                    self.world.delete(&jobs[at % jobs.len()], None);
                }
                return Ok(());
            }
            Event::Reboot => {
                self.world.boot = 1;
                self.world.boot_id.push('+');
            }
        }
        self.pass(usize::MAX)?;
        self.world.leave();
        Ok(())
    }

    /// No name of a Job or pod comes twice: it tells the time that the Job was made for.
    fn has_made_nothing_twice(&self) -> Result<(), TestCaseError> {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &self.world.made {
            *names.entry(name).or_default() += 1;
        }
        names.retain(|_, times| *times > 1);
        prop_assert!(names.is_empty(), "made more than once: {:?}", names);
        Ok(())
    }

    fn last_schedule(&self) -> Option<Timestamp> {
        self.world.controlled.crons[&uid(1)].last_schedule
    }

    fn schedule(&self) -> Schedule {
        let Object::CronJob(cron) = &*self.world.objects[&uid(1)].object else { unreachable!() };
        Schedule::parse(&cron.spec.schedule).unwrap()
    }
}

fn live(spec: Value, events: &[Event]) -> Result<Life, TestCaseError> {
    let mut life = Life::new(spec);
    for event in events {
        life.happen(event)?;
    }
    Ok(life)
}

fn zone() -> TimeZone {
    zone_named(ZONE).unwrap()
}

proptest! {
    #[test]
    fn no_due_time_is_made_twice(spec in specs(), events in events()) {
        let mut life = live(spec, &events)?;
        life.settle()?;
        life.has_made_nothing_twice()?;
    }

    #[test]
    fn a_settled_world_plans_nothing_and_its_histories_are_within_limits(spec in specs(), events in events()) {
        let mut life = live(spec, &events)?;
        life.settle()?;
        prop_assert!(life.world.steps().steps.is_empty());
        let Object::CronJob(cron) = &*life.world.objects[&uid(1)].object else { unreachable!() };
        let limits = [
            (Ending::Success, cron.spec.successful_jobs_history_limit),
            (Ending::Failure, cron.spec.failed_jobs_history_limit),
        ];
        for (ending, limit) in limits {
            let ended = |job: &&Known| life.world.controlled.jobs[&job.record.uid].ended() == Some(ending);
            let kept = life.jobs().filter(ended).count();
            prop_assert!(kept <= limit.unwrap() as usize, "{} of {:?} are kept", kept, ending);
        }
    }

    #[test]
    fn no_two_are_active_where_that_is_forbidden_or_the_last_is_replaced(
        spec in specs(), events in events(), policy in prop_oneof![Just("Forbid"), Just("Replace")],
    ) {
        let mut life = Life::new(spec);
        life.world.edit(1, json!({"concurrencyPolicy": policy}));
        for event in &events {
            let changes_policy = matches!(event, Event::Edit(edit) if edit.get("concurrencyPolicy").is_some());
            if !changes_policy {
                life.happen(event)?;
            }
            // What was cut off may have left two until the next look.
            let is_looked_at = matches!(event, Event::Wait(_) | Event::Clock(_) | Event::Reboot);
            prop_assert!(policy == "Replace" && !is_looked_at || life.unfinished_and_staying() <= 1);
        }
        life.settle()?;
        prop_assert!(life.unfinished().len() <= 1);
    }

    #[test]
    fn time_alone_starts_nothing_twice(spec in specs(), events in events(), waits in proptest::collection::vec(0..400u64, 1..20)) {
        let mut life = live(spec, &events)?;
        life.set_clock(0);
        life.settle()?;
        for wait in waits {
            life.world.wait(wait);
            life.settle()?;
        }
        life.has_made_nothing_twice()?;
        life.world.edit(1, json!({"suspend": true}));
        life.settle()?;
        let jobs = life.jobs().count();
        life.world.wait(100_000);
        life.settle()?;
        prop_assert_eq!(life.jobs().count(), jobs);
    }

    /// However far a clock was off: once it is right for two days, the newest time that was due has been served.
    #[test]
    fn no_schedule_stays_silent(spec in specs(), events in events(), years in -10..10i64) {
        let mut life = live(spec, &events)?;
        life.set_clock(years * 31_557_600);
        life.settle()?;
        life.set_clock(0);
        life.world.edit(1, json!({"suspend": false, "concurrencyPolicy": "Allow", "startingDeadlineSeconds": null}));
        life.settle()?;
        life.world.wait(200_000);
        life.settle()?;
        let served = life.last_schedule().unwrap();
        prop_assert!(served <= life.world.wall);
        prop_assert_eq!(life.schedule().last(served, life.world.wall, &zone(), Dst::Kubernetes), None);
    }

    /// Also when nothing else ever wakes it.
    #[test]
    fn who_sleeps_until_the_next_time_misses_none(schedule in schedules(), wakes in 1..30usize) {
        let mut life = Life::new(json!({
            "schedule": schedule, "timeZone": ZONE, "concurrencyPolicy": "Allow",
            "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0,
        }));
        life.settle()?;
        let (start, mut due) = (life.world.wall, Vec::new());
        for _ in 0..wakes {
            let wait = life.world.wake_in.unwrap();
            prop_assert_eq!(wait.subsec_nanos(), 0);
            life.world.wait(wait.as_secs());
            life.settle()?;
            due.extend(life.last_schedule());
            life.world.end_all(Ends::With(0));
            life.settle()?;
        }
        let times = std::iter::successors(Some(start), |at| life.schedule().next(*at, &zone(), Dst::Kubernetes));
        prop_assert_eq!(due, times.skip(1).take(wakes).collect::<Vec<_>>());
        life.has_made_nothing_twice()?;
    }
}
