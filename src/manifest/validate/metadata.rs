//! `metadata`: names, namespaces, labels, annotations.

use crate::api::Object;
use crate::api::kinds::Scope;
use crate::manifest::document::Type;
use crate::manifest::fault::Fault;
use crate::manifest::node::{At, Node};

use super::Rules;
use super::names::{ANNOTATION, LABEL, LABEL_VALUE, PATH_SEGMENT, QUALIFIED, SUBDOMAIN};

/// Bytes of all annotations of an object together.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

pub(super) fn check(object: &Object, its: &Type, at: &At<'_>, rules: &mut Rules) {
    let metadata = object.metadata();
    let syntax = match object {
        Object::Pod(_) | Object::ConfigMap(_) | Object::Secret(_) | Object::Job(_) | Object::CronJob(_) => {
            &SUBDOMAIN
        }
        Object::Namespace(_) => &LABEL,
        Object::Unserved { .. } if super::is_claim(its) => &SUBDOMAIN,
        Object::Unserved { .. } => &PATH_SEGMENT,
    };
    let name_at = at.key("name");
    match metadata.name.as_deref() {
        Some(name) if !name.is_empty() => rules.name(&name_at, name, syntax),
        _ if metadata.generate_name.is_some() => {
            let message = "a name made by the server would be another one at each reading";
            rules.push(Fault::at_key(&at.key("generateName"), message, "not served").help("write `name`"));
        }
        _ => rules.required(&name_at),
    }
    let namespace_at = at.key("namespace");
    match (metadata.namespace.as_deref().filter(|text| !text.is_empty()), its.scope) {
        (Some(namespace), Scope::Namespaced) => rules.name(&namespace_at, namespace, &LABEL),
        (Some(_), Scope::Cluster) => {
            let message = "objects of this kind live outside of namespaces";
            rules.push(Fault::at_key(&namespace_at, message, "not allowed here").help("remove the field"));
        }
        (None, _) => {}
    }
    labels(at, rules);
    owners(&at.key("ownerReferences"), rules);
}

fn owners(at: &At<'_>, rules: &mut Rules) {
    let owners: Vec<At<'_>> = at.each_item().collect();
    for owner in &owners {
        for field in ["apiVersion", "kind", "name", "uid"] {
            rules.required(&owner.key(field));
        }
    }
    let is_controller = |owner: &&At<'_>| owner.key("controller").node.and_then(Node::truth) == Some(true);
    let mut controllers = owners.iter().filter(is_controller);
    if let (Some(first), Some(second)) = (controllers.next(), controllers.next()) {
        let fault =
            Fault::at(&second.key("controller"), "an object has one controller and no more", "a second one")
                .label(first.key("controller").span(), "the first")
                .help("remove one of the two");
        rules.push(fault);
    }
}

/// Labels and annotations, of a template too.
pub(super) fn labels(at: &At<'_>, rules: &mut Rules) {
    for label in at.key("labels").each_entry() {
        rules.key_name(&label, &QUALIFIED);
        rules.value(&label, label.text().unwrap_or_default(), &LABEL_VALUE);
    }
    let annotations = at.key("annotations");
    let mut bytes = 0;
    for annotation in annotations.each_entry() {
        rules.key_name(&annotation, &ANNOTATION);
        bytes += annotation.last_key().len() + annotation.text().map_or(0, str::len);
    }
    if bytes > ANNOTATIONS_LIMIT {
        let message = format!("the annotations hold more than {ANNOTATIONS_LIMIT} bytes together");
        rules.push(Fault::at_key(&annotations, message, "too much"));
    }
}
