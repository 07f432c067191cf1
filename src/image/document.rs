//! What registries and archives say about an image: index, manifest and configuration (OCI image-spec), read
//! with only the fields that are used, and checked before anything is fetched by them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::image::ImageConfig;

/// Of a manifest, an index or a configuration; the distribution-spec's bound for manifests.
pub(crate) const DOCUMENT_BYTES: u64 = 4 << 20;
/// More layers than overlayfs is asked to stack anywhere else.
const LAYERS: usize = 127;
const INDEX_ENTRIES: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("the {what} is not the JSON it should be")]
    Json { what: &'static str, source: serde_json::Error },
    #[error("the {what} {why}")]
    Refused { what: &'static str, why: &'static str },
    #[error("there is no image for {wanted}, only for {offered}")]
    NoPlatform { wanted: String, offered: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Document {
    Index(Vec<Descriptor>),
    Manifest(Manifest),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// A configuration, and the diff ids of its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) config: ImageConfig,
    pub(crate) diff_ids: Vec<String>,
}

impl Document {
    pub(crate) fn read(text: &[u8]) -> Result<Document, DocumentError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Either {
            #[serde(default)]
            media_type: String,
            #[serde(default)]
            schema_version: u32,
            manifests: Option<Vec<Descriptor>>,
            config: Option<Descriptor>,
            layers: Option<Vec<Descriptor>>,
        }
        let what = "image manifest";
        let refused = |why| DocumentError::Refused { what, why };
        let is: Either =
            serde_json::from_slice(text).map_err(|source| DocumentError::Json { what, source })?;
        if is.schema_version != 2 {
            return Err(refused("is of a schema other than 2"));
        }
        match (is.manifests, is.config, is.layers) {
            (Some(manifests), None, None) => {
                if manifests.len() > INDEX_ENTRIES {
                    return Err(refused("lists more than 1000 images"));
                }
                for descriptor in &manifests {
                    descriptor.check()?;
                }
                Ok(Document::Index(manifests))
            }
            (None, Some(config), Some(layers)) => {
                if layers.len() > LAYERS {
                    return Err(refused("lists more than 127 layers"));
                }
                config.check()?;
                for layer in &layers {
                    layer.check()?;
                }
                Ok(Document::Manifest(Manifest {
                    schema_version: is.schema_version,
                    media_type: is.media_type,
                    config,
                    layers,
                }))
            }
            // CVE-2021-41190: what is both is read differently by different programs.
            (Some(_), _, _) => Err(refused("is an index and a manifest at once")),
            (None, _, _) => Err(refused("has no configuration or no layers")),
        }
    }
}

impl Descriptor {
    fn check(&self) -> Result<(), DocumentError> {
        if is_digest(&self.digest) {
            return Ok(());
        }
        Err(DocumentError::Refused {
            what: "image manifest",
            why: "names content by something other than sha256",
        })
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

impl Configuration {
    pub(crate) fn read(text: &[u8]) -> Result<Configuration, DocumentError> {
        #[derive(Deserialize)]
        struct File {
            config: Option<Section>,
            rootfs: RootFs,
        }
        #[derive(Deserialize)]
        struct RootFs {
            diff_ids: Option<Vec<String>>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Section {
            env: Option<Vec<String>>,
            entrypoint: Option<Vec<String>>,
            cmd: Option<Vec<String>>,
            user: Option<String>,
            working_dir: Option<String>,
            stop_signal: Option<String>,
        }
        let what = "image configuration";
        let file: File =
            serde_json::from_slice(text).map_err(|source| DocumentError::Json { what, source })?;
        let diff_ids = file.rootfs.diff_ids.unwrap_or_default();
        if !diff_ids.iter().all(|id| is_digest(id)) {
            return Err(DocumentError::Refused { what, why: "names a layer by something other than sha256" });
        }
        let section = file.config.unwrap_or_default();
        let config = ImageConfig {
            env: section.env.unwrap_or_default(),
            entrypoint: section.entrypoint.unwrap_or_default(),
            cmd: section.cmd.unwrap_or_default(),
            user: section.user.unwrap_or_default(),
            working_dir: section.working_dir.unwrap_or_default(),
            stop_signal: section.stop_signal.filter(|signal| !signal.is_empty()),
        };
        Ok(Configuration { config, diff_ids })
    }
}

/// The entry of an index for this machine.
pub(crate) fn choose(entries: &[Descriptor]) -> Result<&Descriptor, DocumentError> {
    if let [only] = entries
        && only.platform.is_none()
    {
        return Ok(only);
    }
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        same => same,
    };
    // The variant every machine of the architecture runs; on 32-bit ARM the newest is what is built for today.
    let variants: &[Option<&str>] = match architecture {
        "arm" => &[Some("v7"), Some("v6"), Some("v5"), None],
        "arm64" => &[None, Some("v8")],
        "amd64" => &[None, Some("v1")],
        _ => &[None],
    };
    let fits = |variant: &Option<&str>| {
        entries.iter().find(|entry| {
            entry.platform.as_ref().is_some_and(|platform| {
                platform.os == "linux"
                    && platform.architecture == architecture
                    && platform.variant.as_deref().filter(|written| !written.is_empty()) == *variant
            })
        })
    };
    variants.iter().find_map(fits).ok_or_else(|| DocumentError::NoPlatform {
        wanted: format!("linux/{architecture}"),
        offered: offered(entries),
    })
}

fn offered(entries: &[Descriptor]) -> String {
    let named: Vec<String> = entries
        .iter()
        .filter_map(|entry| entry.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .take(20)
        .map(|platform| match &platform.variant {
            Some(variant) => format!("{}/{}/{variant}", platform.os, platform.architecture),
            None => format!("{}/{}", platform.os, platform.architecture),
        })
        .collect();
    if named.is_empty() { "no platform it names".to_owned() } else { named.join(", ") }
}

pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}
