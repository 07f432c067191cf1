//! Laws, held against pods of any shape in a world of any course. The world checks most of them at each step: no
//! start of what runs, no second start of a run, one record for each end, sidecars last, nothing after the end.

use proptest::prelude::*;

use super::world::{Happening, World};
use super::*;

fn any_probe() -> impl Strategy<Value = Option<ProbePlan>> {
    let numbers = (0..20u64, 1..4u64, 1..12u64, 1..3u32, 1..4u32, prop::option::of(0..40u32));
    let plan =
        numbers.prop_map(|(delay, timeout, period, success_threshold, failure_threshold, grace)| ProbePlan {
            initial_delay: Duration::from_secs(delay),
            timeout: Duration::from_secs(timeout),
            period: Duration::from_secs(period),
            success_threshold,
            failure_threshold,
            grace,
            ..probe()
        });
    prop::option::weighted(0.4, plan)
}

fn any_hook() -> impl Strategy<Value = Option<Hook>> {
    let hook = prop_oneof![
        (0..20u64).prop_map(|seconds| Hook::Sleep(Duration::from_secs(seconds))),
        Just(Hook::Exec(vec!["true".to_owned()])),
    ];
    prop::option::weighted(0.4, hook)
}

fn any_care() -> impl Strategy<Value = (Probes, Hooks)> {
    let probes = (any_probe(), any_probe(), any_probe());
    (probes, any_hook(), any_hook()).prop_map(|((startup, liveness, readiness), post_start, pre_stop)| {
        (Probes { startup, liveness, readiness }, Hooks { post_start, pre_stop })
    })
}

fn any_pod() -> impl Strategy<Value = PodPlan> {
    (any_shape(), prop::collection::vec(any_care(), 1..4)).prop_map(|(mut plan, cares)| {
        let sidecars = plan.init_containers.iter_mut().filter(|container| container.role == Role::Sidecar);
        for (container, (probes, hooks)) in sidecars.chain(&mut plan.containers).zip(cares.iter().cycle()) {
            container.probes = probes.clone();
            container.hooks = hooks.clone();
        }
        plan
    })
}

fn any_shape() -> impl Strategy<Value = PodPlan> {
    let policy =
        prop_oneof![Just(RestartPolicy::Always), Just(RestartPolicy::OnFailure), Just(RestartPolicy::Never)];
    let inits = prop::collection::vec(any::<bool>(), 0..4);
    (policy, inits, 1..3usize, prop::option::of(1..500u32), 0..40u32).prop_map(
        |(policy, inits, apps, deadline, grace)| {
            let mut plan = pod(policy);
            for (nth, is_sidecar) in inits.into_iter().enumerate() {
                plan =
                    if is_sidecar { plan.sidecar(&format!("s{nth}")) } else { plan.init(&format!("i{nth}")) };
            }
            for nth in 0..apps {
                plan = plan.app(&format!("x{nth}"));
            }
            plan.live.active_deadline = deadline;
            plan.live.grace = grace;
            plan
        },
    )
}

fn any_stop() -> impl Strategy<Value = Happening> {
    let why = prop_oneof![Just(StopReason::Deleted), Just(StopReason::Interrupted)];
    (why, prop::option::of(0..40u32)).prop_map(|(why, grace)| Happening::Stop { why, grace })
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Success),
        3 => Just(failure()),
        1 => Just(Verdict::Warning("moved".to_owned())),
        1 => Just(Verdict::Unknown("no such program".to_owned())),
    ]
}

fn anything() -> impl Strategy<Value = Happening> {
    let code = prop_oneof![3 => Just(0), 2 => Just(1), 1 => Just(143)];
    prop_oneof![
        4 => prop::bool::weighted(0.2).prop_map(|fails| Happening::Sandbox { fails }),
        8 => (0..5usize, prop::bool::weighted(0.2)).prop_map(|(which, fails)| Happening::Start { which, fails }),
        6 => (0..5usize, code).prop_map(|(which, code)| Happening::End { which, code }),
        6 => (0..5usize, any_verdict()).prop_map(|(which, verdict)| Happening::Handled { which, verdict }),
        3 => Just(Happening::Torn),
        2 => (0..700u64).prop_map(|seconds| Happening::Wait { seconds }),
        3 => Just(Happening::WaitUntilDue),
        1 => any_stop(),
        1 => (0..3usize, 1..4u8).prop_map(|(which, image)| Happening::NewImage { which, image }),
        1 => (1..500u32).prop_map(|seconds| Happening::NewDeadline { seconds }),
        1 => (0..5usize, any::<u8>()).prop_map(|(which, kind)| Happening::Noise { which, kind }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_pod_settles_when_it_is_told_to_stop(
        plan in any_pod(),
        course in prop::collection::vec(anything(), 0..60),
        stop in any_stop(),
    ) {
        let mut world = World::of(plan);
        for happening in &course {
            world.happens(happening);
        }
        world.happens(&stop);
        world.settle();
        prop_assert!(world.state.record(1).outcome.is_some());
        world.happens(&stop);
        world.happens(&Happening::Wait { seconds: 100_000 });
        prop_assert_eq!(world.state.wake_at(), None);
    }

    #[test]
    fn a_pod_that_never_restarts_settles_by_itself_when_its_containers_end(
        apps in 1..3usize,
        codes in prop::collection::vec(0..2i32, 3),
    ) {
        let mut plan = pod(RestartPolicy::Never).sidecar("s").init("i");
        for nth in 0..apps {
            plan = plan.app(&format!("x{nth}"));
        }
        let mut world = World::of(plan);
        for code in codes {
            world.let_starts_succeed();
            world.happens(&Happening::End { which: 0, code });
        }
        world.let_starts_succeed();
        for _ in 0..20 {
            world.happens(&Happening::End { which: 1, code: 0 });
            world.let_starts_succeed();
            world.happens(&Happening::Torn);
        }
        prop_assert!(world.left, "{:?}", world.state);
        prop_assert!(world.state.record(1).outcome.is_some());
    }

    #[test]
    fn time_alone_never_starts_anything_in_a_healthy_pod(
        inits in 0..3usize,
        waits in prop::collection::vec(0..100_000u64, 1..20),
    ) {
        let mut plan = pod(RestartPolicy::Always);
        for nth in 0..inits {
            plan = plan.sidecar(&format!("s{nth}"));
        }
        let mut world = World::of(plan.app("x").app("y"));
        world.let_starts_succeed();
        let healthy = world.state.clone();
        let starts = world.starts();
        for seconds in waits {
            world.happens(&Happening::Wait { seconds });
        }
        prop_assert_eq!(&world.state, &healthy);
        prop_assert_eq!((world.starts(), world.state.wake_at()), (starts, None));
    }
}
