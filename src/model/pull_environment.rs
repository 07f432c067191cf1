//! What a pull is handed by the loop that starts it: nothing of it is among arguments or in the environment, where others
//! can read it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::pull_secret::PullSecret;

/// How registries are reached, as the environment of the command says that directs the pulls.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PullEnvironment {
    /// `SSL_CERT_FILE`, absolute. With this or the next, the machine's own certificates do not count.
    pub(crate) certificates: Option<PathBuf>,
    /// `SSL_CERT_DIR`, absolute.
    pub(crate) certificate_directories: Vec<PathBuf>,
    /// `HTTPS_PROXY`; the address may hold a password.
    pub(crate) https_proxy: Option<String>,
    /// `HTTP_PROXY`; the same.
    pub(crate) http_proxy: Option<String>,
    /// `NO_PROXY`.
    pub(crate) no_proxy: Option<String>,
    /// Docker's `config.json`, absolute.
    pub(crate) docker_config: PathBuf,
}

impl fmt::Debug for PullEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PullEnvironment(…)")
    }
}

/// All that a pull is handed beside its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PullHandover {
    pub(crate) secrets: Vec<PullSecret>,
    pub(crate) environment: PullEnvironment,
}
