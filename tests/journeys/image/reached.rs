//! How registries are reached: by certificates and proxies that the environment of `up` and `watch` names.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::made::Made;
use super::pod;
use super::registry::Registry;
use crate::bench::{Bench, Running};

const TLS: &str = "192.0.2.1:5000";
const PROXY: &str = "127.0.0.1:3128";

/// A key and a certificate in `place`, signed by another that is there too, `ca.pem`. Tells whether there are.
fn certify(place: &Path) -> bool {
    let openssl = |args: &str| {
        let made =
            Command::new("openssl").args(args.split(' ')).current_dir(place).stderr(Stdio::null()).status();
        made.is_ok_and(|made| made.success())
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=test-ca"))
        && openssl(&format!(
            "req -x509 {key} -CA ca.pem -CAkey ca.key -keyout leaf.key -out leaf.pem -subj /CN=registry \
             -addext subjectAltName=IP:192.0.2.1 -addext basicConstraints=critical,CA:FALSE"
        ))
}

#[test]
fn certificates_and_exceptions_from_proxies_count_for_the_pulls_of_up() {
    let Some(bench) = Bench::new() else { return };
    let (Some(made), Some(registry)) = (Made::new("by TLS"), Registry::start(&bench)) else { return };
    registry.push(&made, "app", "1");
    drop(registry);
    let place = bench.path("certificates");
    fs::create_dir(&place).unwrap();
    if !certify(&place) {
        crate::bench::say("skipped: openssl makes no certificates");
        return;
    }
    let address = bench.program("ip").args(["address", "add", "192.0.2.1/32", "dev", "lo"]).status();
    assert!(address.unwrap().success());
    let _registry =
        Registry::start_closed_by_tls(&bench, TLS, &place.join("leaf.key"), &place.join("leaf.pem"));
    bench.until("the registry is there, and is not trusted", || {
        bench.run(&["image", "pull", &format!("{TLS}/app:1")]).stderr.contains("UnknownIssuer")
    });

    let file = bench.path("app.yaml");
    fs::write(&file, pod("app", &format!("{TLS}/app:1"))).unwrap();
    let mut up = bench.command(&["up", "-f", file.to_str().unwrap(), "--timeout", "60s"]);
    // Nobody is there, and nobody asked.
    up.env("HTTPS_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "192.0.2.0/24");
    up.env("SSL_CERT_FILE", "ca.pem").current_dir(&place);
    let ran = up.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("says by TLS"), "{out}{err}");
    bench.until_clean();
}

/// What a proxy was asked first, with the arguments and environments of the pulls that it saw at that time.
fn asked(bench: &Bench) -> mpsc::Receiver<(String, String)> {
    let (sender, receiver) = mpsc::channel();
    let (listens, is_listening) = mpsc::channel();
    let namespace = bench.network();
    std::thread::spawn(move || {
        // Of this thread alone.
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let listener = TcpListener::bind(PROXY).unwrap();
        listens.send(()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        sender.send((String::from_utf8(head).unwrap(), pulls())).unwrap();
        stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    is_listening.recv().unwrap();
    receiver
}

fn pulls() -> String {
    let mut seen = String::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let told = |what: &str| fs::read(process.path().join(what)).unwrap_or_default();
        let arguments = told("cmdline");
        if arguments.starts_with(b"droppod\0pull\0") {
            seen.push_str(&String::from_utf8_lossy(&[arguments, told("environ")].concat()));
        }
    }
    seen
}

#[test]
fn a_proxy_is_asked_by_the_pulls_of_a_watcher_and_its_password_is_for_nobody_else() {
    let Some(bench) = Bench::new() else { return };
    let asked = asked(&bench);
    let folder = bench.folder();
    let mut watch = bench.command(&["watch", folder.to_str().unwrap()]);
    watch.env("https_proxy", format!("http://ann:proxy-secret@{PROXY}"));
    let said = fs::File::create(bench.path("err")).unwrap();
    let watch = Running { child: watch.stdout(Stdio::null()).stderr(said).spawn().unwrap() };
    bench.manifest("app.yaml", &pod("app", "registry.example/app:1"));
    let (head, pulls) = asked.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    assert!(head.starts_with("CONNECT registry.example:443 "), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic "), "{head}");
    assert!(pulls.contains("registry.example/app:1") && !pulls.contains("proxy-secret"), "{pulls}");
    bench.until("its failure is told", || bench.read("app.status.yaml").contains("ErrImagePull"));
    let described = bench.run(&["describe", "pod", "app"]).stdout;
    for told in [bench.log(), bench.read("app.status.yaml"), described] {
        assert!(!told.contains("proxy-secret"), "{told}");
    }
    bench.remove("app.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
