//! One container, everything resolved.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::VolumeMount;

use crate::api::Container;
use crate::model::desired::{Cause, Waiting};
use crate::model::image::ImageConfig;
use crate::model::pod_plan::{
    Access, ContainerPlan, ImagePlan, MessagePolicy, MountPlan, Propagation, RestartPolicy, Role, Stdin,
    TerminationMessage,
};
use crate::model::signal;

use super::env::{self, Env};
use super::expansion::expand;
use super::files::plain_path;
use super::pod::Facts;
use super::{handlers, policy_named, resources, security};

/// A mount that names no place inside its volume, in kubelet's words.
#[derive(Debug, thiserror::Error)]
enum BadSubPath {
    #[error("missing value for {0}")]
    Missing(String),
    #[error("error SubPath `{0}` must not be an absolute path")]
    Absolute(String),
    #[error("unable to provision SubPath `{0}`: must not contain '..'")]
    Upwards(String),
}

pub(super) fn plan(
    facts: &Facts<'_>,
    container: &Container,
    role: Role,
    image: ImagePlan,
) -> Result<ContainerPlan, Waiting> {
    let nothing = ImageConfig::default();
    let config = image.stored.as_ref().map_or(&nothing, |stored| &stored.config);
    let env = env::declared(facts, container).map_err(config_error)?;
    let argv = argv(container, config, &env);
    if argv.is_empty() {
        let message = "no command specified".to_owned();
        return Err(Waiting { reason: "CreateContainerError".to_owned(), message, cause: Cause::Manifest });
    }
    let pod_context = facts.spec.security_context.as_ref();
    let user = security::user(facts.id, pod_context, container, &config.user).map_err(config_error)?;
    let mounts = container.volume_mounts.iter().flatten();
    let mounts =
        mounts.map(|mount| mount_plan(mount, &env)).collect::<Result<_, _>>().map_err(config_error)?;
    let own_signal = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
    let of_image = || config.stop_signal.as_deref().and_then(signal::number);
    let stop_signal = own_signal.and_then(signal::number).or_else(of_image);
    Ok(ContainerPlan {
        name: container.name.clone(),
        role,
        argv,
        working_dir: working_dir(container, config),
        mounts,
        resources: resources::of(container.resources.as_ref()),
        user,
        security: security::security(pod_context, container),
        stop_signal: stop_signal.unwrap_or(signal::SIGTERM),
        termination_message: termination_message(container),
        stdin: stdin(container),
        restart_policy: restart_policy(facts, container, role),
        probes: handlers::probes(facts, container),
        hooks: handlers::hooks(facts, container),
        env: env::complete(&config.env, &facts.hostname(), env),
        image,
    })
}

fn stdin(container: &Container) -> Stdin {
    match (container.tty, container.stdin, container.stdin_once) {
        (Some(true), _, _) => Stdin::Terminal,
        (_, Some(true), Some(true)) => Stdin::PipeOnce,
        (_, Some(true), _) => Stdin::Pipe,
        (_, _, _) => Stdin::Closed,
    }
}

fn config_error(error: impl std::error::Error) -> Waiting {
    let (reason, message) = ("CreateContainerConfigError".to_owned(), error.to_string());
    Waiting { reason, message, cause: Cause::Manifest }
}

/// `command` replaces entrypoint and cmd of the image, `args` alone replaces the cmd.
fn argv(container: &Container, config: &ImageConfig, env: &Env) -> Vec<String> {
    let given = |words: Option<&Vec<String>>| -> Vec<String> {
        words.into_iter().flatten().map(|word| expand(word, |name| env.get(name))).collect()
    };
    let command = given(container.command.as_ref());
    let args = given(container.args.as_ref());
    match (command.is_empty(), args.is_empty()) {
        (false, _) => [command, args].concat(),
        (true, false) => [config.entrypoint.clone(), args].concat(),
        (true, true) => [config.entrypoint.clone(), config.cmd.clone()].concat(),
    }
}

fn working_dir(container: &Container, config: &ImageConfig) -> String {
    let own = container.working_dir.as_deref().filter(|directory| !directory.is_empty());
    let directory = own.unwrap_or(&config.working_dir);
    if directory.is_empty() { "/".to_owned() } else { directory.to_owned() }
}

fn mount_plan(mount: &VolumeMount, env: &Env) -> Result<MountPlan, BadSubPath> {
    Ok(MountPlan {
        volume: mount.name.clone(),
        path: Path::new("/").join(&mount.mount_path),
        access: match (mount.read_only, mount.recursive_read_only.as_deref()) {
            (Some(true), Some("Enabled" | "IfPossible")) => Access::ReadOnlyThroughout,
            (Some(true), Some(_) | None) => Access::ReadOnly,
            (Some(false) | None, _) => Access::Writable,
        },
        sub_path: sub_path(mount, env)?,
        propagation: match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => Propagation::HostToContainer,
            Some("Bidirectional") => Propagation::Bidirectional,
            Some(_) | None => Propagation::None,
        },
    })
}

fn sub_path(mount: &VolumeMount, env: &Env) -> Result<Option<PathBuf>, BadSubPath> {
    let written = match mount.sub_path_expr.as_deref().filter(|expression| !expression.is_empty()) {
        Some(expression) => {
            let mut missing = Vec::new();
            let expanded = expand(expression, |name| {
                let value = env.get(name).filter(|value| !value.is_empty());
                if value.is_none() {
                    missing.push(name.to_owned());
                }
                value
            });
            if !missing.is_empty() {
                return Err(BadSubPath::Missing(missing.join(", ")));
            }
            expanded
        }
        None => mount.sub_path.clone().unwrap_or_default(),
    };
    if written.starts_with('/') {
        return Err(BadSubPath::Absolute(written));
    }
    match plain_path(&written) {
        Some(plain) => Ok(Some(plain).filter(|plain| !plain.as_os_str().is_empty())),
        None => Err(BadSubPath::Upwards(written)),
    }
}

fn termination_message(container: &Container) -> TerminationMessage {
    let path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    TerminationMessage {
        path: PathBuf::from(path),
        policy: match container.termination_message_policy.as_deref() {
            Some("FallbackToLogsOnError") => MessagePolicy::FallbackToLogsOnError,
            Some(_) | None => MessagePolicy::File,
        },
    }
}

/// An init container that has succeeded is done, whatever the pod's policy.
fn restart_policy(facts: &Facts<'_>, container: &Container, role: Role) -> RestartPolicy {
    let of_pod = super::restart_policy(facts.pod);
    let own = policy_named(container.restart_policy.as_deref()).unwrap_or(of_pod);
    match (role, own) {
        (Role::Sidecar, _) => RestartPolicy::Always,
        (Role::Init, RestartPolicy::Always) => RestartPolicy::OnFailure,
        (Role::Init, RestartPolicy::OnFailure | RestartPolicy::Never) | (Role::App, _) => own,
    }
}
