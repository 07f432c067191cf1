//! Volumes made of files: ConfigMap, Secret, downward API and what projected volumes put together of them.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeFile, DownwardAPIVolumeSource, KeyToPath, ProjectedVolumeSource,
    SecretVolumeSource, VolumeProjection,
};

use crate::model::pod_plan::{Medium, ProjectedFile, VolumePlan};

use super::downward;
use super::env::unless_optional;
use super::pod::Facts;
use super::references::{Unresolved, config_map_data, secret_data};

const DEFAULT_MODE: i32 = 0o644;

/// Files by path: what a later source puts at the same place wins.
type Files = BTreeMap<String, ProjectedFile>;

pub(super) fn config_map(
    facts: &Facts<'_>,
    source: &ConfigMapVolumeSource,
) -> Result<VolumePlan, Unresolved> {
    let mut files = Files::new();
    let selection =
        Selection { items: source.items.as_deref(), optional: source.optional, mode: source.default_mode };
    add_config_map(facts, &source.name, &selection, &mut files)?;
    Ok(volume(files, Medium::Disk))
}

pub(super) fn secret(facts: &Facts<'_>, source: &SecretVolumeSource) -> Result<VolumePlan, Unresolved> {
    let mut files = Files::new();
    let selection =
        Selection { items: source.items.as_deref(), optional: source.optional, mode: source.default_mode };
    add_secret(facts, source.secret_name.as_deref().unwrap_or_default(), &selection, &mut files)?;
    Ok(volume(files, Medium::Memory))
}

pub(super) fn downward_api(
    facts: &Facts<'_>,
    source: &DownwardAPIVolumeSource,
) -> Result<VolumePlan, Unresolved> {
    let mut files = Files::new();
    add_downward(facts, source.items.as_deref(), source.default_mode, &mut files)?;
    Ok(volume(files, Medium::Disk))
}

/// Lies in memory as soon as one of its sources is a Secret.
pub(super) fn projected(facts: &Facts<'_>, source: &ProjectedVolumeSource) -> Result<VolumePlan, Unresolved> {
    let mut files = Files::new();
    let mut medium = Medium::Disk;
    for part in source.sources.iter().flatten() {
        if part.secret.is_some() {
            medium = Medium::Memory;
        }
        add_projection(facts, part, source.default_mode, &mut files)?;
    }
    Ok(volume(files, medium))
}

fn add_projection(
    facts: &Facts<'_>,
    part: &VolumeProjection,
    mode: Option<i32>,
    files: &mut Files,
) -> Result<(), Unresolved> {
    if let Some(source) = &part.config_map {
        let selection = Selection { items: source.items.as_deref(), optional: source.optional, mode };
        add_config_map(facts, &source.name, &selection, files)?;
    }
    if let Some(source) = &part.secret {
        let selection = Selection { items: source.items.as_deref(), optional: source.optional, mode };
        add_secret(facts, &source.name, &selection, files)?;
    }
    if let Some(source) = &part.downward_api {
        add_downward(facts, source.items.as_deref(), mode, files)?;
    }
    if part.service_account_token.is_some() {
        return Err(Unresolved::NotServed { source_kind: "serviceAccountToken" });
    }
    if part.pod_certificate.is_some() {
        return Err(Unresolved::NotServed { source_kind: "podCertificate" });
    }
    match &part.cluster_trust_bundle {
        Some(bundle) if bundle.optional != Some(true) => {
            Err(Unresolved::NotServed { source_kind: "clusterTrustBundle" })
        }
        Some(_) | None => Ok(()),
    }
}

/// Which keys become files, under which names.
struct Selection<'a> {
    items: Option<&'a [KeyToPath]>,
    optional: Option<bool>,
    mode: Option<i32>,
}

fn add_config_map(
    facts: &Facts<'_>,
    name: &str,
    selection: &Selection<'_>,
    files: &mut Files,
) -> Result<(), Unresolved> {
    let found = facts.references.config_map(&facts.id.namespace, name);
    let Some(map) = unless_optional(found, selection.optional)? else { return Ok(()) };
    add_keys(&config_map_data(map), selection, files, |key| Unresolved::NoConfigMapItem { key })
}

fn add_secret(
    facts: &Facts<'_>,
    name: &str,
    selection: &Selection<'_>,
    files: &mut Files,
) -> Result<(), Unresolved> {
    let found = facts.references.secret(&facts.id.namespace, name);
    let Some(secret) = unless_optional(found, selection.optional)? else { return Ok(()) };
    add_keys(&secret_data(secret), selection, files, |key| Unresolved::NoSecretItem { key })
}

fn add_keys(
    data: &BTreeMap<&str, &[u8]>,
    selection: &Selection<'_>,
    files: &mut Files,
    missing: fn(String) -> Unresolved,
) -> Result<(), Unresolved> {
    let Some(items) = selection.items.filter(|items| !items.is_empty()) else {
        for (key, content) in data {
            add(files, key, content.to_vec(), selection.mode)?;
        }
        return Ok(());
    };
    for item in items {
        let found = data.get(item.key.as_str()).ok_or_else(|| missing(item.key.clone()));
        if let Some(content) = unless_optional(found, selection.optional)? {
            add(files, &item.path, content.to_vec(), item.mode.or(selection.mode))?;
        }
    }
    Ok(())
}

fn add_downward(
    facts: &Facts<'_>,
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: Option<i32>,
    files: &mut Files,
) -> Result<(), Unresolved> {
    for item in items.into_iter().flatten() {
        let content = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => downward::field(facts, &field.field_path)?,
            (None, Some(selector)) => {
                let container = facts.container(selector.container_name.as_deref().unwrap_or_default())?;
                downward::resource(facts, container, selector)?
            }
            (None, None) => continue,
        };
        add(files, &item.path, content.into_bytes(), item.mode.or(mode))?;
    }
    Ok(())
}

fn add(files: &mut Files, path: &str, content: Vec<u8>, mode: Option<i32>) -> Result<(), Unresolved> {
    let plain = plain_path(path).filter(|plain| !plain.as_os_str().is_empty());
    let path = match plain {
        Some(plain) => plain.to_string_lossy().into_owned(),
        None => return Err(Unresolved::Path { path: path.to_owned() }),
    };
    let mode = mode.unwrap_or(DEFAULT_MODE).cast_unsigned() & 0o777;
    files.insert(path.clone(), ProjectedFile { path, content, mode });
    Ok(())
}

fn volume(files: Files, medium: Medium) -> VolumePlan {
    VolumePlan::Files { files: files.into_values().collect(), medium }
}

/// A relative path of plain components only; `None` for one that is absolute or goes up.
pub(super) fn plain_path(path: &str) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}
