//! Credentials for registries that a pod names in its `imagePullSecrets`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The text of a Secret, by its type.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PullSecret {
    /// `kubernetes.io/dockerconfigjson`
    DockerConfigJson(Vec<u8>),
    /// `kubernetes.io/dockercfg`
    DockerCfg(Vec<u8>),
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PullSecret(…)")
    }
}
