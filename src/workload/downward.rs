//! The downward API: what a pod may be told about itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceFieldSelector;

use crate::api::Container;
use crate::model::quantity;

use super::pod::Facts;
use super::references::Unresolved;

/// The value of a `fieldRef`.
pub(super) fn field(facts: &Facts<'_>, path: &str) -> Result<String, Unresolved> {
    let metadata = &facts.pod.metadata;
    Ok(match path {
        "metadata.name" => facts.id.name.clone(),
        "metadata.namespace" => facts.id.namespace.clone(),
        "metadata.uid" => facts.id.uid.to_string(),
        "metadata.labels" => lines(metadata.labels.as_ref()),
        "metadata.annotations" => lines(metadata.annotations.as_ref()),
        "spec.nodeName" => facts.machine.node_name.clone(),
        "spec.serviceAccountName" => {
            facts.spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned())
        }
        "status.hostIP" | "status.hostIPs" => facts.machine.host_ip.to_string(),
        "status.podIP" | "status.podIPs" => facts.pod_ip().to_string(),
        other => {
            let (map, key) = subscript(other).ok_or_else(|| Unresolved::Field { path: other.to_owned() })?;
            let map = match map {
                "metadata.labels" => metadata.labels.as_ref(),
                "metadata.annotations" => metadata.annotations.as_ref(),
                _ => return Err(Unresolved::Field { path: other.to_owned() }),
            };
            map.and_then(|map| map.get(key)).cloned().unwrap_or_default()
        }
    })
}

/// `metadata.labels['k']` → `metadata.labels` and `k`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// One `key="value"` a line, as kubelet writes a whole map into a file.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> =
        map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

/// The value of a `resourceFieldRef` on `container`, in units of its divisor, rounded up. A limit that is not
/// set is what the machine has.
pub(super) fn resource(
    facts: &Facts<'_>,
    container: &Container,
    selector: &ResourceFieldSelector,
) -> Result<String, Unresolved> {
    let unsupported = || Unresolved::Resource { resource: selector.resource.clone() };
    let (side, name) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let resources = container.resources.as_ref();
    let limit = resources.and_then(|resources| resources.limits.as_ref()?.get(name));
    let request = resources.and_then(|resources| resources.requests.as_ref()?.get(name));
    let (declared, otherwise) = match side {
        "limits" => (limit, allocatable(facts, name)),
        "requests" => (request.or(limit), 0),
        _ => return Err(unsupported()),
    };
    let milli = match declared {
        Some(declared) => quantity::milli(&declared.0).ok_or_else(unsupported)?,
        None => otherwise,
    };
    let divisor = match &selector.divisor {
        Some(divisor) => quantity::milli(&divisor.0).filter(|milli| *milli >= 0).ok_or_else(unsupported)?,
        None => 0,
    };
    // Zero stands for "not given", which is one.
    let divisor = if divisor == 0 { 1000 } else { divisor };
    Ok((milli / divisor + i128::from(milli % divisor > 0)).to_string())
}

/// In thousandths; what the machine keeps no count of is zero.
fn allocatable(facts: &Facts<'_>, resource: &str) -> i128 {
    match resource {
        "cpu" => facts.machine.cpu_milli.into(),
        "memory" => i128::from(facts.machine.memory) * 1000,
        _ => 0,
    }
}
