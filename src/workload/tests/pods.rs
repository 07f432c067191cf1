use std::sync::Arc;

use super::*;

fn with_spec(spec: Value) -> Scene {
    Scene::new().pod("web", merged(json!({"containers": [{"name": "c", "image": "web:1"}]}), spec))
}

#[test]
fn the_image_says_what_the_pod_does_not() {
    let container = Scene::new().web(json!({})).container();
    assert_eq!(container.argv, ["/entry", "serve", "$(LANG)"]);
    assert_eq!(container.working_dir, "/srv");
    assert_eq!(container.stop_signal, 3);
    assert_eq!(container.user.image_user, "www");
    let mut scene = Scene::new().web(json!({"image": "bare:1", "command": ["true"]}));
    scene.image("bare:1", ImageConfig::default());
    let container = scene.container();
    assert_eq!(container.working_dir, "/");
    assert_eq!(container.stop_signal, 15);
    assert_eq!(container.env, pairs(&[("PATH", env::DEFAULT_PATH), ("HOSTNAME", "web")]));
}

#[test]
fn a_stop_signal_that_is_none_leaves_the_image_its_own() {
    let stop_signal =
        |name: &str| Scene::new().web(json!({"lifecycle": {"stopSignal": name}})).container().stop_signal;
    assert_eq!((stop_signal("SIGINT"), stop_signal("SIGFOO")), (2, 3));
}

#[test]
fn command_replaces_entrypoint_and_cmd_and_args_replace_cmd() {
    let env = json!([{"name": "WHO", "value": "me"}]);
    let cases = [
        (json!({"command": ["sh"]}), vec!["sh"]),
        (json!({"command": ["sh"], "args": ["-c", "$(WHO)"]}), vec!["sh", "-c", "me"]),
        (json!({"args": ["$(WHO)", "$$(WHO)", "$(NONE)"]}), vec!["/entry", "me", "$(WHO)", "$(NONE)"]),
    ];
    for (container, argv) in cases {
        let scene = Scene::new().web(merged(container, json!({"env": env})));
        assert_eq!(scene.container().argv, argv);
    }
}

#[test]
fn capabilities_are_added_to_and_dropped_from_the_default() {
    let capabilities = |add: &[&str], drop: &[&str]| {
        let context = json!({"capabilities": {"add": add, "drop": drop}});
        Scene::new().web(json!({"securityContext": context})).container().security.capabilities
    };
    let default = capabilities(&[], &[]);
    assert_eq!(default.len(), 11);
    assert!(default.is_sorted());
    assert_eq!(capabilities(&["CAP_NET_RAW"], &["ALL"]), ["NET_RAW"]);
    let all = capabilities(&["ALL"], &["SYS_ADMIN"]);
    assert_eq!((all.len(), all.contains(&"SYS_ADMIN".to_owned())), (40, false));
    assert_eq!(capabilities(&[], &["kill"]).len(), 10);
}

#[test]
fn the_containers_security_context_counts_over_the_pods() {
    let scene = Scene::new().pod(
        "web",
        json!({
            "securityContext": {"runAsUser": 10, "runAsGroup": 20, "fsGroup": 30, "supplementalGroups": [40, 30],
                "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
            "containers": [{"name": "c", "image": "web:1", "securityContext":
                {"runAsUser": 11, "allowPrivilegeEscalation": false, "runAsNonRoot": true}}],
        }),
    );
    let plan = scene.plan("web");
    let container = &plan.containers[0];
    assert_eq!((container.user.uid, container.user.gid), (Some(11), Some(20)));
    assert_eq!(container.user.supplemental_groups, [40, 30]);
    assert_eq!(container.security.privilege, Privilege::NoEscalation);
    assert_eq!(plan.fs_group, Some(30));
    let sysctls = [("kernel.shm_rmid_forced", "1"), ("net.ipv4.ping_group_range", "0 2147483647")];
    assert_eq!(plan.sysctls.into_iter().collect::<Vec<_>>(), pairs(&sysctls));
}

#[test]
fn a_container_that_must_not_be_root_waits_if_it_would_be() {
    let cases = [
        (
            json!({"runAsNonRoot": true, "runAsUser": 0}),
            "www",
            "container's runAsUser breaks non-root policy",
        ),
        (json!({"runAsNonRoot": true}), "", "container has runAsNonRoot and image will run as root"),
        (json!({"runAsNonRoot": true}), "0:0", "container has runAsNonRoot and image will run as root"),
        (json!({"runAsNonRoot": true}), "www:www", "image has non-numeric user (www), cannot verify"),
    ];
    for (context, user, message) in cases {
        let mut scene =
            Scene::new().web(json!({"image": "app:1", "command": ["x"], "securityContext": context}));
        scene.image("app:1", ImageConfig { user: user.to_owned(), ..ImageConfig::default() });
        let (reason, told) = scene.waits();
        assert_eq!(reason, "CreateContainerConfigError");
        assert!(told.contains(message), "{told}");
    }
}

#[test]
fn a_pod_is_limited_where_all_of_its_containers_are() {
    let container = |name: &str, cpu: &str, memory: Option<&str>| {
        let mut limits = json!({"cpu": cpu});
        if let Some(memory) = memory {
            limits["memory"] = json!(memory);
        }
        json!({"name": name, "image": "web:1", "resources": {"limits": limits, "requests": {"cpu": "100m"}}})
    };
    let spec = json!({"containers": [container("c", "1", Some("1Ki")), container("d", "500m", None)]});
    let plan = Scene::new().pod("web", spec).plan("web");
    let expected = Resources {
        memory_limit: None,
        memory_request: Some(1024),
        cpu_limit_milli: Some(1500),
        cpu_request_milli: Some(200),
        pids_limit: Some(1024),
        huge_pages: BTreeMap::new(),
    };
    assert_eq!(plan.live.resources, expected);
    assert_eq!(plan.qos, QosClass::Burstable);
    assert_eq!(plan.containers[0].resources.memory_request, Some(1024));
}

#[test]
fn huge_pages_of_containers_are_those_of_the_pod() {
    let container =
        |name: &str, limits: Value| json!({"name": name, "image": "web:1", "resources": {"limits": limits}});
    let spec = json!({
        "initContainers": [container("first", json!({"memory": "1Gi", "hugepages-2Mi": "8Mi"}))],
        "containers": [
            container("c", json!({"memory": "1Gi", "hugepages-2Mi": "4Mi", "hugepages-1Gi": "1Gi"})),
            container("d", json!({"memory": "1Gi", "hugepages-2Mi": "2Mi"})),
            container("e", json!({"memory": "1Gi"})),
        ],
    });
    let plan = Scene::new().pod("web", spec).plan("web");
    let pages = |of: &Resources| of.huge_pages.clone();
    assert_eq!(pages(&plan.live.resources), BTreeMap::from([(2 << 20, 8 << 20), (1 << 30, 1 << 30)]));
    assert_eq!(pages(&plan.containers[1].resources), BTreeMap::from([(2 << 20, 2 << 20)]));
    assert_eq!(pages(&plan.containers[2].resources), BTreeMap::new());
}

#[test]
fn the_quality_of_service_class_follows_requests_and_limits() {
    let cases = [
        (json!({}), QosClass::BestEffort),
        (json!({"limits": {"ephemeral-storage": "1Gi"}}), QosClass::BestEffort),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), QosClass::Guaranteed),
        (
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m"}}),
            QosClass::Guaranteed,
        ),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1m"}}), QosClass::Burstable),
        (json!({"requests": {"memory": "1Mi"}}), QosClass::Burstable),
    ];
    for (resources, class) in cases {
        let scene = Scene::new().web(json!({"resources": resources}));
        assert_eq!(scene.plan("web").qos, class, "{resources}");
    }
}

#[test]
fn the_resolver_is_the_hosts_unless_the_pod_brings_its_own() {
    let config = json!({
        "nameservers": ["192.0.2.54"],
        "searches": ["lan", "corp"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    });
    let cases = [
        (json!({}), "search lan\nnameserver 192.0.2.53\noptions ndots:1 rotate\n"),
        (
            json!({"dnsPolicy": "ClusterFirst", "dnsConfig": config}),
            "search lan corp\nnameserver 192.0.2.53\nnameserver 192.0.2.54\noptions rotate ndots:2 edns0\n",
        ),
        (
            json!({"dnsPolicy": "None", "dnsConfig": config}),
            "search lan corp\nnameserver 192.0.2.54\noptions ndots:2 edns0\n",
        ),
    ];
    for (spec, text) in cases {
        assert_eq!(with_spec(spec).plan("web").resolv_conf, text);
    }
}

#[test]
fn a_pod_on_the_hosts_network_has_its_name_address_and_sysctls() {
    let plan = with_spec(json!({"hostNetwork": true})).plan("web");
    assert_eq!(plan.network, NetworkPlan::Host);
    assert_eq!(plan.hostname, "box");
    assert_eq!(plan.sysctls, BTreeMap::new());
    let mut scene = with_spec(json!({}));
    scene.machine.network = None;
    assert_eq!(scene.plan("web").network, NetworkPlan::Loopback);
}

#[test]
fn a_long_name_makes_a_host_name_that_linux_takes() {
    let name = format!("{}-{}", "a".repeat(62), "b".repeat(100));
    let scene = Scene::new().pod(&name, json!({"containers": [{"name": "c", "image": "web:1"}]}));
    assert_eq!(scene.plan(&name).hostname, "a".repeat(62));
}

#[test]
fn the_lowest_free_address_goes_to_the_oldest_pod_and_a_lease_is_kept() {
    let spec = || json!({"containers": [{"name": "c", "image": "web:1"}]});
    let mut scene = Scene::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        scene = scene.pod(name, spec());
    }
    scene.observed.leases.insert(Ipv4Addr::new(10, 77, 0, 2), scene.uid("c"));
    let address = |name: &str| address_of(&scene.plan(name)).octets()[3];
    assert_eq!(["a", "b", "c", "d", "e"].map(address), [3, 4, 2, 5, 6]);
    assert_eq!(scene.blocked("f").pod.unwrap().reason, "OutOfpods");
}

#[test]
fn a_pod_that_waits_takes_no_address() {
    let spec = |image: &str| json!({"containers": [{"name": "c", "image": image}]});
    let scene = Scene::new().pod("a", spec("absent:1")).pod("b", spec("web:1"));
    assert_eq!(address_of(&scene.plan("b")), Ipv4Addr::new(10, 77, 0, 2));
}

#[test]
fn an_init_container_that_succeeded_is_not_restarted_and_a_sidecar_always_is() {
    let init = json!([
        {"name": "i", "image": "web:1"},
        {"name": "s", "image": "web:1", "restartPolicy": "Always"},
    ]);
    let plan = with_spec(json!({"restartPolicy": "Always", "initContainers": init})).plan("web");
    let policies: Vec<RestartPolicy> =
        plan.all_containers().map(|container| container.restart_policy).collect();
    assert_eq!(policies, [RestartPolicy::OnFailure, RestartPolicy::Always, RestartPolicy::Always]);
}

#[test]
fn a_pod_to_go_is_gone_and_one_that_has_ended_wants_nothing() {
    let mut scene = Scene::new().web(json!({"image": "absent:1"}));
    let uid = scene.uid("web");
    let record = PodRecord {
        format: FORMAT,
        binary: String::new(),
        id: pod_id(&scene.objects[&uid]),
        revision: crate::model::pod_plan::Revision { pod: String::new(), live: String::new() },
        shim_pid: 1,
        address: None,
        started_at: at(0).wall,
        sandbox: SandboxState::Ready,
        containers: Vec::new(),
        stopping: None,
        outcome: Some(Outcome::Succeeded),
        conditions: None,
        events: Vec::new(),
    };
    let seen = PodObservation {
        namespace: "default".to_owned(),
        name: "web".to_owned(),
        told: None,
        process: ProcessObservation::Dead,
        record: None,
        finished: Some(Finished { outcome: Outcome::Succeeded, record }.into()),
        launched_in: None,
        departed: None,
        deaths: None,
    };
    scene.observed.pods.insert(uid.clone(), seen);
    assert_eq!(scene.desired(), Desired::default());
    let deletion = Deletion { at: at(99).wall, grace: Some(7) };
    scene.objects.change(&uid, |known| known.record.deletion = Some(deletion));
    assert_eq!(scene.want("web"), Want::Gone { grace: Some(7) });
}

/// The pod `web` as it lives by what it was told.
fn living(scene: &mut Scene) -> PodPlan {
    let told = scene.plan("web");
    let seen = PodObservation {
        namespace: "default".to_owned(),
        name: "web".to_owned(),
        told: Some(Told { plan: told.clone().into(), stop: None }),
        process: ProcessObservation::Alive,
        record: None,
        finished: None,
        launched_in: None,
        departed: None,
        deaths: None,
    };
    let uid = scene.uid("web");
    scene.observed.pods.insert(uid, seen);
    told
}

#[test]
fn a_living_pod_keeps_the_image_that_it_was_given() {
    let mut scene = Scene::new().web(json!({"imagePullPolicy": "Always"}));
    let told = living(&mut scene);
    scene.image("web:1", ImageConfig { user: "other".to_owned(), ..ImageConfig::default() });
    assert_eq!(scene.plan("web").containers[0].image, told.containers[0].image);
    scene.observed.images.clear();
    assert_eq!(scene.plan("web").containers[0].image, told.containers[0].image);
    assert_eq!(scene.desired().pulls, BTreeSet::new());
    // Its process is gone: the next one starts with what there is.
    let uid = scene.uid("web");
    scene.observed.pods.get_mut(&uid).unwrap().process = ProcessObservation::Dead;
    assert!(!scene.desired().pulls.is_empty());
}

#[test]
fn a_living_pod_takes_over_what_needs_nothing_that_is_missing() {
    let from = json!({"envFrom": [{"configMapRef": {"name": "env"}}]});
    let mut scene = Scene::new().config_map("env", json!({"A": "1"})).web(from);
    let told = living(&mut scene);
    let (map, web) = (scene.uid("env"), scene.uid("web"));
    let map = scene.objects.remove(&map).unwrap();
    let meanwhile = |scene: &Scene| match scene.want("web") {
        Want::Wait { meanwhile: Some(plan), .. } => *plan,
        other => panic!("{other:?}"),
    };
    assert_eq!(meanwhile(&scene), told, "nothing was edited");
    let edit = |scene: &mut Scene, field: &str, value: Value| {
        scene.objects.change(&web, |known| {
            let authored = Arc::make_mut(&mut known.record.authored);
            authored["spec"]["containers"][0][field] = value;
            known.object = Object::Pod(serde_json::from_value(authored.clone()).unwrap()).into();
        });
    };
    edit(&mut scene, "resources", json!({"limits": {"memory": "80Mi"}}));
    let taken = meanwhile(&scene);
    assert_eq!(taken.containers[0].resources.memory_limit, Some(80 << 20));
    assert_eq!(taken.live.resources.memory_limit, Some(80 << 20));
    assert_eq!(taken.revision.pod, told.revision.pod);
    assert_eq!(taken.containers[0].env, told.containers[0].env);
    // An image that is not there is the only thing that is still to be told.
    edit(&mut scene, "image", json!("absent:1"));
    assert_eq!(meanwhile(&scene), taken);
    edit(&mut scene, "image", json!("web:1"));
    scene.objects.put(map);
    assert_eq!(scene.plan("web").revision, taken.revision);
    // What makes it another pod is not taken over.
    edit(&mut scene, "command", json!(["true"]));
    edit(&mut scene, "image", json!("absent:1"));
    assert!(matches!(scene.want("web"), Want::Wait { meanwhile: None, .. }));
}
