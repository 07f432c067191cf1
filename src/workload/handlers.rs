//! Probes and lifecycle hooks: ports by number, hosts by address, defaults filled in.

use std::time::Duration;

use k8s_openapi::api::core::v1::{
    ExecAction, GRPCAction, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::Container;
use crate::model::handler::{Call, Hook, Hooks, ProbeHandler, ProbePlan, Probes, Scheme};

use super::expansion::expand;
use super::pod::Facts;

pub(super) fn probes(facts: &Facts<'_>, container: &Container) -> Probes {
    let plan = |probe: &Option<Probe>| probe.as_ref().and_then(|probe| probe_plan(facts, container, probe));
    Probes {
        startup: plan(&container.startup_probe),
        liveness: plan(&container.liveness_probe),
        readiness: plan(&container.readiness_probe),
    }
}

pub(super) fn hooks(facts: &Facts<'_>, container: &Container) -> Hooks {
    let lifecycle = container.lifecycle.as_ref();
    let hook = |given: Option<&LifecycleHandler>| given.and_then(|given| hook(facts, container, given));
    Hooks {
        post_start: hook(lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref())),
        pre_stop: hook(lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref())),
    }
}

fn probe_plan(facts: &Facts<'_>, container: &Container, probe: &Probe) -> Option<ProbePlan> {
    let exec = probe.exec.as_ref().map(|exec| ProbeHandler::Exec(expanded(exec, container)));
    let call = || {
        let http = probe.http_get.as_ref().and_then(|get| http(facts, container, get));
        let tcp = || probe.tcp_socket.as_ref().and_then(|socket| tcp(facts, container, socket));
        let grpc = || probe.grpc.as_ref().and_then(|service| grpc(facts, service));
        http.or_else(tcp).or_else(grpc).map(ProbeHandler::Call)
    };
    Some(ProbePlan {
        handler: exec.or_else(call)?,
        initial_delay: seconds(probe.initial_delay_seconds, 0),
        timeout: seconds(probe.timeout_seconds, 1),
        period: seconds(probe.period_seconds, 10),
        success_threshold: count(probe.success_threshold, 1),
        failure_threshold: count(probe.failure_threshold, 3),
        grace: probe.termination_grace_period_seconds.map(|given| u32::try_from(given).unwrap_or(u32::MAX)),
    })
}

fn hook(facts: &Facts<'_>, container: &Container, given: &LifecycleHandler) -> Option<Hook> {
    let exec = given.exec.as_ref().map(|exec| Hook::Exec(argv(exec)));
    let http = || given.http_get.as_ref().and_then(|get| http(facts, container, get)).map(Hook::Call);
    let sleep = || {
        let given = given.sleep.as_ref()?.seconds;
        Some(Hook::Sleep(Duration::from_secs(u64::try_from(given).unwrap_or(0))))
    };
    exec.or_else(http).or_else(sleep)
}

/// A probe's command knows those variables alone whose values stand in the manifest; a hook's knows none.
fn expanded(exec: &ExecAction, container: &Container) -> Vec<String> {
    let value = |name: &str| {
        let declared = container.env.iter().flatten().rev().find(|variable| variable.name == name)?;
        Some(declared.value.as_deref().unwrap_or_default())
    };
    argv(exec).iter().map(|word| expand(word, value)).collect()
}

fn argv(exec: &ExecAction) -> Vec<String> {
    exec.command.clone().unwrap_or_default()
}

fn http(facts: &Facts<'_>, container: &Container, get: &HTTPGetAction) -> Option<Call> {
    let headers = get.http_headers.iter().flatten();
    Some(Call::Http {
        scheme: match get.scheme.as_deref() {
            Some("HTTPS") => Scheme::Https,
            Some(_) | None => Scheme::Http,
        },
        host: host(facts, get.host.as_deref()),
        port: port(container, &get.port)?,
        path: get.path.clone().unwrap_or_default(),
        headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
    })
}

fn tcp(facts: &Facts<'_>, container: &Container, socket: &TCPSocketAction) -> Option<Call> {
    Some(Call::Tcp { host: host(facts, socket.host.as_deref()), port: port(container, &socket.port)? })
}

fn grpc(facts: &Facts<'_>, service: &GRPCAction) -> Option<Call> {
    Some(Call::Grpc {
        scheme: match service.mode.as_deref() {
            Some("TLS") => Scheme::Https,
            Some(_) | None => Scheme::Http,
        },
        host: host(facts, None),
        port: u16::try_from(service.port).ok()?,
        service: service.service.clone().unwrap_or_default(),
    })
}

/// As the kubelet, which asks from outside: what listens on the pod's loopback alone does not answer.
fn host(facts: &Facts<'_>, given: Option<&str>) -> String {
    match given.filter(|host| !host.is_empty()) {
        Some(host) => host.to_owned(),
        None => facts.pod_ip().to_string(),
    }
}

fn port(container: &Container, given: &IntOrString) -> Option<u16> {
    let number = match given {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let declared = container.ports.iter().flatten();
            declared.into_iter().find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    u16::try_from(number).ok()
}

fn seconds(given: Option<i32>, default: u32) -> Duration {
    Duration::from_secs(given.and_then(|given| u32::try_from(given).ok()).unwrap_or(default).into())
}

fn count(given: Option<i32>, default: u32) -> u32 {
    given.and_then(|given| u32::try_from(given).ok()).unwrap_or(default).max(1)
}
