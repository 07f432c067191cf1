//! Credentials for registries, as Docker writes them, found as the kubelet finds them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::model::pull_secret::PullSecret;

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) holder: Holder,
}

/// Whose a credential is: of a Secret, not even the user is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Machine,
    Secret,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// By registry, as their author names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Keyring(Vec<(String, Credential)>);

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

impl Keyring {
    /// Docker's `config.json`.
    pub(crate) fn of_docker(text: &[u8]) -> serde_json::Result<Keyring> {
        let config: Config = serde_json::from_slice(text)?;
        Ok(Keyring(of_auths(config.auths, Holder::Machine).collect()))
    }

    pub(crate) fn of_secrets(secrets: &[PullSecret]) -> serde_json::Result<Keyring> {
        let mut keys = Vec::new();
        for secret in secrets {
            let auths = match secret {
                PullSecret::DockerConfigJson(text) => serde_json::from_slice::<Config>(text)?.auths,
                PullSecret::DockerCfg(text) => serde_json::from_slice(text)?,
            };
            keys.extend(of_auths(auths, Holder::Secret));
        }
        // The one that says most comes first.
        keys.sort_by(|(a, _), (b, _)| bare(b).cmp(bare(a)));
        Ok(Keyring(keys))
    }

    /// The credential of the machine for a registry, found as Docker finds it.
    pub(crate) fn of_registry(&self, registry: &str) -> Option<&Credential> {
        let named = |key: &str| bare(key).split('/').next() == Some(registry);
        let hub = registry == "docker.io" || registry == "index.docker.io";
        let mut all = self.0.iter();
        let found = all.find(|(key, _)| named(key) || (hub && key.as_str() == "https://index.docker.io/v1/"));
        found.map(|(_, credential)| credential)
    }

    /// Those that fit an image, whose registry and repository these are, as the kubelet finds them: `*.example/team`
    /// fits `one.example/team/app`.
    pub(crate) fn of_image(&self, registry: &str, repository: &str) -> impl Iterator<Item = &Credential> {
        let fitting = self.0.iter().filter(move |(key, _)| fits(key, registry, repository));
        fitting.map(|(_, credential)| credential)
    }
}

fn of_auths(auths: BTreeMap<String, Auth>, holder: Holder) -> impl Iterator<Item = (String, Credential)> {
    auths.into_iter().filter_map(move |(registry, auth)| Some((registry, credential(auth, holder)?)))
}

fn credential(auth: Auth, holder: Holder) -> Option<Credential> {
    match auth {
        Auth { username: Some(user), password: Some(password), .. } => {
            Some(Credential { user, password, holder })
        }
        Auth { auth: Some(encoded), .. } => {
            let text = String::from_utf8(base64(&encoded)?).ok()?;
            let (user, password) = text.split_once(':')?;
            let password = password.trim_end_matches('\0').to_owned();
            Some(Credential { user: user.to_owned(), password, holder })
        }
        Auth { .. } => None,
    }
}

fn bare(key: &str) -> &str {
    key.trim_start_matches("https://").trim_start_matches("http://")
}

/// <https://kubernetes.io/docs/concepts/containers/images/#config-json>
fn fits(key: &str, registry: &str, repository: &str) -> bool {
    let (host, path) = bare(key).split_once('/').unwrap_or((bare(key), ""));
    // What Docker writes for the registry's API.
    let path = path.strip_prefix("v1/").or(path.strip_prefix("v2/")).unwrap_or(path);
    let path = if matches!(path, "v1" | "v2") { "" } else { path.trim_end_matches('/') };
    let hub = |name: &str| matches!(name, "docker.io" | "index.docker.io");
    let same_host = fits_host(host, registry) || (hub(host) && hub(registry));
    same_host && repository.starts_with(path)
}

fn fits_host(pattern: &str, host: &str) -> bool {
    fn port(host: &str) -> (&str, Option<&str>) {
        host.rsplit_once(':').map_or((host, None), |(host, port)| (host, Some(port)))
    }
    let ((pattern, wanted), (host, present)) = (port(pattern), port(host));
    let (patterns, labels): (Vec<&str>, Vec<&str>) =
        (pattern.split('.').collect(), host.split('.').collect());
    wanted == present
        && patterns.len() == labels.len()
        && patterns
            .iter()
            .zip(labels)
            .all(|(pattern, label)| fits_label(pattern.as_bytes(), label.as_bytes()))
}

fn fits_label(pattern: &[u8], label: &[u8]) -> bool {
    match (pattern, label) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            fits_label(rest, label) || (!label.is_empty() && fits_label(pattern, &label[1..]))
        }
        ([b'?', rest @ ..], [_, after @ ..]) => fits_label(rest, after),
        ([one, rest @ ..], [other, after @ ..]) => one == other && fits_label(rest, after),
        ([_, ..], []) | ([], [_, ..]) => false,
    }
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
    use super::*;

    #[test]
    fn a_secret_fits_the_images_that_it_would_fit_for_the_kubelet() {
        for (key, registry, repository, fitting) in [
            ("registry.example", "registry.example", "app", true),
            ("https://registry.example/v1/", "registry.example", "team/app", true),
            ("registry.example", "registry.example:5000", "app", false),
            ("registry.example:5000/team", "registry.example:5000", "team/app", true),
            ("registry.example:5000/team", "registry.example:5000", "other/app", false),
            ("*.example", "registry.example", "app", true),
            ("*.example", "one.registry.example", "app", false),
            ("re*ry.ex?mple", "registry.example", "app", true),
            ("https://index.docker.io/v1/", "docker.io", "library/app", true),
            ("docker.io", "docker.io", "library/app", true),
            ("https://index.docker.io/v1/", "registry.example", "library/app", false),
        ] {
            assert_eq!(fits(key, registry, repository), fitting, "{key} for {registry}/{repository}");
        }
    }

    #[test]
    fn both_types_of_secrets_are_read_and_what_says_most_comes_first() {
        let config = br#"{"auths": {"r.example": {"auth": "YW5uOmh1Yi1zZWNyZXQ="}}}"#.to_vec();
        let older = br#"{"r.example/team": {"username": "bob", "password": "other"}}"#.to_vec();
        let secrets = [PullSecret::DockerConfigJson(config), PullSecret::DockerCfg(older)];
        let keyring = Keyring::of_secrets(&secrets).unwrap();
        let users = |repository| -> Vec<&str> {
            keyring.of_image("r.example", repository).map(|found| found.user.as_str()).collect()
        };
        assert_eq!(users("team/app"), ["bob", "ann"]);
        assert_eq!(users("app"), ["ann"]);
        assert!(!format!("{keyring:?} {secrets:?}").contains("other"));
        assert!(Keyring::of_secrets(&[PullSecret::DockerCfg(b"[".to_vec())]).is_err());
    }
}
