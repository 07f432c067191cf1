//! How registries are reached: which ones over plain HTTP, and with which credentials.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

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
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// `host[:port]` of registries that speak plain HTTP.
    pub(crate) insecure: Vec<String>,
    /// By registry, as Docker names it.
    credentials: BTreeMap<String, Credential>,
    whose: Whose,
}

/// On whose behalf registries are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Whose {
    #[default]
    Owner,
    /// A folder that others can write to.
    Guest,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl Access {
    /// Reads droppod's `registries.yaml` and Docker's `config.json`; each may be missing.
    pub(crate) fn read(registries: &Path, docker: &Path) -> Result<Access, AccessError> {
        Ok(Access { insecure: insecure(registries)?, credentials: credentials(docker)?, whose: Whose::Owner })
    }

    /// The same without credentials. Nor is a service of this machine's loopback spoken to unless it is listed: whoever
    /// writes a name into a manifest could make us ask it things.
    pub(crate) fn of_guests(&self) -> Access {
        let insecure = self.insecure.clone();
        Access { insecure, credentials: BTreeMap::new(), whose: Whose::Guest }
    }

    /// The credential for a registry, found as Docker finds it.
    pub(crate) fn credential(&self, registry: &str) -> Option<&Credential> {
        let named = |key: &str| {
            let host = key.trim_start_matches("https://").trim_start_matches("http://");
            host.split('/').next() == Some(registry)
        };
        let hub = registry == "docker.io" || registry == "index.docker.io";
        self.credentials
            .iter()
            .find(|(key, _)| named(key) || (hub && key.as_str() == "https://index.docker.io/v1/"))
            .map(|(_, credential)| credential)
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

fn credentials(path: &Path) -> Result<BTreeMap<String, Credential>, AccessError> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        auths: BTreeMap<String, Auth>,
    }
    #[derive(Deserialize)]
    struct Auth {
        auth: Option<String>,
        username: Option<String>,
        password: Option<String>,
    }
    let Some(text) = read(path)? else { return Ok(BTreeMap::new()) };
    let config: Config = serde_json::from_slice(&text)
        .map_err(|source| AccessError::Json { path: path.to_owned(), source })?;
    let credential = |auth: Auth| match auth {
        Auth { username: Some(user), password: Some(password), .. } => Some(Credential { user, password }),
        Auth { auth: Some(encoded), .. } => {
            let text = String::from_utf8(base64(&encoded)?).ok()?;
            let (user, password) = text.split_once(':')?;
            Some(Credential { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
        }
        Auth { .. } => None,
    };
    Ok(config.auths.into_iter().filter_map(|(registry, auth)| Some((registry, credential(auth)?))).collect())
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

/// RFC 4648 with padding, which is all that Docker writes.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for symbol in text.trim_end_matches('=').bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).expect("masked to eight bits"));
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::Access;

    #[test]
    fn credentials_are_found_as_docker_writes_them_and_never_shown() {
        let place = tempdir();
        let docker = place.join("config.json");
        let auths = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YW5uOmh1Yi1zZWNyZXQ="},
            "registry.example:5000": {"username": "bob", "password": "other:secret"}}}"#;
        std::fs::write(&docker, auths).unwrap();
        let access = Access::read(&place.join("none.yaml"), &docker).unwrap();
        let found = |registry| {
            access.credential(registry).map(|found| (found.user.as_str(), found.password.as_str()))
        };
        assert_eq!(found("docker.io"), Some(("ann", "hub-secret")));
        assert_eq!(found("registry.example:5000"), Some(("bob", "other:secret")));
        assert_eq!(found("registry.example"), None);
        assert!(!format!("{access:?}").contains("secret"));
        assert!(access.of_guests().credential("docker.io").is_none());
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
        let access = Access::read(&registries, &place.join("none.json")).unwrap();
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
