use std::collections::BTreeMap;

use super::*;
use crate::model::id::PodId;
use crate::model::pod_plan::sample;

fn plan(network: NetworkPlan) -> PodPlan {
    PodPlan {
        id: PodId { uid: sys::identity::random_uid().unwrap(), ..sample::pod().id },
        hostname: "web-0".to_owned(),
        host_ports: Vec::new(),
        network,
        sysctls: BTreeMap::from([
            ("net.ipv4.ip_local_port_range".to_owned(), "40000 50000".to_owned()),
            ("kernel/shm_rmid_forced".to_owned(), "1".to_owned()),
        ]),
        ..sample::pod()
    }
}

fn link(name: &str) -> PathBuf {
    std::fs::read_link(format!("/proc/thread-self/ns/{name}")).unwrap()
}

fn sysctl(name: &str) -> String {
    let text = std::fs::read_to_string(PathBuf::from("/proc/sys").join(name)).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs in a thread that shares no working directory with the others, or says why it cannot.
fn alone(inside: impl FnOnce() + Send + 'static) {
    let ran = std::thread::spawn(|| match sys::namespace::unshare(UnshareFlags::NEWNS | UnshareFlags::FS) {
        Ok(()) => inside(),
        Err(error) => println!("skipped: cannot make namespaces: {error}"),
    });
    ran.join().unwrap();
}

#[test]
fn a_pod_has_namespaces_of_its_own_and_the_way_back() {
    alone(|| {
        let names = ["mnt", "net", "ipc", "uts"];
        let before = names.map(link);
        let host = HostNamespaces::keep().unwrap();
        unshare_pod(&plan(NetworkPlan::Loopback)).unwrap();
        for (name, before) in names.iter().zip(&before) {
            assert_ne!(link(name), *before, "{name}");
        }
        assert_eq!(rustix::system::uname().nodename(), c"web-0");
        assert_eq!(sysctl("net/ipv4/ip_local_port_range"), "40000 50000");
        assert_eq!(sysctl("kernel/shm_rmid_forced"), "1");
        assert_eq!(sysctl("net/ipv4/ping_group_range"), "0 2147483647");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();

        host.enter().unwrap();
        assert_eq!([link("mnt"), link("net")], before[..2]);
    });
}

#[test]
fn a_pod_on_the_hosts_network_cannot_rename_the_host() {
    alone(|| {
        let (network, name) = (link("net"), link("uts"));
        let mut plan = plan(NetworkPlan::Host);
        plan.sysctls.clear();
        unshare_pod(&plan).unwrap();
        assert_eq!(link("net"), network);
        assert_ne!(link("uts"), name);
    });
}

#[test]
fn a_sysctl_leads_nowhere_else() {
    let error = set_sysctl("../../tmp/droppod-sysctl", "1").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("../../tmp/droppod-sysctl"));
}
