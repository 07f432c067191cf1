use super::*;
use crate::model::observed::{Taken, Taker};
use crate::model::port::{HostPort, Protocol};

fn asking(name: &str, ports: Value, on_host: bool) -> Value {
    json!({"hostNetwork": on_host, "containers": [{"name": name, "image": "web:1", "ports": ports}]})
}

fn said(scene: &Scene, name: &str) -> (String, String) {
    let Waiting { reason, message, .. } = scene.blocked(name).pod.unwrap();
    (reason, message)
}

fn every(host_port: u16) -> HostPort {
    let host_ip = Ipv4Addr::UNSPECIFIED;
    HostPort { protocol: Protocol::Tcp, host_ip, host_port, container_port: host_port }
}

#[test]
fn ports_of_the_machine_are_those_asked_for_or_all_on_its_network() {
    let ports = json!([{"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1", "protocol": "UDP"},
        {"containerPort": 81}, {"containerPort": 82, "hostPort": 8082}]);
    let told = |on_host| {
        let plan = Scene::new().pod("web", asking("c", ports.clone(), on_host)).plan("web");
        plan.host_ports.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(false), ["8082/TCP", "127.0.0.1:8080/UDP"]);
    assert_eq!(told(true), ["81/TCP", "8082/TCP", "127.0.0.1:8080/UDP"]);
}

#[test]
fn the_older_pod_has_the_port_and_the_younger_waits() {
    let port = json!([{"containerPort": 80, "hostPort": 8080}]);
    let scene =
        Scene::new().pod("first", asking("c", port.clone(), false)).pod("second", asking("c", port, false));
    assert!(matches!(scene.want("first"), Want::Run(_)));
    let reason =
        ("HostPortConflict".to_owned(), "host port 8080/TCP is taken by pod default/first".to_owned());
    assert_eq!(said(&scene, "second"), reason);
}

#[test]
fn another_address_or_protocol_is_no_clash() {
    let local = json!([{"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"}]);
    let other = json!([{"containerPort": 80, "hostPort": 8080, "hostIP": "192.0.2.1"}]);
    let udp = json!([{"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}]);
    let scene = Scene::new()
        .pod("a", asking("c", local, false))
        .pod("b", asking("c", other, false))
        .pod("c", asking("c", udp, false));
    for name in ["a", "b", "c"] {
        assert!(matches!(scene.want(name), Want::Run(_)), "{name}");
    }
}

#[test]
fn who_listens_already_keeps_the_port_but_not_from_the_pod_that_it_is_part_of() {
    let port = json!([{"containerPort": 8080}]);
    let mut scene = Scene::new().pod("web", asking("c", port, true));
    scene.observed.taken = vec![Taken { port: every(8080), by: Taker::Process }];
    assert_eq!(said(&scene, "web").1, "host port 8080/TCP is taken by a process of this machine");
    scene.observed.ports.insert(scene.uid("web"), vec![every(8080)]);
    assert!(matches!(scene.want("web"), Want::Run(_)));
}
