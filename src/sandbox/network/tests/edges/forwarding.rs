//! What a machine that becomes a router for its pods does not forward for others.

use super::*;

fn forwarding(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/forwarding")).unwrap().trim().to_owned()
}

/// As at the end of `attach`: nothing that is sent at once is to be dropped.
fn see_to(route: &Route, links: &[&str]) {
    for link in links {
        route.link(link).unwrap();
    }
}

/// A second way out, `up1`, plain and with nothing behind the machine's knowledge.
fn second_uplink() -> OwnedFd {
    let route = Route::open().unwrap();
    let far = beside(|| {});
    route.make_bridge("bridge1", [0x0a, 0, 0, 0, 1, 1]).unwrap();
    let bridge = route.link("bridge1").unwrap().unwrap();
    let mac = [0x0a, 0, 0, 0, 1, 2];
    let pair = Pair { near: "up1", bridge: bridge.index, far: "eth0", far_mac: mac, namespace: far.as_fd() };
    route.make_pair(&pair).unwrap();
    route.add_address(bridge.index, range("198.51.100.1", 24)).unwrap();
    let here = this_namespace();
    enter(&far);
    let inside = Route::open().unwrap();
    let eth0 = inside.link("eth0").unwrap().unwrap();
    inside.add_address(eth0.index, range("198.51.100.2", 24)).unwrap();
    inside.up(eth0.index).unwrap();
    inside.add_default("198.51.100.1".parse().unwrap()).unwrap();
    enter(&here);
    see_to(&inside, &["eth0"]);
    see_to(&route, &["up1", "bridge1"]);
    far
}

/// The host beyond `up0` takes the machine for its router.
fn route_by_machine(beyond: &OwnedFd) {
    let here = this_namespace();
    enter(beyond);
    Route::open().unwrap().add_default("192.0.2.1".parse().unwrap()).unwrap();
    enter(&here);
}

#[test]
fn a_machine_that_was_no_router_does_not_become_one() {
    alone(|| {
        let (beyond, far) = (beyond(), second_uplink());
        route_by_machine(&beyond);
        let network = ensure(&id("0000face"), None, None).unwrap();
        let web = pod_with_ports(&network, &uid('1'), "10.77.0.2", &[tcp("0.0.0.0", 8080, 80)]);
        admit(&id("0000face")).unwrap();
        assert_eq!(["up0", "bridge1", "up1", "lo"].map(forwarding), ["1", "1", "0", "0"]);

        assert!(seen(&beyond, &far, "198.51.100.2").is_err(), "from one way out to the other");
        assert!(seen(&far, &beyond, "192.0.2.2").is_err(), "and back");
        assert!(seen(&beyond, &web, "10.77.0.2").is_err(), "straight to a pod");
        assert_eq!(seen(&web, &far, "198.51.100.2").unwrap(), Ipv4Addr::new(198, 51, 100, 1));
        answer(&beyond, &web, 80, "192.0.2.1:8080").expect("by a host port");
        answer(&far, &web, 80, "198.51.100.1:8080")
            .expect("by a host port of a network without default route");

        // A second instance finds forwarding on, and keeps the guard when the first goes.
        let second = ensure(&id("0000cafe"), None, None).unwrap();
        remove(&id("0000face")).unwrap();
        assert_eq!(["up0", "bridge1"].map(forwarding), ["1", "0"]);
        assert!(seen(&beyond, &far, "198.51.100.2").is_err(), "while another instance is there");
        let late = pod(&second, &uid('2'), "10.77.4.2");
        assert_eq!(seen(&late, &beyond, "192.0.2.2").unwrap(), Ipv4Addr::new(192, 0, 2, 1));
        remove(&id("0000cafe")).unwrap();
        assert_eq!(["up0", "bridge1", "all"].map(forwarding), ["0", "0", "0"]);
    });
}

#[test]
fn a_machine_that_was_a_router_stays_one() {
    alone(|| {
        let (beyond, far) = (beyond(), second_uplink());
        route_by_machine(&beyond);
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        see_to(&Route::open().unwrap(), &["port0", "up0"]);
        let before = Ipv4Addr::new(192, 0, 2, 2);
        assert_eq!(seen(&beyond, &far, "198.51.100.2").unwrap(), before);
        ensure(&id("0000face"), None, None).unwrap();
        admit(&id("0000face")).unwrap();
        assert_eq!(seen(&beyond, &far, "198.51.100.2").unwrap(), before);
        remove(&id("0000face")).unwrap();
        assert_eq!(seen(&beyond, &far, "198.51.100.2").unwrap(), before);
    });
}

#[test]
fn a_guard_that_was_flushed_away_comes_back() {
    alone(|| {
        let (beyond, far) = (beyond(), second_uplink());
        route_by_machine(&beyond);
        let network = ensure(&id("0000face"), None, None).unwrap();
        guard::forward("bridge1").unwrap();
        let rules = Ruleset::open().unwrap();
        rules.remove(&[tables::ip("droppod_0000face")]).unwrap();
        assert!(seen(&beyond, &far, "198.51.100.2").is_ok(), "this test has a way to leak");
        let plan = NetworkPlan::Bridge {
            bridge: network.bridge,
            address: "10.77.0.2".parse().unwrap(),
            prefix: network.prefix,
            gateway: network.gateway,
        };
        make_ready(&id("0000face"), &plan, &[]).unwrap();
        assert!(seen(&beyond, &far, "198.51.100.2").is_err());
    });
}

#[test]
fn this_kernel_holds_both_tables_and_asking_makes_none() {
    alone(|| {
        let (addresses, frames) = tables::probe();
        addresses.unwrap();
        frames.unwrap();
        let rules = Ruleset::open().unwrap();
        assert_eq!(rules.tables(Family::Ip).unwrap(), Vec::<String>::new());
        assert_eq!(rules.tables(Family::Bridge).unwrap(), Vec::<String>::new());
    });
}
