//! Debian's registry in the bench's network namespace, and what pushes to it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::made::{Made, digest};
use crate::bench::{Bench, Running};

pub(crate) const HOST: &str = "127.0.0.1:5000";

/// Name, password, both as HTTP and Docker write them, and as a registry keeps them.
pub(crate) const USER: &str = "ann";
pub(crate) const PASSWORD: &str = "hub-secret";
pub(crate) const ACCOUNT: &str = "YW5uOmh1Yi1zZWNyZXQ=";
const ACCOUNTS: &str = "ann:$2b$04$abcdefghijklmnopqrstuuWoAb7lTGXwlsJc59P5YQEVSfUSpuVjm\n";

pub(crate) struct Registry {
    namespace: File,
    _process: Running,
}

impl Registry {
    /// Runs until it is dropped. `None`, and a line that says why, where there is none.
    pub(crate) fn start(bench: &Bench) -> Option<Registry> {
        Registry::start_with(bench, "")
    }

    /// One that gives nothing to anybody but [`USER`].
    pub(crate) fn start_closed(bench: &Bench) -> Option<Registry> {
        let accounts = bench.path("accounts");
        fs::write(&accounts, ACCOUNTS).unwrap();
        let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", accounts.display());
        Registry::start_with(bench, &auth)
    }

    /// One at another address that speaks TLS and has what was pushed before; nobody waits for it here.
    pub(crate) fn start_closed_by_tls(
        bench: &Bench,
        address: &str,
        key: &Path,
        certificate: &Path,
    ) -> Running {
        let (config, data) = (bench.path("registry-tls.yml"), bench.path("registry"));
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{address}', tls: {{key: {}, certificate: {}}}}}\n",
            data.display(),
            key.display(),
            certificate.display()
        );
        fs::write(&config, text).unwrap();
        bench.start_program("/usr/bin/docker-registry", &["serve", config.to_str().unwrap()])
    }

    fn start_with(bench: &Bench, more: &str) -> Option<Registry> {
        if !Path::new("/usr/bin/docker-registry").exists() {
            crate::bench::say("skipped: docker-registry is not there");
            return None;
        }
        let (config, data) = (bench.path("registry.yml"), bench.path("registry"));
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{HOST}'}}\n{more}",
            data.display()
        );
        fs::write(&config, text).unwrap();
        let process = bench.start_program("/usr/bin/docker-registry", &["serve", config.to_str().unwrap()]);
        let registry = Registry { namespace: bench.network(), _process: process };
        bench.until("the registry answers", || registry.ask("GET", "/v2/", "", b"").is_some());
        Some(registry)
    }

    /// Pushes as every client does: each blob, then the manifest under its tag.
    pub(crate) fn push(&self, image: &Made, repository: &str, tag: &str) {
        for blob in image.blobs() {
            let begun = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"").unwrap();
            let place = begun.location.strip_prefix(&format!("http://{HOST}")).unwrap().to_owned();
            let joint = if place.contains('?') { '&' } else { '?' };
            let place = format!("{place}{joint}digest={}", digest(blob));
            let sent = self.ask("PUT", &place, "application/octet-stream", blob).unwrap();
            assert_eq!(sent.status, 201, "{place}");
        }
        let place = format!("/v2/{repository}/manifests/{tag}");
        let sent = self.ask("PUT", &place, "application/vnd.oci.image.manifest.v1+json", &image.manifest());
        assert_eq!(sent.unwrap().status, 201, "{place}");
    }

    /// One request; `None` if nobody listens.
    fn ask(&self, method: &str, place: &str, kind: &str, body: &[u8]) -> Option<Answer> {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                // Of this thread alone.
                move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                let mut stream = TcpStream::connect(HOST).ok()?;
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let head = format!(
                    "{method} {place} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
                     Authorization: Basic {ACCOUNT}\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(body).unwrap();
                let mut text = Vec::new();
                stream.read_to_end(&mut text).unwrap();
                Some(Answer::read(&String::from_utf8_lossy(&text)))
            });
            asked.join().unwrap()
        })
    }
}

struct Answer {
    status: u16,
    location: String,
}

impl Answer {
    fn read(text: &str) -> Answer {
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        let location = text.lines().find_map(|line| line.strip_prefix("Location: "));
        Answer { status, location: location.unwrap_or_default().to_owned() }
    }
}
