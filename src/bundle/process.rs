//! The process a container or an `exec` starts with.

use std::collections::HashSet;

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder, Process, ProcessBuilder, User,
    UserBuilder,
};

use crate::model::pod_plan::{ContainerPlan, Privilege};

use super::{BundleError, Ground, Terminal};

const UMASK: u32 = 0o022;

/// Every capability that Linux has.
const ALL: &[Capability] = &[
    Capability::AuditControl,
    Capability::AuditRead,
    Capability::AuditWrite,
    Capability::BlockSuspend,
    Capability::Bpf,
    Capability::CheckpointRestore,
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::Kill,
    Capability::Lease,
    Capability::LinuxImmutable,
    Capability::MacAdmin,
    Capability::MacOverride,
    Capability::Mknod,
    Capability::NetAdmin,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetRaw,
    Capability::Perfmon,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysChroot,
    Capability::SysModule,
    Capability::SysNice,
    Capability::SysPacct,
    Capability::SysPtrace,
    Capability::SysRawio,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Syslog,
    Capability::WakeAlarm,
];

pub(super) fn process(
    container: &ContainerPlan,
    ground: &Ground,
    argv: &[String],
    terminal: Terminal,
) -> Result<Process, BundleError> {
    let wrong_spec = |source| BundleError::Spec { container: container.name.clone(), source };
    let capabilities = sets(capabilities(container)?).map_err(wrong_spec)?;
    let no_new_privileges = match container.security.privilege {
        Privilege::NoEscalation => Some(true),
        // Said aloud, "false" would keep libcontainer from loading a seccomp filter.
        Privilege::Ordinary | Privilege::Privileged => None,
    };
    let mut process = ProcessBuilder::default()
        .terminal(terminal == Terminal::Yes)
        .user(user(ground).map_err(wrong_spec)?)
        .args(argv)
        .env(environment(container, ground, terminal))
        .cwd(if container.working_dir.is_empty() { "/" } else { container.working_dir.as_str() })
        .capabilities(capabilities)
        .build()
        .map_err(wrong_spec)?;
    process.set_no_new_privileges(no_new_privileges).set_rlimits(None);
    Ok(process)
}

fn user(ground: &Ground) -> Result<User, OciSpecError> {
    UserBuilder::default()
        .uid(ground.uid)
        .gid(ground.gid)
        .umask(UMASK)
        .additional_gids(ground.groups.clone())
        .build()
}

/// The plan's, and what only the ground knows: the user's home, and that there is a terminal.
fn environment(container: &ContainerPlan, ground: &Ground, terminal: Terminal) -> Vec<String> {
    let set = |name: &str| container.env.iter().any(|(known, _)| known == name);
    let mut environment: Vec<String> =
        container.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !set("HOME") {
        environment.push(format!("HOME={}", ground.home));
    }
    if terminal == Terminal::Yes && !set("TERM") {
        environment.push("TERM=xterm".to_owned());
    }
    environment
}

fn capabilities(container: &ContainerPlan) -> Result<Capabilities, BundleError> {
    match container.security.privilege {
        Privilege::Privileged => Ok(ALL.iter().copied().collect()),
        Privilege::NoEscalation | Privilege::Ordinary => {
            let named = container.security.capabilities.iter().map(|name| {
                name.parse().map_err(|_unknown| BundleError::Capability {
                    container: container.name.clone(),
                    capability: name.clone(),
                })
            });
            named.collect()
        }
    }
}

/// As runc does: what is permitted is effective, and the kernel takes it away when the user is not root. Nothing is
/// inheritable or ambient, so that a program's own file capabilities give no more than they say.
fn sets(granted: Capabilities) -> Result<LinuxCapabilities, OciSpecError> {
    LinuxCapabilitiesBuilder::default()
        .bounding(granted.clone())
        .permitted(granted.clone())
        .effective(granted)
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()
}
