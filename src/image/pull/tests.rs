use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::pull;
use crate::image::access::Access;
use crate::image::document::Platform;
use crate::image::import::digest_of;
use crate::image::store::Store;
use crate::image::tests::{Image, Place, Tar, descriptor, gzip, image};
use crate::model::image::{ImageRef, StoredImage};
use crate::model::observed::Outlook;
use crate::model::pull_environment::PullEnvironment;
use crate::model::pull_secret::PullSecret;
use crate::model::time::Timestamp;

const REGISTRY: &str = "/usr/bin/docker-registry";

/// `ann:hub-secret`, as HTTP and Docker write it, and as a registry keeps it.
const ANN: &str = "YW5uOmh1Yi1zZWNyZXQ=";
const ACCOUNTS: &str = "ann:$2b$04$abcdefghijklmnopqrstuuWoAb7lTGXwlsJc59P5YQEVSfUSpuVjm\n";

/// Distribution's registry on a port of its own, gone with this value.
struct Registry {
    process: Child,
    address: String,
    place: Place,
}

impl Registry {
    fn start() -> Option<Registry> {
        Registry::start_with(None)
    }

    /// `accounts`: an htpasswd file of those whom it gives anything.
    fn start_with(accounts: Option<&str>) -> Option<Registry> {
        if !Path::new(REGISTRY).exists() {
            println!("skipped: {REGISTRY} is not installed");
            return None;
        }
        let place = Place::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut config = serde_json::json!({
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": place.make("registry")}},
            "http": {"addr": address},
        });
        if let Some(accounts) = accounts {
            let path = place.write("accounts", accounts.as_bytes());
            config["auth"] = serde_json::json!({"htpasswd": {"realm": "test", "path": path}});
        }
        let config = place.write("config.yml", config.to_string().as_bytes());
        let process = Command::new(REGISTRY)
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut registry = Registry { process, address, place };
        // It listens or it ends: there is no third way out of this loop.
        while TcpStream::connect(&registry.address).is_err() {
            assert!(registry.process.try_wait().unwrap().is_none(), "the registry ended");
            std::thread::yield_now();
        }
        Some(registry)
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {ANN}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        answer
    }

    fn push_blob(&self, blob: &[u8]) {
        let answer = self.send("POST", "/v2/app/blobs/uploads/", "application/octet-stream", b"");
        let location = answer.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
        let path = &location[location.find("/v2/").unwrap()..];
        let digest = digest_of(blob).replace(':', "%3A");
        self.send("PUT", &format!("{path}&digest={digest}"), "application/octet-stream", blob);
    }

    fn push(&self, tag: &str, image: &Image) {
        for blob in image.layers.iter().chain([&image.config]) {
            self.push_blob(blob);
        }
        self.send(
            "PUT",
            &format!("/v2/app/manifests/{tag}"),
            "application/vnd.oci.image.manifest.v1+json",
            &image.manifest,
        );
    }

    fn pull(&self, reference: &str) -> Result<StoredImage, String> {
        let image = ImageRef::parse(&format!("{}/app{reference}", self.address), Path::new("/")).unwrap();
        pull(&self.store(), &image, &Access::default(), Timestamp::UNIX_EPOCH).map_err(|error| error.message)
    }

    fn store(&self) -> Store {
        Store::at(&self.place.0.join("images"))
    }

    /// The file in which the registry keeps a blob.
    fn blob(&self, digest: &str) -> std::path::PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = self.place.0.join("registry/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn environment(docker_config: PathBuf) -> PullEnvironment {
    PullEnvironment { docker_config, ..PullEnvironment::default() }
}

fn app(content: &str) -> Image {
    let base = Tar::new().file("etc/base", "the same in all").end();
    image(&[base, Tar::new().file("bin/app", content).end()], gzip)
}

#[test]
fn an_image_is_pulled_by_tag_and_by_digest() {
    let Some(registry) = Registry::start() else { return };
    let image = app("v1");
    registry.push("v1", &image);
    let stored = registry.pull(":v1").unwrap();
    assert_eq!(stored.digest, digest_of(&image.manifest));
    let layer = registry.store().layer(&stored.layers[1]);
    assert_eq!(std::fs::read_to_string(layer.join("bin/app")).unwrap(), "v1");
    assert_eq!(registry.pull(&format!("@{}", stored.digest)).unwrap(), stored);
    assert_eq!(registry.store().all().unwrap().len(), 2);
}

#[test]
fn a_moved_tag_is_resolved_anew_and_layers_that_are_there_are_not_fetched() {
    let Some(registry) = Registry::start() else { return };
    let (first, second) = (app("v1"), app("v2"));
    registry.push("latest", &first);
    let before = registry.pull("").unwrap();
    registry.push("latest", &second);
    // Were the shared layer fetched again, this would be noticed.
    std::fs::write(registry.blob(&digest_of(&second.layers[0])), "damaged").unwrap();
    let after = registry.pull("").unwrap();
    assert_eq!(after.digest, digest_of(&second.manifest));
    assert_eq!(after.layers[0], before.layers[0]);
    assert_ne!(after.layers[1], before.layers[1]);
}

#[test]
fn an_index_leads_to_the_image_of_this_machine() {
    let Some(registry) = Registry::start() else { return };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let (mine, other) = (app("mine"), app("other"));
    registry.push("mine", &mine);
    registry.push("other", &other);
    let entry = |image: &Image, architecture: &str| {
        let mut entry = descriptor("manifest.v1+json", &image.manifest);
        let architecture = architecture.to_owned();
        entry.platform = Some(Platform { architecture, os: "linux".to_owned(), variant: None });
        entry
    };
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = |entries: &[_]| {
        serde_json::json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).to_string()
    };
    let both = index(&[entry(&other, "vax"), entry(&mine, architecture)]);
    registry.send("PUT", "/v2/app/manifests/both", kind, both.as_bytes());
    assert_eq!(registry.pull(":both").unwrap().digest, digest_of(&mine.manifest));
    let one = index(&[entry(&other, "vax"), entry(&other, "pdp11")]);
    registry.send("PUT", "/v2/app/manifests/one", kind, one.as_bytes());
    let refused = registry.pull(":one").unwrap_err();
    assert_eq!(
        refused,
        format!("there is no image for linux/{architecture}, only for linux/vax, linux/pdp11")
    );
}

#[test]
fn what_a_registry_does_wrong_is_said_in_words() {
    let Some(registry) = Registry::start() else { return };
    let refused = registry.pull(":none").unwrap_err();
    let address = &registry.address;
    assert_eq!(refused, format!("registry {address} has no {address}/app:none"));

    let image = app("v1");
    registry.push("v1", &image);
    let layer = registry.blob(&digest_of(&image.layers[1]));
    let whole = std::fs::read(&layer).unwrap();
    let mut changed = whole.clone();
    changed[20] ^= 1;
    for wrong in [changed, whole[..whole.len() - 5].to_vec(), [whole.as_slice(), b"more"].concat()] {
        std::fs::write(&layer, wrong).unwrap();
        let refused = registry.pull(":v1").unwrap_err();
        assert!(refused.starts_with(&format!("registry {address} ")), "{refused}");
        assert_eq!(registry.store().all().unwrap(), []);
        assert!(!registry.store().layer(&digest_of(b"")).exists());
    }
    std::fs::write(&layer, whole).unwrap();
    registry.pull(":v1").unwrap();
}

#[test]
fn a_guest_is_given_nothing_for_the_credentials_of_the_machine() {
    let Some(registry) = Registry::start_with(Some(ACCOUNTS)) else { return };
    registry.push("v1", &app("v1"));
    let (address, place) = (&registry.address, &registry.place);
    let listed = format!("hosts: [{{host: \"{address}\", plainHttp: true}}]");
    let registries = place.write("registries.yaml", listed.as_bytes());
    let docker = place.write(
        "docker.json",
        format!("{{\"auths\": {{\"{address}\": {{\"auth\": \"{ANN}\"}}}}}}").as_bytes(),
    );
    let access = Access::read(&registries, environment(docker)).unwrap();
    let image = ImageRef::parse(&format!("{address}/app:v1"), Path::new("/")).unwrap();
    let guest = image.clone().for_guest();
    let store = registry.store();
    let pull = |image: &ImageRef| pull(&store, image, &access, Timestamp::UNIX_EPOCH);
    pull(&image).unwrap();
    let refused = pull(&guest).unwrap_err().message;
    assert!(refused.contains("does not let anonymous users pull"), "{refused}");
    assert_eq!(store.find(&guest).unwrap(), None, "nor what was brought in for others");
}

/// A diff id is no secret: anybody can write an image that names the layer of another.
#[test]
fn nobody_is_given_a_private_layer_for_naming_it() {
    let (Some(closed), Some(open)) = (Registry::start_with(Some(ACCOUNTS)), Registry::start()) else {
        return;
    };
    let private = app("of the team");
    closed.push("v1", &private);
    let place = &closed.place;
    let listed = format!("hosts: [{{host: \"{}\", plainHttp: true}}]", open.address);
    let registries = place.write("registries.yaml", listed.as_bytes());
    let auths = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{ANN}\"}}}}}}", closed.address);
    let access =
        Access::read(&registries, environment(place.write("docker.json", auths.as_bytes()))).unwrap();
    let store = closed.store();
    let named = |registry: &Registry, tag: &str| {
        ImageRef::parse(&format!("{}/app:{tag}", registry.address), Path::new("/")).unwrap()
    };
    let pull = |image: &ImageRef| pull(&store, image, &access, Timestamp::UNIX_EPOCH);
    pull(&named(&closed, "v1")).unwrap();

    let own = gzip(&Tar::new().file("etc/mine", "no more than this").end());
    let described = descriptor("layer.v1.tar", &own);
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &private.config),
        "layers": [described, described],
    });
    let (layers, config) = (vec![own], private.config.clone());
    open.push("forged", &Image { layers, config, manifest: serde_json::to_vec(&manifest).unwrap() });
    let forged = named(&open, "forged");
    for image in [forged.clone().for_guest(), forged.clone()] {
        let refused = pull(&image).unwrap_err().message;
        assert!(refused.starts_with("an unpacked layer is not what its digest"), "{refused}");
    }
    assert_eq!(store.find(&forged.for_guest()).unwrap(), None);

    // Whoever can show it has it, and need not show it again.
    open.push("same", &private);
    let same = named(&open, "same").for_guest();
    let brought = pull(&same).unwrap();
    for layer in &private.layers {
        std::fs::write(open.blob(&digest_of(layer)), "damaged").unwrap();
    }
    assert_eq!(pull(&same).unwrap(), brought);
}

#[test]
fn the_secrets_of_pods_are_tried_before_the_credentials_of_the_machine_and_none_is_told() {
    let Some(registry) = Registry::start_with(Some(ACCOUNTS)) else { return };
    registry.push("v1", &app("v1"));
    let address = &registry.address;
    let of = |user: &str, password: &str| {
        let auths = serde_json::json!({(address): {"username": user, "password": password}});
        PullSecret::DockerCfg(auths.to_string().into_bytes())
    };
    let image = ImageRef::parse(&format!("{address}/app:v1"), Path::new("/")).unwrap();
    let store = registry.store();
    let pull = |secrets: &[PullSecret]| {
        let access = Access::default().with_pull_secrets(secrets).unwrap();
        pull(&store, &image, &access, Timestamp::UNIX_EPOCH).map_err(|error| error.message)
    };
    let refused = pull(&[of("eve", "guessed")]).unwrap_err();
    assert!(refused.contains("does not let the user of its imagePullSecrets pull"), "{refused}");
    assert!(!refused.contains("eve") && !refused.contains("guessed"), "{refused}");
    pull(&[of("eve", "guessed"), of("ann", "hub-secret")]).unwrap();
    assert!(store.find(&image).unwrap().is_some(), "whoever names it next finds it");
    assert_eq!(store.find(&image.for_guest()).unwrap(), None);
}

#[test]
fn a_guest_pulls_what_a_registry_gives_to_anybody() {
    let Some(registry) = Registry::start() else { return };
    registry.push("v1", &app("v1"));
    let listed = format!("hosts: [{{host: \"{}\", plainHttp: true}}]", registry.address);
    let registries = registry.place.write("registries.yaml", listed.as_bytes());
    let access = Access::read(&registries, environment(registry.place.0.join("none.json"))).unwrap();
    let image = ImageRef::parse(&format!("{}/app:v1", registry.address), Path::new("/")).unwrap().for_guest();
    let store = registry.store();
    let pulled = pull(&store, &image, &access, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(store.find(&image).unwrap().map(|stored| stored.image), Some(pulled));
    let refused = pull(&store, &image, &Access::default(), Timestamp::UNIX_EPOCH).unwrap_err().message;
    assert!(refused.starts_with("cannot reach registry 127.0.0.1:"), "not listed, and so by TLS: {refused}");
}

/// Answers each of these requests in its turn, on a port of its own; a head may name the address by `HERE`.
fn answering(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let here = address.clone();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let (head, body) = answer.split_once("\n\n").unwrap();
            let head = head.replace('\n', "\r\n").replace("HERE", &here);
            let length = body.len();
            let text =
                format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    address
}

#[test]
fn a_token_service_in_trouble_is_no_denial_and_tried_again() {
    const CHALLENGE: &str =
        "401 Unauthorized\nWWW-Authenticate: Bearer realm=\"http://HERE/token\",service=\"x\"\n\n";
    let place = Place::new();
    let store = Store::at(&place.0.join("images"));
    for (answers, part, outlook) in [
        (&[CHALLENGE, "503 Service Unavailable\n\nupstream is down"], "is in trouble", Outlook::MayPass),
        (&[CHALLENGE, "429 Too Many Requests\n\nToo Many Requests"], "limits how much", Outlook::MayPass),
        (
            &[CHALLENGE, "403 Forbidden\n\n{\"errors\": [{\"code\": \"DENIED\"}]}"],
            "does not let anonymous users pull",
            Outlook::Final,
        ),
    ] {
        let address = answering(answers);
        let image = ImageRef::parse(&format!("{address}/app"), Path::new("/")).unwrap();
        let refused = pull(&store, &image, &Access::default(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(refused.message.contains(part), "{}", refused.message);
        assert_eq!(refused.outlook, outlook, "{}", refused.message);
    }
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    let place = Place::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let image = ImageRef::parse(&format!("127.0.0.1:{port}/app"), Path::new("/")).unwrap();
    let store = Store::at(&place.0.join("images"));
    let refused = pull(&store, &image, &Access::default(), Timestamp::UNIX_EPOCH).unwrap_err().message;
    assert!(refused.starts_with(&format!("cannot reach registry 127.0.0.1:{port}: ")), "{refused}");
    assert!(refused.contains("refused"), "{refused}");
}

#[test]
fn the_hosts_root_is_not_pulled() {
    let place = Place::new();
    let store = Store::at(&place.0.join("images"));
    let refused = pull(&store, &ImageRef::HostRoot, &Access::default(), Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(refused.message, "droppod.local/host is this machine's own root: there is nothing to pull");
}
