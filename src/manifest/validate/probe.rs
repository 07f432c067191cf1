//! Probes and lifecycle hooks: one handler each, and numbers that make sense.

use k8s_openapi::api::core::v1::{
    ContainerPort, ExecAction, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::Container;
use crate::manifest::fault::Fault;
use crate::manifest::node::At;
use crate::manifest::unknown::similar;
use crate::model::signal;

use super::Rules;
use super::names::{HTTP_HEADER, PORT};

const PROBES: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc"];
const HOOKS: &[&str] = &["exec", "httpGet", "sleep"];

/// Success is counted above one only where a container may become unready again.
const ONCE: std::ops::RangeInclusive<i64> = 1..=1;
const NOT_NEGATIVE: std::ops::RangeInclusive<i64> = 0..=i32::MAX as i64;

/// `grace` is the pod's grace period, in seconds.
pub(super) fn check(container: &Container, grace: i64, at: &At<'_>, rules: &mut Rules) {
    let ports = container.ports.as_deref().unwrap_or_default();
    let given = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    for (field, given) in given {
        let at = at.key(field);
        let Some(given) = given else { continue };
        probe(given, ports, &at, rules);
        let (grace_at, success_at) = (at.key("terminationGracePeriodSeconds"), at.key("successThreshold"));
        if field == "readinessProbe" {
            if grace_at.is_set() {
                let message = "a readiness probe ends no container, so it has no grace period";
                rules.push(Fault::at_key(&grace_at, message, "not allowed here").help("remove the field"));
            }
        } else {
            rules.within(
                &success_at,
                given.success_threshold.filter(|count| *count > 0).map(i64::from),
                ONCE,
            );
        }
    }
    let Some(lifecycle) = &container.lifecycle else { return };
    let lifecycle_at = at.key("lifecycle");
    for (field, given) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        if let Some(given) = given {
            hook(given, ports, grace, &lifecycle_at.key(field), rules);
        }
    }
    if let Some(name) = &lifecycle.stop_signal {
        stop_signal(name, &lifecycle_at.key("stopSignal"), rules);
    }
}

fn stop_signal(name: &str, at: &At<'_>, rules: &mut Rules) {
    if signal::number(name).is_some() {
        return;
    }
    let upper = name.to_ascii_uppercase();
    let fault = Fault::at(at, "there is no such signal", "unknown signal");
    rules.push(match similar(upper.strip_prefix("SIG").unwrap_or(&upper), signal::names()) {
        Some(likely) => fault.help(format!("did you mean `SIG{likely}`?")),
        None => fault.help("write a signal's name, such as `SIGTERM`, `SIGQUIT` or `SIGRTMIN+3`"),
    });
}

fn probe(probe: &Probe, ports: &[ContainerPort], at: &At<'_>, rules: &mut Rules) {
    one_handler(at, PROBES, rules);
    exec(probe.exec.as_ref(), &at.key("exec"), rules);
    http(probe.http_get.as_ref(), ports, &at.key("httpGet"), rules);
    tcp(probe.tcp_socket.as_ref(), ports, &at.key("tcpSocket"), rules);
    if let Some(grpc) = &probe.grpc {
        let port_at = at.key("grpc");
        numbered(grpc.port, &port_at.key("port"), rules);
        rules.one_of(&port_at.key("mode"), &["", "Plaintext", "TLS"]);
    }
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (field, number) in numbers {
        rules.within(&at.key(field), number.map(i64::from), NOT_NEGATIVE);
    }
    rules.within(
        &at.key("terminationGracePeriodSeconds"),
        probe.termination_grace_period_seconds,
        1..=i64::MAX,
    );
}

fn hook(hook: &LifecycleHandler, ports: &[ContainerPort], grace: i64, at: &At<'_>, rules: &mut Rules) {
    if hook.tcp_socket.is_some() {
        let message = "there is no such hook: Kubernetes takes the field and fails whenever it comes to it";
        let fault = Fault::at_key(&at.key("tcpSocket"), message, "never works");
        return rules.push(fault.help("write one of `exec`, `httpGet`, `sleep`"));
    }
    one_handler(at, HOOKS, rules);
    exec(hook.exec.as_ref(), &at.key("exec"), rules);
    http(hook.http_get.as_ref(), ports, &at.key("httpGet"), rules);
    if let Some(sleep) = &hook.sleep
        && !(0..=grace.max(0)).contains(&sleep.seconds)
    {
        let sleep_at = at.key("sleep");
        let message = "the hook sleeps longer than the pod's grace period, or less than no time";
        let help =
            format!("write a number from 0 to {}, or raise `terminationGracePeriodSeconds`", grace.max(0));
        rules.push(Fault::at(&sleep_at.key("seconds"), message, "out of range").help(help));
    }
}

/// A probe or hook does one thing.
fn one_handler(at: &At<'_>, handlers: &[&str], rules: &mut Rules) {
    let given: Vec<At<'_>> =
        at.each_entry().filter(|entry| handlers.contains(&entry.last_key()) && entry.is_set()).collect();
    let listed: Vec<String> = handlers.iter().map(|name| format!("`{name}`")).collect();
    match given.as_slice() {
        [] if rules.doubts(at) => {}
        [] => {
            let fault = Fault::at_key(at, "it does not say what to do", "nothing to do");
            rules.push(fault.help(format!("write one of {}", listed.join(", "))));
        }
        [_] => {}
        [first, second, ..] => {
            let fault = Fault::at_key(second, "only one thing can be done here", "a second one")
                .label(first.key_span(), "the first")
                .help("remove one of them");
            rules.push(fault);
        }
    }
}

fn exec(action: Option<&ExecAction>, at: &At<'_>, rules: &mut Rules) {
    let empty = action.is_some_and(|action| action.command.as_ref().is_none_or(Vec::is_empty));
    if empty && !rules.doubts(at) {
        let fault = Fault::at_key(at, "there is no command to run", "no `command`");
        rules.push(fault.help("write `command: [\"program\", \"argument\"]`"));
    }
}

fn http(action: Option<&HTTPGetAction>, ports: &[ContainerPort], at: &At<'_>, rules: &mut Rules) {
    let Some(action) = action else { return };
    port(&action.port, ports, &at.key("port"), rules);
    rules.one_of(&at.key("scheme"), &["", "HTTP", "HTTPS"]);
    let headers_at = at.key("httpHeaders");
    for (index, header) in action.http_headers.iter().flatten().enumerate() {
        let header_at = headers_at.index(index);
        let name_at = header_at.key("name");
        rules.required(&name_at);
        if !header.name.is_empty() {
            rules.name(&name_at, &header.name, &HTTP_HEADER);
        }
    }
}

fn tcp(action: Option<&TCPSocketAction>, ports: &[ContainerPort], at: &At<'_>, rules: &mut Rules) {
    if let Some(action) = action {
        port(&action.port, ports, &at.key("port"), rules);
    }
}

/// A number, or the name of a port that the same container declares.
fn port(given: &IntOrString, ports: &[ContainerPort], at: &At<'_>, rules: &mut Rules) {
    let name = match given {
        IntOrString::Int(number) => return numbered(*number, at, rules),
        IntOrString::String(name) => name,
    };
    if name.parse::<i32>().is_ok() {
        return rules.wrong(at, "a port in quotes is a name, and no name is a number", "remove the quotes");
    }
    rules.required(at);
    if name.is_empty() {
        return;
    }
    rules.name(at, name, &PORT);
    let names = || ports.iter().filter_map(|port| port.name.as_deref());
    if !names().any(|declared| declared == name) {
        let message = "the container declares no port of this name";
        rules.push(match similar(name, names()) {
            Some(similar) => Fault::at(at, message, format!("did you mean `{similar}`?")).help(DECLARED_PORT),
            None => Fault::at(at, message, "no port has this name").help(DECLARED_PORT),
        });
    }
}

const DECLARED_PORT: &str = "write a number, or a `name` from the container's `ports`";

fn numbered(number: i32, at: &At<'_>, rules: &mut Rules) {
    if at.is_set() {
        rules.within(at, Some(number.into()), 1..=65535);
    } else {
        rules.required(at);
    }
}
