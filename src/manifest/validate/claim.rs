//! PersistentVolumeClaims (kubernetes `ValidatePersistentVolumeClaimSpec`).

use crate::manifest::fault::Fault;
use crate::manifest::node::{At, Kind};

use super::Rules;
use super::label_selector;
use super::names::SUBDOMAIN;
use super::resources;

const ACCESS_MODES: &[&str] = &["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];

pub(super) fn check(spec: &At<'_>, rules: &mut Rules) {
    if !spec.is_set() {
        return rules.required(spec);
    }
    let modes_at = spec.key("accessModes");
    let modes: Vec<At<'_>> = modes_at.each_item().collect();
    if modes.is_empty() {
        let fault = Fault::at(&modes_at, "the claim has no access mode", "`accessModes` is needed here");
        rules.push(fault.help("write `accessModes: [ReadWriteOnce]`"));
    }
    for mode in &modes {
        rules.one_of(mode, ACCESS_MODES);
    }
    if let Some(single) = modes.iter().find(|mode| mode.text() == Some("ReadWriteOncePod"))
        && modes.len() > 1
    {
        let fault = Fault::at(single, "`ReadWriteOncePod` goes with no other access mode", "not alone");
        rules.push(fault.help("remove the others"));
    }
    let (resources_at, storage) = (spec.key("resources"), "storage");
    let (requests_at, limits_at) = (resources_at.key("requests"), resources_at.key("limits"));
    let asked = amount(&requests_at.key(storage), rules);
    let limit = limits_at.key(storage);
    if !requests_at.key(storage).is_set() {
        let fault =
            Fault::at(&requests_at.key(storage), "the claim does not say how much it asks for", "no amount");
        rules.push(fault.help("write `resources: {requests: {storage: 1Gi}}`"));
    }
    if let (Some(asked), true, Some(most)) = (asked, limit.is_set(), amount(&limit, rules))
        && asked > most
    {
        let fault =
            Fault::at(&requests_at.key(storage), "more is requested than the limit allows", "more than")
                .label(limit.span(), "this limit");
        rules.push(fault);
    }
    label_selector::check(&spec.key("selector"), rules);
    rules.one_of(&spec.key("volumeMode"), &["Filesystem", "Block"]);
    let class_at = spec.key("storageClassName");
    if let Some(class) = class_at.text().filter(|class| !class.is_empty()) {
        rules.name(&class_at, class, &SUBDOMAIN);
    }
}

fn amount(at: &At<'_>, rules: &mut Rules) -> Option<i128> {
    let written = match &at.node?.kind {
        Kind::Text(text) => text.clone(),
        Kind::Number(number) => number.to_string(),
        Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => return None,
    };
    let amount = resources::quantity_at(&written, at, rules)?;
    if amount == 0 {
        rules.wrong(at, "a claim of nothing", "write more than 0");
    }
    resources::whole_bytes(amount, at, rules);
    Some(amount)
}
