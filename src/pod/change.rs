//! Which parts of a changed plan a living pod takes over.

use std::collections::BTreeMap;

use crate::model::pod_plan::{ContainerPlan, PodPlan, VolumePlan};

use super::Effect;

/// The plan in force from now on, and what is to be done so that the pod shows it. `None` if the change cannot be
/// that of a living pod. What the author has not changed stays as it was resolved when the pod was made, so a tag
/// that has moved in the registry, or a newer droppod's defaults, change nothing.
pub(super) fn take_over(present: &PodPlan, wanted: PodPlan) -> Option<(PodPlan, Vec<Effect>)> {
    if present.id != wanted.id {
        return None;
    }
    let init_containers = merge_all(&present.init_containers, wanted.init_containers)?;
    let containers = merge_all(&present.containers, wanted.containers)?;
    let plan = PodPlan {
        revision: wanted.revision,
        live: wanted.live,
        volumes: merge_volumes(&present.volumes, wanted.volumes),
        init_containers,
        containers,
        ..present.clone()
    };
    let resources_differ = plan.live.resources != present.live.resources
        || plan
            .all_containers()
            .zip(present.all_containers())
            .any(|(new, old)| new.resources != old.resources);
    let resources = resources_differ.then_some(Effect::ApplyResources);
    let files = (plan.volumes != present.volumes).then_some(Effect::RefreshVolumes);
    Some((plan, resources.into_iter().chain(files).collect()))
}

fn merge_all(present: &[ContainerPlan], wanted: Vec<ContainerPlan>) -> Option<Vec<ContainerPlan>> {
    let same = present.len() == wanted.len()
        && present.iter().zip(&wanted).all(|(old, new)| old.name == new.name && old.role == new.role);
    same.then(|| present.iter().zip(wanted).map(|(old, new)| merge(old, new)).collect())
}

fn merge(present: &ContainerPlan, wanted: ContainerPlan) -> ContainerPlan {
    if present.image.authored == wanted.image.authored {
        ContainerPlan { resources: wanted.resources, ..present.clone() }
    } else {
        wanted
    }
}

fn merge_volumes(
    present: &BTreeMap<String, VolumePlan>,
    mut wanted: BTreeMap<String, VolumePlan>,
) -> BTreeMap<String, VolumePlan> {
    let merged = present.iter().map(|(name, old)| {
        let volume = match (old, wanted.remove(name)) {
            (VolumePlan::Files { .. }, Some(new @ VolumePlan::Files { .. })) => new,
            (
                VolumePlan::Files { .. },
                Some(VolumePlan::EmptyDir { .. } | VolumePlan::HostPath { .. }) | None,
            )
            | (
                VolumePlan::EmptyDir { .. } | VolumePlan::HostPath { .. },
                Some(VolumePlan::EmptyDir { .. } | VolumePlan::HostPath { .. } | VolumePlan::Files { .. })
                | None,
            ) => old.clone(),
        };
        (name.clone(), volume)
    });
    merged.collect()
}
