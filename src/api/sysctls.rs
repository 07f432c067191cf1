//! Kernel parameters that belong to a pod and harm nobody else: the kubelet's list,
//! <https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/>.

/// Whose namespace a parameter is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Ipc,
    Network,
}

const SAFE: &[(&str, Of)] = &[
    ("kernel.shm_rmid_forced", Of::Ipc),
    ("net.ipv4.ip_local_port_range", Of::Network),
    ("net.ipv4.ip_local_reserved_ports", Of::Network),
    ("net.ipv4.ip_unprivileged_port_start", Of::Network),
    ("net.ipv4.ping_group_range", Of::Network),
    ("net.ipv4.tcp_fin_timeout", Of::Network),
    ("net.ipv4.tcp_keepalive_intvl", Of::Network),
    ("net.ipv4.tcp_keepalive_probes", Of::Network),
    ("net.ipv4.tcp_keepalive_time", Of::Network),
    ("net.ipv4.tcp_rmem", Of::Network),
    ("net.ipv4.tcp_syncookies", Of::Network),
    ("net.ipv4.tcp_wmem", Of::Network),
];

/// Whose a safe parameter is; nothing for one that is not safe. Dots and slashes part a name alike.
pub(crate) fn safe(name: &str) -> Option<Of> {
    let dotted = name.replace('/', ".");
    SAFE.iter().find(|(safe, _)| *safe == dotted).map(|(_, of)| *of)
}
