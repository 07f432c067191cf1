//! Ports of the machine that lead into pods.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::bench::Bench;

/// A pod that tells whoever connects to its port 80 its name.
fn greeter(name: &str, ports: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - name: main\n    image: droppod.local/host\n    command: [perl, -MIO::Socket::INET, -e]\n    args:\n    - |\n      \
         my $s = IO::Socket::INET->new(Listen => 9, LocalPort => 80, ReuseAddr => 1) or die;\n      \
         while (my $c = $s->accept) {{ print $c \"{name}\\n\"; close $c }}\n    ports: [{ports}]\n"
    )
}

/// Runs `act` in the bench's network namespace.
fn inside<T: Send>(bench: &Bench, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            let network = bench.network();
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        });
        there.join().unwrap()
    })
}

/// What is said on a port of the machine's loopback; empty if nobody is there.
fn heard(bench: &Bench, port: u16) -> String {
    inside(bench, || {
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let Ok(mut stream) = TcpStream::connect_timeout(&target, Duration::from_secs(2)) else {
            return String::new();
        };
        drop(stream.write_all(b"\n"));
        let mut said = String::new();
        drop(stream.read_to_string(&mut said));
        said.trim().to_owned()
    })
}

#[test]
fn a_host_port_leads_to_its_pod_and_a_second_one_waits_for_it() {
    let Some(bench) = Bench::new() else { return };
    let port = "{containerPort: 80, hostPort: 8080}";
    bench.manifest("first.yaml", &greeter("first", port));
    let watch = bench.watch();
    bench.until_status("first", "Running");
    bench.until("the port is answered", || heard(&bench, 8080) == "first");

    bench.manifest("second.yaml", &greeter("second", port));
    bench.until("the clash is told", || {
        bench.read("second.status.yaml").contains("host port 8080/TCP is taken by pod default/first")
    });
    assert!(bench.read("second.status.yaml").contains("reason: HostPortConflict"));
    bench.manifest("udp.yaml", &greeter("udp", "{containerPort: 80, hostPort: 8080, protocol: UDP}"));
    bench.until_status("udp", "Running");
    assert_eq!(heard(&bench, 8080), "first");

    bench.remove("first.yaml");
    bench.until("the second has the port", || heard(&bench, 8080) == "second");
    let before = bench.pids("second", "main");
    for shim in bench.shims() {
        std::process::Command::new("kill").args(["-9", &shim.to_string()]).status().unwrap();
    }
    // What a killed pod process has left behind answers, too, until it is cleared away.
    bench.until("the pod runs anew", || {
        let now = bench.pids("second", "main");
        !now.is_empty() && now.iter().all(|pid| !before.contains(pid))
    });
    bench.until("the port is there again", || heard(&bench, 8080) == "second");
    watch.kill();
    assert_eq!(heard(&bench, 8080), "second", "a port needs no watcher");
    let watch = bench.watch();
    bench.remove("second.yaml").remove("udp.yaml");
    bench.until_clean();
    bench.until("the census counts nothing", || bench.run(&["doctor", "--census"]).code == 0);
    assert_eq!(heard(&bench, 8080), "");
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_port_on_which_somebody_listens_is_not_taken_from_him() {
    let Some(bench) = Bench::new() else { return };
    let listener = inside(&bench, || TcpListener::bind("0.0.0.0:9090").unwrap());
    bench.manifest("late.yaml", &greeter("late", "{containerPort: 80, hostPort: 9090}"));
    bench.manifest("other.yaml", &greeter("other", "{containerPort: 80, hostPort: 9091}"));
    let watch = bench.watch();
    bench.until_status("other", "Running");
    bench.until("the clash is told", || {
        bench.read("late.status.yaml").contains("host port 9090/TCP is taken by a process of this machine")
    });
    drop(listener);
    bench.until("the port is free and answered", || heard(&bench, 9090) == "late");
    bench.remove("late.yaml").remove("other.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
