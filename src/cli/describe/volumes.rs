//! Where a pod's volumes come from.

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, ProjectedVolumeSource, Volume};

use super::container::Within;
use super::sheet::Sheet;

pub(super) fn describe(within: Within, volumes: &[Volume], sheet: &mut Sheet) {
    if volumes.is_empty() {
        sheet.field(within.level(), "Volumes", "<none>");
        return;
    }
    sheet.line(within.level(), "Volumes:");
    for volume in volumes {
        within.name(&volume.name, sheet);
        source(volume, sheet);
    }
}

fn source(volume: &Volume, sheet: &mut Sheet) {
    let type_ = |text: &str, sheet: &mut Sheet| sheet.field(2, "Type", text);
    if let Some(path) = &volume.host_path {
        type_("HostPath (bare host directory volume)", sheet);
        sheet.field(2, "Path", &path.path);
        sheet.field(2, "HostPathType", path.type_.as_deref().unwrap_or_default());
    } else if let Some(empty) = &volume.empty_dir {
        type_("EmptyDir (a temporary directory that shares a pod's lifetime)", sheet);
        sheet.field(2, "Medium", empty.medium.as_deref().unwrap_or_default());
        let limit = empty.size_limit.as_ref().map(|limit| limit.0.as_str());
        sheet.field(2, "SizeLimit", limit.unwrap_or("<unset>"));
    } else if let Some(secret) = &volume.secret {
        type_("Secret (a volume populated by a Secret)", sheet);
        sheet.field(2, "SecretName", secret.secret_name.as_deref().unwrap_or_default());
        sheet.field(2, "Optional", secret.optional.unwrap_or(false));
    } else if let Some(map) = &volume.config_map {
        type_("ConfigMap (a volume populated by a ConfigMap)", sheet);
        sheet.field(2, "Name", &map.name);
        sheet.field(2, "Optional", map.optional.unwrap_or(false));
    } else if let Some(projected) = &volume.projected {
        type_("Projected (a volume that contains injected data from multiple sources)", sheet);
        projections(projected, sheet);
    } else if let Some(downward) = &volume.downward_api {
        type_("DownwardAPI (a volume populated by information about the pod)", sheet);
        sheet.line(2, "Items:");
        downward.items.iter().flatten().for_each(|item| downward_file(item, sheet));
    } else if let Some(claim) = &volume.persistent_volume_claim {
        type_("PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)", sheet);
        sheet.field(2, "ClaimName", &claim.claim_name);
        sheet.field(2, "ReadOnly", claim.read_only.unwrap_or(false));
    } else {
        sheet.line(1, "<unknown>");
    }
}

fn projections(projected: &ProjectedVolumeSource, sheet: &mut Sheet) {
    let unset = |optional: Option<bool>| match optional {
        Some(known) => known.to_string(),
        None => "<nil>".to_owned(),
    };
    for source in projected.sources.iter().flatten() {
        if let Some(secret) = &source.secret {
            sheet.field(2, "SecretName", &secret.name);
            sheet.field(2, "SecretOptionalName", unset(secret.optional));
        } else if source.downward_api.is_some() {
            sheet.field(2, "DownwardAPI", true);
        } else if let Some(map) = &source.config_map {
            sheet.field(2, "ConfigMapName", &map.name);
            sheet.field(2, "ConfigMapOptional", unset(map.optional));
        } else if let Some(token) = &source.service_account_token {
            sheet.field(2, "TokenExpirationSeconds", token.expiration_seconds.unwrap_or_default());
        }
    }
}

fn downward_file(item: &DownwardAPIVolumeFile, sheet: &mut Sheet) {
    let field = item.field_ref.as_ref().map(|field| field.field_path.as_str());
    let resource = item.resource_field_ref.as_ref().map(|resource| resource.resource.as_str());
    if let Some(from) = field.or(resource) {
        sheet.line(3, format_args!("{from} -> {}", item.path));
    }
}
