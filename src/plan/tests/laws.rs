//! Laws that hold in every world.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};

use super::world::moves;
use super::*;

fn uid_of(action: &Action) -> Option<&Uid> {
    match action {
        Action::Pull(_) => None,
        Action::Launch(plan) | Action::Tell(plan) => Some(&plan.id.uid),
        Action::Stop { pod, .. }
        | Action::Remind { pod }
        | Action::Wait { pod, .. }
        | Action::Sweep { pod, .. }
        | Action::Forget { pod }
        | Action::Lose { pod } => Some(&pod.uid),
    }
}

fn policies() -> impl Strategy<Value = RestartPolicy> {
    prop_oneof![Just(RestartPolicy::Always), Just(RestartPolicy::OnFailure), Just(RestartPolicy::Never)]
}

/// What is wanted of a pod, and of its revision.
fn wants(id: PodId) -> impl Strategy<Value = Option<DesiredPod>> {
    let revisions = prop_oneof![Just(("a", "a")), Just(("a", "b")), Just(("b", "a"))];
    (policies(), revisions, any::<bool>(), 0..6).prop_map(move |(policy, (pod, live), rerun, kind)| {
        let mut plan = plan_of(id.clone(), policy);
        plan.revision = revision(pod, live);
        if rerun {
            plan.live.annotations.insert(RERUN_INTERRUPTED.to_owned(), "true".to_owned());
        }
        let want = match kind {
            0..=2 => Want::Run(Box::new(plan)),
            3 => Want::Wait { why: blocked(), meanwhile: Some(Box::new(plan)) },
            4 => Want::Gone { grace: Some(1) },
            _ => return None,
        };
        Some(DesiredPod { id: id.clone(), restart_policy: policy, want })
    })
}

fn outcomes() -> impl Strategy<Value = Option<Outcome>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Outcome::Succeeded)),
        1 => Just(Some(failed("Error"))),
        1 => Just(Some(Outcome::Interrupted)),
        1 => Just(Some(Outcome::Deleted)),
    ]
}

/// What is there of a pod, and whether its process is still to hear what it was told.
fn sights(id: PodId) -> impl Strategy<Value = Option<(PodObservation, bool)>> {
    let stops = prop_oneof![Just(None), Just(Some(StopReason::Interrupted)), Just(Some(StopReason::Deleted))];
    let told = prop_oneof![Just(None), (prop_oneof![Just("a"), Just("b")], stops).prop_map(Some)];
    let states = prop_oneof![Just(creating()), Just(running()), Just(ContainerState::Terminated(exit(1)))];
    let recorded = prop_oneof![Just(None), (states, outcomes()).prop_map(Some)];
    let boots = prop_oneof![Just(None), Just(Some(THIS_BOOT)), Just(Some(LAST_BOOT))];
    let deaths = (1u32..4, 0u64..100).prop_map(|(count, seconds)| Deaths {
        count,
        last: at(seconds).boot,
        launched: None,
        words: "no room".to_owned(),
    });
    let seen = (any::<bool>(), told, recorded, any::<bool>(), boots, proptest::option::of(deaths));
    let seen = seen.prop_map(move |(alive, told, recorded, ended, boot, deaths)| PodObservation {
        namespace: id.namespace.clone(),
        name: id.name.clone(),
        told: told.map(|(live, stop)| told_of(revision("a", live), stop)),
        process: if alive { ProcessObservation::Alive } else { ProcessObservation::Dead },
        record: recorded.map(|(state, outcome)| record(id.clone(), state, outcome).into()),
        finished: ended.then(|| {
            Arc::new(Finished {
                outcome: Outcome::Succeeded,
                record: record(id.clone(), ContainerState::Terminated(exit(0)), Some(Outcome::Succeeded)),
            })
        }),
        departed: None,
        launched_in: boot.map(str::to_owned),
        deaths,
    });
    proptest::option::of((seen, any::<bool>()))
}

/// Two names; under each a pod, and perhaps an earlier one that is to go or that nobody knows of.
fn worlds() -> impl Strategy<Value = World> {
    let pods = |name: &'static str, first: u8| {
        let (now, before) = (id(name, first), id(name, first + 1));
        let gone = DesiredPod {
            id: before.clone(),
            restart_policy: RestartPolicy::Always,
            want: Want::Gone { grace: None },
        };
        let pods = [now.uid.clone(), before.uid.clone()];
        let wanted = (wants(now.clone()), proptest::option::of(Just(gone)));
        (wanted, sights(now), sights(before)).prop_map(move |((now, gone), seen, seen_before)| {
            let desired: Vec<DesiredPod> = now.into_iter().chain(gone).collect();
            let seen = [(pods[0].clone(), seen), (pods[1].clone(), seen_before)];
            (desired, seen)
        })
    };
    let images = proptest::collection::btree_set(0u8..6, 0..6);
    (pods("a", 1), pods("b", 3), images.clone(), images).prop_map(|(a, b, wanted, pulling)| {
        let mut world = World::empty();
        for (desired, seen) in [a, b] {
            for pod in desired {
                world.desired.pods.insert(pod.id.uid.clone(), pod);
            }
            for (uid, seen) in seen {
                let Some((seen, asleep)) = seen else { continue };
                let lives = seen.process == ProcessObservation::Alive && seen.finished.is_none();
                // Before it has published anything, it has yet to read what it was told; after its end, it does no more.
                let could_hear = seen
                    .record
                    .as_ref()
                    .is_some_and(|record| record.outcome.is_none() && !is_decided(record));
                if asleep && lives && could_hear {
                    world.asleep.insert(uid.clone());
                }
                world.observed.pods.insert(uid, seen);
            }
        }
        let image = |number: u8| ImageRef::Registry(number.to_string());
        world.desired.pulls = wanted.into_iter().map(image).collect();
        let pulling =
            pulling.into_iter().take(PULLS).map(|number| (image(number), ImageObservation::Pulling));
        world.observed.images = pulling.collect();
        world
    })
}

/// Beside this file, to be committed.
fn regressions() -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::WithSource("regressions")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: regressions(), ..ProptestConfig::default() })]

    #[test]
    fn acting_on_plans_settles_any_world(mut world in worlds()) {
        world.settle()?;
        for (uid, pod) in &world.desired.pods {
            let seen = world.observed.pods.get(uid);
            match &pod.want {
                Want::Run(plan) => {
                    let seen = seen.unwrap();
                    let told = seen.told.as_ref().map(|told| &told.plan.revision);
                    let goes_by = seen.record.as_ref().map_or(&plan.revision, |record| &record.revision);
                    let runs = seen.process == ProcessObservation::Alive
                        && told == Some(&plan.revision)
                        && *goes_by == plan.revision;
                    prop_assert!(runs || seen.finished.is_some(), "{seen:?}");
                }
                Want::Wait { .. } => {}
                Want::Gone { .. } => prop_assert!(false, "{pod:?} is still there"),
            }
        }
        for (uid, seen) in &world.observed.pods {
            let lives = seen.process == ProcessObservation::Alive;
            prop_assert!(!lives || world.desired.pods.contains_key(uid), "{seen:?} lives unwanted");
        }
        prop_assert!(world.desired.pulls.is_empty());
    }

    #[test]
    fn time_alone_moves_nothing_in_a_settled_world(mut world in worlds(), seconds in 0u64..1_000_000) {
        world.settle()?;
        world.seconds += seconds;
        prop_assert_eq!(moves(&world.plan()), 0);
    }

    #[test]
    fn a_pod_unwanted_is_never_launched(mut world in worlds()) {
        for _ in 0..6 {
            let plan = world.plan();
            for action in &plan.actions {
                let wanted = |plan: &PodPlan| world.desired.pods.get(&plan.id.uid).map(|pod| &pod.want);
                match action {
                    Action::Launch(plan) => prop_assert!(matches!(wanted(plan), Some(Want::Run(_)))),
                    Action::Tell(plan) => match wanted(plan) {
                        Some(Want::Run(_)) => {}
                        Some(Want::Wait { meanwhile, .. }) => {
                            let lives = world.observed.pods[&plan.id.uid].process == ProcessObservation::Alive;
                            prop_assert!(lives && meanwhile.as_ref() == Some(plan));
                        }
                        Some(Want::Gone { .. }) | None => prop_assert!(false, "{plan:?} is told"),
                    },
                    Action::Pull(_)
                    | Action::Stop { .. }
                    | Action::Remind { .. }
                    | Action::Wait { .. }
                    | Action::Sweep { .. }
                    | Action::Forget { .. }
                    | Action::Lose { .. } => {}
                }
            }
            world.act(&plan);
            world.pass();
        }
    }

    #[test]
    fn a_recorded_end_is_never_run_again(world in worlds()) {
        for action in world.plan().actions {
            if let Action::Launch(plan) = action {
                let seen = world.observed.pods.get(&plan.id.uid);
                prop_assert!(seen.is_none_or(|seen| seen.finished.is_none()));
            }
        }
    }

    #[test]
    fn no_pod_is_twice_in_a_plan(world in worlds()) {
        let plan = world.plan();
        let uids: Vec<&Uid> = plan.actions.iter().filter_map(uid_of).collect();
        let once: BTreeSet<&Uid> = uids.iter().copied().collect();
        prop_assert_eq!(uids.len(), once.len());
    }

    #[test]
    fn what_makes_room_comes_first_and_pulls_are_three_at_most(world in worlds()) {
        let plan = world.plan();
        prop_assert!(plan.actions.is_sorted_by_key(turn));
        let pulling = world.observed.images.values().filter(|image| matches!(image, ImageObservation::Pulling));
        let starting = plan.actions.iter().filter(|action| matches!(action, Action::Pull(_)));
        prop_assert!(pulling.count() + starting.count() <= PULLS);
    }
}
