//! How registries are reached: which ones over plain HTTP, and with which credentials.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::keyring::{Credential, Keyring};
use crate::model::pull_environment::PullEnvironment;
use crate::model::pull_secret::PullSecret;

/// More than any configuration written by hand.
const FILE_BYTES: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot understand {path}")]
    Yaml { path: PathBuf, source: serde_yaml::Error },
    #[error("cannot understand {path}")]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("cannot understand a Secret of imagePullSecrets")]
    Secret,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// `host[:port]` of registries that speak plain HTTP.
    pub(crate) insecure: Vec<String>,
    /// The machine's.
    own: Keyring,
    of_pods: Keyring,
    whose: Whose,
    pub(super) environment: PullEnvironment,
}

/// On whose behalf registries are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Whose {
    #[default]
    Owner,
    /// A folder that others can write to.
    Guest,
}

impl Access {
    /// Reads droppod's `registries.yaml` and Docker's `config.json`; each may be missing.
    pub(crate) fn read(registries: &Path, environment: PullEnvironment) -> Result<Access, AccessError> {
        let (insecure, own) = (insecure(registries)?, credentials(&environment.docker_config)?);
        Ok(Access { insecure, own, of_pods: Keyring::default(), whose: Whose::Owner, environment })
    }

    /// The same without credentials. Nor is a service of this machine's loopback spoken to unless it is listed: whoever
    /// writes a name into a manifest could make us ask it things.
    pub(crate) fn of_guests(&self) -> Access {
        let (insecure, environment) = (self.insecure.clone(), self.environment.clone());
        Access { insecure, whose: Whose::Guest, environment, ..Access::default() }
    }

    /// With what pods name for their images.
    ///
    /// # Errors
    /// A Secret that is none, in words that repeat nothing of it.
    pub(crate) fn with_pull_secrets(self, secrets: &[PullSecret]) -> Result<Access, AccessError> {
        let of_pods = Keyring::of_secrets(secrets).map_err(|_| AccessError::Secret)?;
        Ok(Access { of_pods, ..self })
    }

    /// Credentials to try for an image, one after the other: its pods' before the machine's.
    pub(crate) fn credentials(&self, registry: &str, repository: &str) -> Vec<Credential> {
        let of_machine = self.own.of_registry(registry);
        self.of_pods.of_image(registry, repository).chain(of_machine).cloned().collect()
    }

    /// What is reached without a proxy: this machine, and what the user says.
    pub(super) fn no_proxy(&self) -> String {
        let named = self.environment.no_proxy.iter().map(String::as_str);
        ["localhost", "127.0.0.0/8", "::1"].into_iter().chain(named).collect::<Vec<_>>().join(",")
    }

    /// Whether a registry is spoken to without TLS: those listed, and for the owner this machine, as Docker does.
    pub(crate) fn is_plain_http(&self, registry: &str) -> bool {
        let host = match registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            Some(_) | None => registry,
        };
        let loopback =
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let own = self.whose == Whose::Owner && (loopback || host == "localhost");
        own || self.insecure.iter().any(|listed| listed == registry)
    }
}

fn insecure(path: &Path) -> Result<Vec<String>, AccessError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Registries {
        #[serde(default)]
        hosts: Vec<Host>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Host {
        host: String,
        #[serde(default)]
        plain_http: bool,
    }
    let Some(text) = read(path)? else { return Ok(Vec::new()) };
    let registries: Registries = serde_yaml::from_slice(&text)
        .map_err(|source| AccessError::Yaml { path: path.to_owned(), source })?;
    Ok(registries.hosts.into_iter().filter(|host| host.plain_http).map(|host| host.host).collect())
}

fn credentials(path: &Path) -> Result<Keyring, AccessError> {
    let Some(text) = read(path)? else { return Ok(Keyring::default()) };
    Keyring::of_docker(&text).map_err(|source| AccessError::Json { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, AccessError> {
    use std::io::Read;
    let cannot = |source| AccessError::Read { path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut text).map_err(cannot)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Access, PullEnvironment};

    fn environment(docker_config: PathBuf) -> PullEnvironment {
        PullEnvironment { docker_config, ..PullEnvironment::default() }
    }

    #[test]
    fn credentials_are_found_as_docker_writes_them_and_never_shown() {
        let place = tempdir();
        let docker = place.join("config.json");
        let auths = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YW5uOmh1Yi1zZWNyZXQ="},
            "registry.example:5000": {"username": "bob", "password": "other:secret"}}}"#;
        std::fs::write(&docker, auths).unwrap();
        let access = Access::read(&place.join("none.yaml"), environment(docker)).unwrap();
        let found = |registry| -> Vec<(String, String)> {
            let all = access.credentials(registry, "app").into_iter();
            all.map(|found| (found.user, found.password)).collect()
        };
        let of = |user: &str, password: &str| vec![(user.to_owned(), password.to_owned())];
        assert_eq!(found("docker.io"), of("ann", "hub-secret"));
        assert_eq!(found("registry.example:5000"), of("bob", "other:secret"));
        assert_eq!(found("registry.example"), []);
        assert!(!format!("{access:?}").contains("secret"));
        assert_eq!(access.of_guests().credentials("docker.io", "app"), []);
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn plain_http_is_for_this_machine_and_listed_hosts() {
        let place = tempdir();
        let registries = place.join("registries.yaml");
        std::fs::write(
            &registries,
            "hosts:\n- {host: \"box.lan:5000\", plainHttp: true}\n- {host: tls.lan}\n",
        )
        .unwrap();
        let access = Access::read(&registries, environment(place.join("none.json"))).unwrap();
        for (registry, plain) in [
            ("box.lan:5000", true),
            ("box.lan", false),
            ("tls.lan", false),
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("[::1]:5000", true),
            ("127.0.0.1.example", false),
            ("docker.io", false),
        ] {
            assert_eq!(access.is_plain_http(registry), plain, "{registry}");
            let listed = registry == "box.lan:5000";
            assert_eq!(access.of_guests().is_plain_http(registry), listed, "{registry} for guests");
        }
        std::fs::remove_dir_all(place).unwrap();
    }

    fn tempdir() -> std::path::PathBuf {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let place = std::env::temp_dir().join(format!("droppod-access-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        place
    }
}
