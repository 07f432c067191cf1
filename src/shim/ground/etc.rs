//! Files that are bound into every container: hosts, resolv.conf and hostname of the pod, and what a container's last
//! word goes into.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::make_directory;
use crate::model::pod_plan::{NetworkPlan, PodPlan};

/// hosts as the kubelet writes it, resolv.conf, hostname.
pub(super) fn write(directory: &Path, plan: &PodPlan) -> io::Result<()> {
    make_directory(directory, 0o755)?;
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o644))
    };
    write("hosts", &hosts(plan))?;
    write("resolv.conf", &plan.resolv_conf)?;
    write("hostname", &format!("{}\n", plan.hostname))
}

fn hosts(plan: &PodPlan) -> String {
    let mut text = match plan.network {
        NetworkPlan::Host => std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
        NetworkPlan::Bridge { .. } | NetworkPlan::Loopback => "127.0.0.1\tlocalhost\n\
             ::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::0\tip6-localnet\n\
             fe00::0\tip6-mcastprefix\n\
             fe00::1\tip6-allnodes\n\
             fe00::2\tip6-allrouters\n"
            .to_owned(),
    };
    match plan.network {
        NetworkPlan::Bridge { address, .. } => text.push_str(&format!("{address}\t{}\n", plan.hostname)),
        NetworkPlan::Loopback => text.push_str(&format!("127.0.0.1\t{}\n", plan.hostname)),
        NetworkPlan::Host => {}
    }
    if !plan.host_aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in &plan.host_aliases {
        text.push_str(&format!("{}\t{}\n", alias.ip, alias.names.join("\t")));
    }
    text
}

/// Anybody in the container may write it, whatever user it runs as.
pub(super) fn write_message_file(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        make_directory(parent, 0o700)?;
    }
    std::fs::write(path, "")?;
    std::fs::set_permissions(path, Permissions::from_mode(0o666))
}
