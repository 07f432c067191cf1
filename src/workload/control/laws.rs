//! What holds for every Job, whatever happens to it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Ends, World, uid};

#[derive(Debug, Clone)]
enum Event {
    End(usize, i32),
    Lose(usize),
    Stop(usize),
    Wait(u64),
    Suspend(bool),
    Parallelism(u8),
    /// A pass that is cut off after some of its steps.
    Cut(usize),
    Leave,
    Reboot,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = prop_oneof![
        6 => (0..6usize, prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(42)]).prop_map(|(at, code)| Event::End(at, code)),
        1 => (0..6usize).prop_map(Event::Lose),
        1 => (0..6usize).prop_map(Event::Stop),
        2 => (0..400u64).prop_map(Event::Wait),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => (0..5u8).prop_map(Event::Parallelism),
        3 => (0..4usize).prop_map(Event::Cut),
        2 => Just(Event::Leave),
        1 => Just(Event::Reboot),
    ];
    proptest::collection::vec(one, 0..40)
}

fn specs() -> impl Strategy<Value = Value> {
    let mode = prop_oneof![Just("Indexed"), Just("NonIndexed")];
    (mode, 1..6u8, 0..4u8, 0..5u8, any::<bool>()).prop_map(|(mode, completions, parallelism, limit, per_index)| {
        let mut spec = json!({
            "completionMode": mode, "completions": completions, "parallelism": parallelism, "backoffLimit": limit,
        });
        if mode == "Indexed" && per_index {
            spec["backoffLimitPerIndex"] = json!(limit % 3);
        }
        spec
    })
}

/// Goes through the events; after each, no index that has succeeded has a pod again.
fn live(spec: Value, events: &[Event]) -> Result<World, TestCaseError> {
    let mut world = World::job(spec);
    let mut succeeded: BTreeMap<u64, usize> = BTreeMap::new();
    for event in events {
        let active = world.active();
        let pick = |at: &usize| (!active.is_empty()).then(|| active[at % active.len()].clone());
        match event {
            Event::End(at, code) => {
                if let Some(pod) = pick(at) {
                    if *code == 0 && world.objects[&pod].object.metadata().annotations.is_some() {
                        *succeeded.entry(world.index(&pod)).or_default() += 1;
                    }
                    world.end(&pod, Ends::With(*code));
                }
            }
            Event::Lose(at) => pick(at).iter().for_each(|pod| world.end(pod, Ends::Lost)),
            Event::Stop(at) => pick(at).iter().for_each(|pod| world.stop(pod)),
            Event::Wait(seconds) => {
                world.wait(*seconds);
            }
            Event::Suspend(suspend) => world.edit(1, json!({"suspend": suspend})),
            Event::Parallelism(many) => world.edit(1, json!({"parallelism": many})),
            Event::Cut(after) => {
                for step in world.steps().steps.into_iter().take(*after) {
                    world.take(step);
                }
                continue;
            }
            Event::Leave => {
                world.leave();
            }
            Event::Reboot => {
                world.boot = 1;
                world.boot_id.push('+');
            }
        }
        world.pass();
        let record = world.record();
        for pod in world.active() {
            if world.objects[&pod].object.metadata().annotations.is_some() {
                let index = world.index(&pod);
                prop_assert!(!record.completed.contains(index), "index {} runs again", index);
            }
        }
    }
    for (index, times) in succeeded {
        prop_assert_eq!(times, 1, "index {} succeeded more than once", index);
    }
    Ok(world)
}

proptest! {
    #[test]
    fn a_settled_world_plans_nothing_and_time_alone_starts_nothing_twice(spec in specs(), events in events()) {
        let mut world = live(spec, &events)?;
        world.settle();
        prop_assert!(world.steps().steps.is_empty());
        // Whatever backs off has started by now, and nothing starts beside it.
        world.wait(1000).settle();
        let made = world.made.len();
        world.wait(100_000).settle();
        prop_assert_eq!(world.made.len(), made);
    }

    #[test]
    fn a_job_whose_pods_succeed_from_here_on_ends(spec in specs(), events in events()) {
        let mut world = live(spec, &events)?;
        world.edit(1, json!({"suspend": false, "parallelism": 2}));
        for _ in 0..20 {
            world.wait(400).settle().end_all(Ends::With(0)).settle();
        }
        prop_assert!(world.ended().is_some());
        prop_assert!(world.active().is_empty());
        let made = world.made.len();
        world.wait(100_000).settle();
        prop_assert_eq!(world.made.len(), made, "finished is finished");
        prop_assert!(world.record().counted.len() <= world.record().made);
    }

    #[test]
    fn no_more_pods_are_active_than_are_wanted(spec in specs(), events in events()) {
        let mut world = live(spec, &events)?;
        world.settle();
        let crate::api::Object::Job(job) = &world.objects[&uid(1)].object else { unreachable!() };
        let parallelism = job.spec.as_ref().unwrap().parallelism.unwrap();
        prop_assert!(world.active().len() as i32 <= parallelism);
    }
}
