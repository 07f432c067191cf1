//! Names and identities. Paths, cgroups and interfaces are built from these, so they are checked when made.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Identity of one object or pod, an RFC 4122 UUID in its 36-character lower-case form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Uid(String);

impl Uid {
    /// A version 4 UUID from 16 random bytes.
    pub(crate) fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Uid(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Eleven characters that name this pod's network interface (IFNAMSIZ allows fifteen).
    pub(crate) fn short(&self) -> String {
        self.0.chars().filter(char::is_ascii_hexdigit).take(11).collect()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a UUID")]
pub(crate) struct NotAUid(String);

impl TryFrom<String> for Uid {
    type Error = NotAUid;

    fn try_from(text: String) -> Result<Self, NotAUid> {
        let well_formed = text.len() == 36
            && text.char_indices().all(|(at, c)| match at {
                8 | 13 | 18 | 23 => c == '-',
                _ => matches!(c, '0'..='9' | 'a'..='f'),
            });
        if well_formed { Ok(Uid(text)) } else { Err(NotAUid(text)) }
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> String {
        uid.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One pod: a name a person knows it by, and the identity that outlives a re-creation under that name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct PodId {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: Uid,
}

impl fmt::Display for PodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Eight hexadecimal digits hashed from an instance's run directory; part of every name that the instance
/// gives to something outside of its own directories (bridge, nft table, cgroup).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct InstanceId(pub(crate) String);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_uid_reads_back() {
        let uid = Uid::from_random([0xab; 16]);
        assert_eq!(uid.as_str(), "abababab-abab-4bab-abab-abababababab");
        assert_eq!(Uid::try_from(uid.to_string()).unwrap(), uid);
        assert_eq!(uid.short(), "ababababaab".replace("aab", "aba"));
    }

    #[test]
    fn a_path_is_not_a_uid() {
        for text in [
            "",
            "../../etc/passwd",
            "ABABABAB-ABAB-4BAB-ABAB-ABABABABABAB",
            "abababab-abab-4bab-abab-ababababab/.",
        ] {
            assert!(Uid::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
