//! Registries that mean no good.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::made::Made;
use super::pod;
use crate::bench::Bench;

/// Serves each caller of 127.0.0.1:5000 in the bench's network namespace, for as long as the tests run.
fn serve(bench: &Bench, answer: fn(&mut TcpStream)) {
    let namespace = bench.network();
    let (ready, listens) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Of this thread alone.
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:5000").unwrap();
        ready.send(()).unwrap();
        for caller in listener.incoming() {
            std::thread::spawn(move || answer(&mut caller.unwrap()));
        }
    });
    listens.recv().unwrap();
}

fn request(caller: &mut TcpStream) -> String {
    let mut text = [0; 4096];
    let count = caller.read(&mut text).unwrap_or(0);
    String::from_utf8_lossy(&text[..count]).into_owned()
}

fn never(caller: &mut TcpStream) {
    while !request(caller).is_empty() {}
}

fn endless(caller: &mut TcpStream) {
    while let asked = request(caller)
        && !asked.is_empty()
    {
        if !asked.contains("/manifests/") {
            caller.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            continue;
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n\r\n";
        let mut sent = caller.write_all(head.as_bytes());
        while sent.is_ok() {
            sent = caller.write_all(&[b' '; 1024 * 1024]);
        }
        return;
    }
}

#[test]
fn an_image_of_the_disc_waits_for_no_registry() {
    let Some(bench) = Bench::new() else { return };
    let Some(made) = Made::new("hello") else { return };
    serve(&bench, never);
    let watch = bench.watch();
    for name in ["one", "two", "three", "four"] {
        bench.manifest(&format!("{name}.yaml"), &pod(name, &format!("127.0.0.1:5000/{name}:1")));
    }
    let waits = || bench.run(&["events"]).exits(0).stdout.matches("Pulling image").count();
    bench.until("three are asked for", || waits() == 3);
    made.write_oci_archive(&bench.folder().join("app.tar"), "local/app:1");
    bench.manifest("local.yaml", &pod("local", "oci-archive:app.tar"));
    bench.until_status("local", "Completed");
    assert_eq!(waits(), 4, "no registry has given up by then");
    for name in ["one", "two", "three", "four", "local"] {
        bench.remove(&format!("{name}.yaml"));
    }
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn what_a_killed_pull_has_left_goes_though_nobody_wants_the_image_any_more() {
    let Some(bench) = Bench::new() else { return };
    serve(&bench, never);
    let watch = bench.start(&["watch", bench.folder().to_str().unwrap(), "--rescan", "1s"]);
    bench.manifest("app.yaml", &pod("app", "127.0.0.1:5000/app:1"));
    let unfinished = || {
        let sessions = std::fs::read_dir(bench.path("s/images/tmp")).into_iter().flatten().flatten();
        sessions.map(|session| session.file_name().into_string().unwrap()).next()
    };
    bench.until("the pull is under way", || unfinished().is_some());
    // It is named after its process.
    let session = unfinished().unwrap();
    let (pid, _) = session.split_once('.').unwrap();
    assert!(std::process::Command::new("kill").args(["-9", pid]).status().unwrap().success());
    bench.remove("app.yaml");
    bench.until("nothing is left of it", || unfinished().is_none());
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_manifest_without_end_fails_its_pull_alone() {
    let Some(bench) = Bench::new() else { return };
    serve(&bench, endless);
    let watch = bench.watch();
    bench.manifest("app.yaml", &pod("app", "127.0.0.1:5000/app:1"));
    bench.until("the pull has failed", || bench.read("app.status.yaml").contains("ErrImagePull"));
    bench.run(&["describe", "pod", "app"]).exits(0).says("memory");
    bench.remove("app.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
