//! `spec.volumes` → what is to be mounted.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, HostPathVolumeSource, Volume};

use crate::model::pod_plan::{HostPathType, Medium, VolumePlan};
use crate::model::quantity;

use super::files;
use super::pod::Facts;
use super::references::Unresolved;

/// A volume that cannot be set up yet.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {source}")]
pub(super) struct NotMounted {
    volume: String,
    source: Unresolved,
}

pub(super) fn volumes(facts: &Facts<'_>) -> Result<BTreeMap<String, VolumePlan>, NotMounted> {
    let mut volumes = BTreeMap::new();
    for volume in facts.spec.volumes.iter().flatten() {
        let plan =
            plan(facts, volume).map_err(|source| NotMounted { volume: volume.name.clone(), source })?;
        volumes.insert(volume.name.clone(), plan);
    }
    Ok(volumes)
}

fn plan(facts: &Facts<'_>, volume: &Volume) -> Result<VolumePlan, Unresolved> {
    if let Some(source) = &volume.empty_dir {
        return Ok(empty_dir(source));
    }
    if let Some(source) = &volume.host_path {
        return Ok(host_path(facts, source));
    }
    if let Some(source) = &volume.config_map {
        return files::config_map(facts, source);
    }
    if let Some(source) = &volume.secret {
        return files::secret(facts, source);
    }
    if let Some(source) = &volume.downward_api {
        return files::downward_api(facts, source);
    }
    if let Some(source) = &volume.projected {
        return files::projected(facts, source);
    }
    if let Some(source) = &volume.persistent_volume_claim {
        return Err(Unresolved::NoClaim { claim: source.claim_name.clone() });
    }
    // A volume that names no source is an emptyDir, as the API server has it.
    if *volume == (Volume { name: volume.name.clone(), ..Volume::default() }) {
        return Ok(empty_dir(&EmptyDirVolumeSource::default()));
    }
    Err(Unresolved::NotServed { source_kind: "of this volume" })
}

fn empty_dir(source: &EmptyDirVolumeSource) -> VolumePlan {
    let limit = source.size_limit.as_ref().and_then(|limit| quantity::whole(&limit.0));
    VolumePlan::EmptyDir {
        medium: match source.medium.as_deref() {
            Some("Memory") => Medium::Memory,
            Some(_) | None => Medium::Disk,
        },
        limit: limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0),
    }
}

/// A relative path starts at the manifest's directory.
fn host_path(facts: &Facts<'_>, source: &HostPathVolumeSource) -> VolumePlan {
    VolumePlan::HostPath {
        path: facts.base.join(&source.path),
        kind: match source.type_.as_deref() {
            Some("DirectoryOrCreate") => HostPathType::DirectoryOrCreate,
            Some("Directory") => HostPathType::Directory,
            Some("FileOrCreate") => HostPathType::FileOrCreate,
            Some("File") => HostPathType::File,
            Some("Socket") => HostPathType::Socket,
            Some("CharDevice") => HostPathType::CharDevice,
            Some("BlockDevice") => HostPathType::BlockDevice,
            Some(_) | None => HostPathType::Unchecked,
        },
    }
}
