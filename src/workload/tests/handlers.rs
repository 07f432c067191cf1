use std::time::Duration;

use super::*;
use crate::model::handler::{Call, Hook, ProbeHandler, Scheme};

#[test]
fn probes_know_the_pods_address_and_the_number_of_a_named_port() {
    let plan = Scene::new()
        .web(json!({
            "ports": [{"name": "http", "containerPort": 8080}],
            "livenessProbe": {"httpGet": {"port": "http", "scheme": "HTTPS", "path": "/healthz?a=b",
                "httpHeaders": [{"name": "X-A", "value": "1"}]}, "terminationGracePeriodSeconds": 5},
            "readinessProbe": {"tcpSocket": {"port": 9, "host": "db.example"}, "periodSeconds": 2},
            "startupProbe": {"grpc": {"port": 50051, "service": "live"}, "failureThreshold": 30},
        }))
        .plan("web");
    let address = address_of(&plan).to_string();
    let probes = plan.containers[0].probes.clone();
    let liveness = probes.liveness.unwrap();
    assert_eq!(
        liveness.handler,
        ProbeHandler::Call(Call::Http {
            scheme: Scheme::Https,
            host: address.clone(),
            port: 8080,
            path: "/healthz?a=b".to_owned(),
            headers: pairs(&[("X-A", "1")]),
        })
    );
    assert_eq!((liveness.period.as_secs(), liveness.timeout.as_secs()), (10, 1));
    assert_eq!((liveness.success_threshold, liveness.failure_threshold, liveness.grace), (1, 3, Some(5)));
    let readiness = probes.readiness.unwrap();
    assert_eq!(readiness.handler, ProbeHandler::Call(Call::Tcp { host: "db.example".to_owned(), port: 9 }));
    assert_eq!(readiness.period, Duration::from_secs(2));
    let grpc = Call::Grpc { scheme: Scheme::Http, host: address, port: 50051, service: "live".to_owned() };
    assert_eq!(probes.startup.unwrap().handler, ProbeHandler::Call(grpc));
}

#[test]
fn a_probes_command_is_expanded_by_what_stands_in_the_manifest() {
    let container = Scene::new()
        .web(json!({
            "env": [{"name": "A", "value": "1"}],
            "livenessProbe": {"exec": {"command": ["test", "$(A)", "$(B)", "$$(A)"]}},
        }))
        .container();
    let argv = ["test", "1", "$(B)", "$(A)"].map(str::to_owned).to_vec();
    assert_eq!(container.probes.liveness.unwrap().handler, ProbeHandler::Exec(argv));
}

#[test]
fn hooks_are_programs_requests_and_sleeps() {
    let container = Scene::new()
        .web(json!({"lifecycle": {
            "postStart": {"exec": {"command": ["sh", "-c", "echo $(HOME)"]}},
            "preStop": {"sleep": {"seconds": 3}},
        }}))
        .container();
    let argv = ["sh", "-c", "echo $(HOME)"].map(str::to_owned).to_vec();
    assert_eq!(container.hooks.post_start, Some(Hook::Exec(argv)), "nothing is expanded, as in Kubernetes");
    assert_eq!(container.hooks.pre_stop, Some(Hook::Sleep(Duration::from_secs(3))));
}
