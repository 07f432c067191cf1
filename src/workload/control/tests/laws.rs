//! What holds for every Job, whatever happens to it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Ends, World, merge, uid};
use crate::model::id::Uid;

#[derive(Debug, Clone)]
enum Event {
    End(usize, i32),
    Lose(usize),
    Stop(usize),
    /// What was told to go ends with a code.
    Depart(usize, i32),
    /// Its container has been restarted so often.
    Restart(usize, u32),
    Wait(u64),
    Suspend(bool),
    Parallelism(u8),
    /// Of an Indexed Job, as many of them at once.
    Completions(u8),
    /// A pass that is cut off after some of its steps.
    Cut(usize),
    Leave,
    Reboot,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = prop_oneof![
        6 => (0..6usize, prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(42)]).prop_map(|(at, code)| Event::End(at, code)),
        1 => (0..6usize).prop_map(Event::Lose),
        2 => (0..6usize).prop_map(Event::Stop),
        2 => (0..6usize, prop_oneof![2 => Just(0), 1 => Just(42), 1 => Just(143)])
            .prop_map(|(at, code)| Event::Depart(at, code)),
        1 => (0..6usize, 0..6u32).prop_map(|(at, times)| Event::Restart(at, times)),
        2 => (0..400u64).prop_map(Event::Wait),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => (0..5u8).prop_map(Event::Parallelism),
        1 => (1..6u8).prop_map(Event::Completions),
        3 => (0..4usize).prop_map(Event::Cut),
        2 => Just(Event::Leave),
        1 => Just(Event::Reboot),
    ];
    proptest::collection::vec(one, 0..40)
}

fn specs() -> impl Strategy<Value = Value> {
    (shapes(), limits(), policies()).prop_map(|(shape, limits, policies)| {
        let mut spec = shape;
        let is_indexed = spec["completionMode"] == "Indexed";
        let restarts = policies["restart"] == "OnFailure";
        merge(&mut spec, limits["of the job"].clone());
        merge(&mut spec, json!({"template": {"spec": {"restartPolicy": policies["restart"]}}}));
        let by_index = is_indexed && !restarts && limits["of an index"].is_object();
        if by_index {
            merge(&mut spec, limits["of an index"].clone());
        }
        let rules = policies["failure"].as_array().unwrap();
        let rules: Vec<&Value> =
            rules.iter().filter(|rule| by_index || rule["action"] != "FailIndex").collect();
        if !restarts && !rules.is_empty() {
            merge(&mut spec, json!({"podFailurePolicy": {"rules": rules}, "podReplacementPolicy": "Failed"}));
        } else {
            merge(&mut spec, json!({"podReplacementPolicy": policies["replacement"]}));
        }
        if is_indexed {
            merge(&mut spec, json!({"successPolicy": policies["success"]}));
        }
        spec
    })
}

fn shapes() -> impl Strategy<Value = Value> {
    let mode = prop_oneof![2 => Just("Indexed"), 1 => Just("NonIndexed"), 1 => Just("until one succeeds")];
    (mode, 1..6u8, 0..4u8, 0..5u8).prop_map(|(mode, completions, parallelism, limit)| match mode {
        "until one succeeds" => json!({"parallelism": parallelism, "backoffLimit": limit}),
        mode => json!({
            "completionMode": mode, "completions": completions, "parallelism": parallelism, "backoffLimit": limit,
        }),
    })
}

fn limits() -> impl Strategy<Value = Value> {
    use proptest::option::of;
    let of_index = of((0..3u8, of(0..3u8))).prop_map(|limits| match limits {
        Some((limit, most)) => json!({"backoffLimitPerIndex": limit, "maxFailedIndexes": most}),
        None => Value::Null,
    });
    (of(1..2000u32), of(0..2000u32), of_index).prop_map(|(deadline, ttl, of_index)| {
        json!({
            "of the job": {"activeDeadlineSeconds": deadline, "ttlSecondsAfterFinished": ttl},
            "of an index": of_index,
        })
    })
}

fn policies() -> impl Strategy<Value = Value> {
    let restart = prop_oneof![3 => Just("Never"), 1 => Just("OnFailure")];
    let rule = prop_oneof![
        Just(
            json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]})
        ),
        Just(json!({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}})),
        Just(json!({"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}})),
        Just(json!({"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [42]}})),
        Just(json!({"action": "Count", "onExitCodes": {"operator": "In", "values": [1, 137]}})),
    ];
    let success = prop_oneof![
        2 => Just(Value::Null),
        1 => Just(json!({"rules": [{"succeededCount": 2}]})),
        1 => Just(json!({"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 1}, {"succeededIndexes": "1"}]})),
    ];
    let replacement =
        prop_oneof![Just(Value::Null), Just(json!("Failed")), Just(json!("TerminatingOrFailed"))];
    (restart, proptest::collection::vec(rule, 0..3), success, replacement).prop_map(
        |(restart, failure, success, replacement)| {
            json!({"restart": restart, "failure": failure, "success": success, "replacement": replacement})
        },
    )
}

/// Goes through the events; after each, no index that has succeeded has a pod again.
fn live(spec: Value, events: &[Event]) -> Result<World, TestCaseError> {
    let waits = spec["podReplacementPolicy"] == "Failed";
    let is_indexed = spec["completionMode"] == "Indexed";
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
            Event::Depart(at, code) => {
                let going = world.going();
                if let Some(pod) = (!going.is_empty()).then(|| going[at % going.len()].clone()) {
                    let is_indexed = world.objects[&pod].object.metadata().annotations.is_some();
                    if *code == 0 && is_indexed && waits && is_to_count(&world, &pod) {
                        *succeeded.entry(world.index(&pod)).or_default() += 1;
                    }
                    world.depart(&pod, *code);
                }
            }
            Event::Restart(at, times) => pick(at).iter().for_each(|pod| world.run(pod, *times)),
            Event::Wait(seconds) => {
                world.wait(*seconds);
            }
            Event::Suspend(suspend) => world.edit(1, json!({"suspend": suspend})),
            Event::Parallelism(many) => world.edit(1, json!({"parallelism": many})),
            Event::Completions(many) if is_indexed => {
                world.edit(1, json!({"completions": many, "parallelism": many}));
            }
            Event::Completions(_) => {}
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
        for pod in world.going().iter().filter(|_| waits) {
            prop_assert!(!record.counted.contains(number(&world, pod)), "{} counts before its end", pod);
        }
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

fn number(world: &World, pod: &Uid) -> u64 {
    world.objects[pod].record.owner.as_ref().unwrap().number
}

/// Of a pod that goes, and not by its Job's own wish.
fn is_to_count(world: &World, pod: &Uid) -> bool {
    let (record, number) = (world.record(), number(world, pod));
    record.finished.is_none() && !record.counted.contains(number) && !record.dismissed.contains(number)
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
            world.wait(700).settle().end_all(Ends::With(0)).settle();
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
        let crate::api::Object::Job(job) = &*world.objects[&uid(1)].object else { unreachable!() };
        let spec = job.spec.as_ref().unwrap();
        // With the first success of one that counts none, those that run are left to run.
        let is_done = spec.completions.is_none() && world.record().succeeded > 0;
        prop_assert!(is_done || world.active().len() as i32 <= spec.parallelism.unwrap());
    }
}
