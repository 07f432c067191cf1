//! Whole specs, compared as values: one golden file for each feature.

use std::collections::BTreeMap;

use super::*;
use crate::model::pod_plan::*;

const DEFAULT_CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// A container that asks for nothing, on a machine that has everything but a device controller.
struct Case {
    pod: PodPlan,
    container: ContainerPlan,
    ground: Ground,
}

impl Case {
    fn plain() -> Case {
        let container = container();
        let pod = PodPlan { containers: vec![container.clone()], ..sample::pod() };
        Case { pod, container, ground: ground() }
    }

    fn with(change: impl FnOnce(&mut Case)) -> Case {
        let mut case = Case::plain();
        change(&mut case);
        case
    }

    fn spec(&self) -> Spec {
        spec(&self.pod, &self.container, &self.ground).unwrap()
    }

    #[track_caller]
    fn gives(&self, golden: &str) {
        let expected: Spec = serde_json::from_str(golden).unwrap();
        let spec = self.spec();
        assert_eq!(spec, expected, "{}", serde_json::to_string_pretty(&spec).unwrap());
    }
}

fn container() -> ContainerPlan {
    let mut container = sample::container("main");
    container.env =
        vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("MODE".to_owned(), "a=b".to_owned())];
    container.working_dir = String::new();
    container.security.capabilities = DEFAULT_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
    container
}

fn ground() -> Ground {
    Ground {
        rootfs: "/pod/mnt/root/main".into(),
        cgroup: "/droppod/0/pods/1/main".into(),
        binds: Vec::new(),
        shm: "/pod/mnt/shm".into(),
        hosts: "/pod/etc/hosts".into(),
        resolv_conf: "/pod/etc/resolv.conf".into(),
        hostname: "/pod/etc/hostname".into(),
        termination_message: "/pod/termination/main".into(),
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        home: "/root".to_owned(),
        shared_proc: None,
        cgroup_view: CgroupView::Unified,
        host_devices: Vec::new(),
        throttles: Vec::new(),
        controllers: Controllers { memory: true, cpu: true, pids: true, devices: false, huge_pages: true },
    }
}

fn volume(target: &str, options: &[&str]) -> Bind {
    Bind {
        source: Path::new("/pod/mnt/volume").join(target.trim_start_matches('/').replace('/', "-")),
        target: target.into(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    }
}

fn mount_plan(path: &str, propagation: Propagation) -> MountPlan {
    MountPlan {
        volume: "data".to_owned(),
        path: path.into(),
        access: Access::Writable,
        sub_path: None,
        propagation,
    }
}

#[test]
fn a_container_that_asks_for_nothing_gets_the_defaults() {
    Case::plain().gives(include_str!("golden/plain.json"));
}

#[test]
fn a_privileged_container_sees_and_may_do_everything() {
    let case = Case::with(|case| {
        case.container.security.privilege = Privilege::Privileged;
        case.ground.controllers.devices = true;
    });
    case.gives(include_str!("golden/privileged.json"));
}

#[test]
fn a_restricted_container_has_no_new_privileges_and_a_read_only_root() {
    let case = Case::with(|case| {
        case.container.security = SecurityPlan {
            privilege: Privilege::NoEscalation,
            capabilities: vec!["NET_BIND_SERVICE".to_owned()],
            root: RootAccess::ReadOnly,
            seccomp: SeccompProfile::RuntimeDefault,
        };
        case.ground.uid = 1000;
        case.ground.gid = 1000;
        case.ground.groups = vec![2000];
        case.ground.home = "/home/app".to_owned();
    });
    case.gives(include_str!("golden/restricted.json"));
}

#[test]
fn what_tells_of_the_heat_of_processors_is_masked_too() {
    let heat = "/sys/devices/system/cpu/cpu7/thermal_throttle";
    let masked = |privilege| {
        let mut case = Case::plain();
        case.container.security.privilege = privilege;
        case.ground.throttles = vec![heat.to_owned()];
        let spec = spec(&case.pod, &case.container, &case.ground).unwrap();
        spec.linux().as_ref().unwrap().masked_paths().clone().unwrap_or_default()
    };
    assert!(masked(Privilege::Ordinary).iter().any(|path| path == heat));
    assert!(masked(Privilege::NoEscalation).iter().any(|path| path == heat));
    assert_eq!(masked(Privilege::Privileged), Vec::<String>::new());
}

#[test]
fn limits_are_those_of_the_controllers_there_are() {
    let resources = Resources {
        memory_limit: Some(64 << 20),
        memory_request: Some(32 << 20),
        cpu_limit_milli: Some(1500),
        cpu_request_milli: Some(250),
        pids_limit: Some(100),
        huge_pages: BTreeMap::from([(2 << 20, 4 << 20)]),
    };
    let mut case = Case::with(|case| {
        case.container.resources = resources;
        case.pod.live.resources.huge_pages = BTreeMap::from([(2 << 20, 4 << 20), (1 << 30, 1 << 30)]);
        case.ground.controllers.devices = true;
    });
    case.gives(include_str!("golden/limits.json"));
    case.ground.controllers =
        Controllers { memory: false, cpu: false, pids: false, devices: false, huge_pages: false };
    assert_eq!(case.spec().linux().as_ref().unwrap().resources(), &None);
}

#[test]
fn the_least_of_shares_keeps_no_container_from_a_version_1_kernel_without_a_devices_controller() {
    let mut case = Case::with(|case| case.ground.cgroup_view = CgroupView::Hierarchies(Vec::new()));
    assert_eq!(case.spec().linux().as_ref().unwrap().resources(), &None);
    case.container.resources.cpu_request_milli = Some(1);
    assert!(case.spec().linux().as_ref().unwrap().resources().is_some());
}

#[test]
fn a_shared_process_namespace_is_left_out_and_its_proc_is_there() {
    let case = Case::with(|case| {
        case.pod.pid = PidMode::Pod;
        case.ground.shared_proc = Some("/pod/mnt/proc".into());
    });
    case.gives(include_str!("golden/shared-pid.json"));
}

#[test]
fn the_hosts_namespaces_are_left_out() {
    let case = Case::with(|case| {
        case.pod.pid = PidMode::Host;
        case.pod.ipc = IpcMode::Host;
        case.pod.network = NetworkPlan::Host;
    });
    case.gives(include_str!("golden/host.json"));
}

#[test]
fn volumes_are_mounted_parents_first_and_displace_what_is_at_their_place() {
    let case = Case::with(|case| {
        case.ground.binds = vec![
            volume("/data/cache", &["rbind", "rw"]),
            volume("/etc/hosts", &["rbind", "ro"]),
            volume("/data", &["rbind", "rw"]),
            volume("/dev/shm", &["rbind", "rw"]),
            volume("/etc", &["rbind", "rro"]),
        ];
        case.container.mounts = vec![mount_plan("/data", Propagation::HostToContainer)];
    });
    case.gives(include_str!("golden/volumes.json"));
}

#[test]
fn a_terminal_and_a_directory_of_its_own() {
    let case = Case::with(|case| {
        case.container.stdin = Stdin::Terminal;
        case.container.working_dir = "/srv".to_owned();
        case.container.env.push(("HOME".to_owned(), "/srv".to_owned()));
    });
    case.gives(include_str!("golden/terminal.json"));
}

#[test]
fn an_exec_is_the_same_user_with_other_arguments() {
    let case = Case::with(|case| {
        case.ground.uid = 1000;
        case.ground.groups = vec![7];
        case.container.working_dir = "/srv".to_owned();
    });
    let argv = vec!["/bin/sh".to_owned()];
    let process = exec_process(&case.container, &case.ground, &argv, Terminal::Yes).unwrap();
    let expected: Process = serde_json::from_str(include_str!("golden/exec.json")).unwrap();
    assert_eq!(process, expected, "{}", serde_json::to_string_pretty(&process).unwrap());
}

#[test]
fn propagation_of_the_root_follows_what_mounts_ask_for() {
    let cases = [
        (vec![Propagation::None], None),
        (vec![Propagation::HostToContainer, Propagation::None], Some("slave")),
        (vec![Propagation::HostToContainer, Propagation::Bidirectional], Some("shared")),
    ];
    for (wanted, expected) in cases {
        let case = Case::with(|case| {
            case.container.mounts = wanted.iter().map(|wanted| mount_plan("/data", *wanted)).collect();
        });
        assert_eq!(case.spec().linux().as_ref().unwrap().rootfs_propagation().as_deref(), expected);
    }
}

#[test]
fn tiny_and_huge_limits_stay_within_the_kernels_bounds() {
    let case = Case::with(|case| {
        case.container.resources = Resources {
            memory_limit: Some(u64::MAX),
            cpu_limit_milli: Some(1),
            cpu_request_milli: Some(1),
            ..Resources::default()
        };
    });
    let spec = case.spec();
    let resources = spec.linux().as_ref().unwrap().resources().as_ref().unwrap();
    let cpu = resources.cpu().as_ref().unwrap();
    assert_eq!((cpu.quota(), cpu.shares()), (Some(1000), Some(2)));
    assert_eq!(resources.memory().unwrap().limit(), Some(i64::MAX));
}

#[test]
fn every_capability_of_the_runtime_spec_is_known_by_its_name() {
    let case = Case::with(|case| case.container.security.privilege = Privilege::Privileged);
    let capabilities = case.spec().process().as_ref().unwrap().capabilities().clone().unwrap();
    assert_eq!(capabilities.bounding().as_ref().unwrap().len(), 41);
    for capability in capabilities.bounding().as_ref().unwrap() {
        let named = Case::with(|case| case.container.security.capabilities = vec![capability.to_string()]);
        let process = exec_process(&named.container, &named.ground, &[], Terminal::No).unwrap();
        let granted = process.capabilities().clone().unwrap();
        assert!(granted.bounding().as_ref().unwrap().contains(capability), "{capability}");
    }
}

#[test]
fn what_cannot_be_given_is_an_error_that_names_it() {
    let unknown = Case::with(|case| case.container.security.capabilities = vec!["SYS_MAGIC".to_owned()]);
    let error = spec(&unknown.pod, &unknown.container, &unknown.ground).unwrap_err();
    assert_eq!(error.to_string(), "container main asks for unknown capability SYS_MAGIC");
    let over_dev = Case::with(|case| case.container.mounts = vec![mount_plan("/dev", Propagation::None)]);
    let error = spec(&over_dev.pod, &over_dev.container, &over_dev.ground).unwrap_err();
    assert_eq!(error.to_string(), "container main mounts volume data at /dev, which belongs to the runtime");
}
