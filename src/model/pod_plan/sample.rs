//! A pod that asks for nothing, which tests change where they mean something.

use super::*;
use crate::model::id::Uid;

/// `default/web`, without containers.
pub(crate) fn pod() -> PodPlan {
    PodPlan {
        id: PodId {
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            uid: Uid::from_random([0xab; 16]),
        },
        revision: Revision { pod: "p1".to_owned(), live: "l1".to_owned() },
        live: Live {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            grace: 30,
            active_deadline: None,
            resources: Resources::default(),
        },
        restart_policy: RestartPolicy::Always,
        hostname: "web".to_owned(),
        host_ports: Vec::new(),
        network: NetworkPlan::Loopback,
        pid: PidMode::Container,
        ipc: IpcMode::Pod,
        host_aliases: Vec::new(),
        resolv_conf: String::new(),
        sysctls: BTreeMap::new(),
        volumes: BTreeMap::new(),
        init_containers: Vec::new(),
        containers: Vec::new(),
        fs_group: None,
        qos: QosClass::BestEffort,
    }
}

/// On the machine's own root.
pub(crate) fn container(name: &str) -> ContainerPlan {
    ContainerPlan {
        name: name.to_owned(),
        role: Role::App,
        image: ImagePlan { authored: "busybox".to_owned(), reference: ImageRef::HostRoot, stored: None },
        argv: ["sleep", "60"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        working_dir: "/".to_owned(),
        mounts: Vec::new(),
        resources: Resources::default(),
        user: UserPlan {
            uid: None,
            gid: None,
            image_user: String::new(),
            must_not_be_root: false,
            supplemental_groups: Vec::new(),
            image_groups: ImageGroups::Merge,
        },
        security: SecurityPlan {
            privilege: Privilege::Ordinary,
            capabilities: Vec::new(),
            root: RootAccess::Writable,
            seccomp: SeccompProfile::RuntimeDefault,
        },
        stop_signal: 15,
        termination_message: TerminationMessage {
            path: PathBuf::from("/dev/termination-log"),
            policy: MessagePolicy::File,
        },
        stdin: Stdin::Closed,
        restart_policy: RestartPolicy::Always,
        probes: Probes::default(),
        hooks: Hooks::default(),
    }
}
