//! One document → the objects it declares: which kind each is, its key, what its author wrote, its typed value.

use std::ops::Range;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::Value;

use crate::api::kinds::{self, Meaning, Scope};
use crate::api::{Object, ObjectMeta};
use crate::model::object::ObjectKey;

use super::decode::{Findings, decode};
use super::defaults;
use super::fault::Fault;
use super::ignored::{self, Ignored};
use super::immutable;
use super::node::{At, Kind, Node};
use super::podsecurity;
use super::scalar;
use super::text::Text;
use super::unknown::{Unknown, similar};
use super::{Policy, validate};

/// What a document declares and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Understood {
    pub(crate) objects: Vec<Found>,
    pub(crate) wrong: Vec<Fault>,
    pub(crate) unknown: Vec<Unknown>,
    pub(crate) ignored: Vec<Ignored>,
}

#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: ObjectKey,
    pub(crate) authored: Value,
    pub(crate) object: Object,
    /// Byte of the file.
    pub(crate) start: usize,
    /// Those of its fields that no edit may change, and the byte that each is written at.
    pub(crate) immutable: Vec<(&'static str, usize)>,
    pub(crate) name_span: Range<usize>,
}

/// `apiVersion` and `kind`, understood.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) group: String,
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) scope: Scope,
}

/// `start` is the byte that the document begins at.
pub(crate) fn understand(
    mut root: Node,
    start: usize,
    namespace: &str,
    policy: &Policy,
    text: &Text<'_>,
) -> Understood {
    let mut understood = Understood::default();
    match take_items(&mut root) {
        Some(items) => {
            for (index, item) in items.into_iter().enumerate() {
                let start = item.span.start;
                let place = Place { prefix: &format!("items[{index}]"), start, namespace, policy };
                add(item, place, text, &mut understood);
            }
        }
        None => add(root, Place { prefix: "", start, namespace, policy }, text, &mut understood),
    }
    understood
}

/// The objects of a `kind: List`, or of a PodList and the like.
fn take_items(root: &mut Node) -> Option<Vec<Node>> {
    let kind = root.get("kind").and_then(Node::text)?;
    let known =
        kind == "List" || kinds::KNOWN.iter().any(|known| kind.strip_suffix("List") == Some(known.kind));
    if !known {
        return None;
    }
    match root.get_mut("items").map(|items| &mut items.kind) {
        Some(Kind::List(items)) => Some(std::mem::take(items)),
        Some(Kind::Null) | None => Some(Vec::new()),
        Some(Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_)) => None,
    }
}

/// Where a document stands, and on what terms.
#[derive(Clone, Copy)]
struct Place<'a> {
    prefix: &'a str,
    start: usize,
    namespace: &'a str,
    policy: &'a Policy,
}

fn add(mut root: Node, place: Place<'_>, text: &Text<'_>, into: &mut Understood) {
    let Place { prefix, start, namespace, policy } = place;
    let its = match type_of(&At::root(prefix, &root)) {
        Ok(its) => its,
        Err(mut faults) => return into.wrong.append(&mut faults),
    };
    let scoped = policy.scope.as_ref().map(|scope| scoped(namespace, scope));
    let namespace = scoped.as_deref().unwrap_or(namespace);
    if let Some(scope) = &policy.scope {
        enter_scope(&mut root, &its, scope);
    }
    let mut authored = root.to_value();
    fill_namespace(&mut authored, &its, namespace);
    let mut rules = validate::Rules::default();
    validate::config::base64(&At::root(prefix, &root), &its, &mut rules);
    unwrap_base64(&mut root, &its);

    let at = At::root(prefix, &root);
    let (object, Findings { mut wrong, mut unknown }) = typed(&at, &its, Some(text));
    rules.settle(&wrong, &unknown);
    if let Some(object) = &object {
        validate::object(object, &its, &at, &mut rules);
        ignored::collect(object, &at, policy, &mut into.ignored);
    }
    into.wrong.append(&mut podsecurity::check(&its.kind, &at, policy));
    into.unknown.append(&mut unknown);
    into.wrong.append(&mut wrong);
    into.wrong.append(&mut rules.faults);
    let Some(mut object) = object else { return };

    if its.scope == Scope::Namespaced {
        let own = &mut object.metadata_mut().namespace;
        own.get_or_insert_default();
        if own.as_deref() == Some("") {
            *own = Some(namespace.to_owned());
        }
    }
    defaults::apply(&mut object);
    let name = at.key("metadata");
    let key = ObjectKey {
        group: its.group,
        kind: its.kind,
        namespace: object.metadata().namespace.clone().unwrap_or_default(),
        name: object.metadata().name.clone().unwrap_or_default(),
    };
    let (immutable, name_span) = (immutable_of(&at, &object), name.key("name").span());
    into.objects.push(Found { key, authored, object, start, immutable, name_span });
}

fn immutable_of(at: &At<'_>, object: &Object) -> Vec<(&'static str, usize)> {
    match object {
        Object::Job(_) | Object::ConfigMap(_) | Object::Secret(_) => {}
        Object::Pod(_) | Object::Namespace(_) | Object::CronJob(_) | Object::Unserved { .. } => {
            return Vec::new();
        }
    }
    let spec = at.key("spec");
    let place = |field: &'static str| {
        let at = field.strip_prefix("spec.").map_or_else(|| at.key(field), |inner| spec.key(inner));
        at.is_set().then(|| (field, at.key_span().start))
    };
    immutable::FIELDS.into_iter().filter_map(place).collect()
}

/// What a document says it is.
///
/// # Errors
/// Why that is nothing.
fn type_of(at: &At<'_>) -> Result<Type, Vec<Fault>> {
    if !at.node.is_some_and(|node| matches!(node.kind, Kind::Map(_))) {
        let message = "a manifest is a mapping with `apiVersion`, `kind` and `metadata`";
        return Err(vec![Fault::at(at, message, "not a mapping")]);
    }
    let (version_at, kind_at) = (at.key("apiVersion"), at.key("kind"));
    let (api_version, kind) = match (version_at.text(), kind_at.text()) {
        (Some(api_version), Some(kind)) => (api_version, kind),
        (api_version, kind) => {
            let mut faults = Vec::new();
            if let Some(fault) = misspelled(at, "apiVersion").filter(|_| api_version.is_none()) {
                faults.push(fault);
            } else if api_version.is_none() {
                let known = kinds::KNOWN.iter().find(|known| Some(known.kind) == kind);
                let example = known.map_or_else(|| "v1".to_owned(), kinds::KnownKind::api_version);
                faults.push(missing(&version_at, &format!("write `apiVersion: {example}`")));
            }
            if let Some(fault) = misspelled(at, "kind").filter(|_| kind.is_none()) {
                faults.push(fault);
            } else if kind.is_none() {
                faults.push(missing(&kind_at, "write `kind: Pod`, for example"));
            }
            return Err(faults);
        }
    };
    let its = |group: &str, scope| Type {
        group: group.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        scope,
    };
    match kinds::meaning(api_version, kind) {
        Meaning::Known(known) => Ok(its(known.group, known.scope)),
        Meaning::Custom => Ok(its(kinds::group_and_version(api_version).0, Scope::Namespaced)),
        Meaning::OtherVersion(known) => {
            let fault = Fault::at(&version_at, "the kind is not in this apiVersion", "not of this kind")
                .label(kind_at.span(), "the kind")
                .help(format!("write `apiVersion: {}`", known.api_version()));
            Err(vec![fault])
        }
        Meaning::NoSuchKind => {
            let names = kinds::KNOWN.iter().map(|known| known.kind);
            let fault = Fault::at(&kind_at, "there is no such kind in this apiVersion", "unknown kind");
            Err(vec![fault.similar(similar(kind, names))])
        }
    }
}

/// A key that was likely meant to be `field`.
fn misspelled(at: &At<'_>, field: &str) -> Option<Fault> {
    let meant = |entry: &At<'_>| entry.last_key() != field && similar(entry.last_key(), [field]).is_some();
    let entry = at.each_entry().filter(|_| !at.key(field).is_set()).find(meant)?;
    let fault = Fault::at_key(&entry, "unknown field", "not a field here");
    Some(fault.help(format!("did you mean `{field}`?")))
}

fn missing(at: &At<'_>, help: &str) -> Fault {
    match at.node {
        Some(node) if node.kind != Kind::Null => {
            let noun = node.noun();
            Fault::at(at, format!("expected a string, found {noun}"), format!("this is {noun}"))
        }
        Some(_) | None => Fault::at(at, "the field is missing", "in this document").help(help),
    }
}

/// The object, empty where something is wrong, without defaults; nothing if too much is wrong.
fn typed(at: &At<'_>, its: &Type, text: Option<&Text<'_>>) -> (Option<Object>, Findings) {
    match (its.group.as_str(), its.kind.as_str()) {
        ("", "Pod") => {
            let (pod, findings) = decode(at, text);
            (pod.map(|pod| Object::Pod(Box::new(pod))), findings)
        }
        ("", "ConfigMap") => {
            let (map, findings) = decode(at, text);
            (map.map(Object::ConfigMap), findings)
        }
        ("", "Secret") => {
            let (secret, findings) = decode(at, text);
            (secret.map(Object::Secret), findings)
        }
        ("", "Namespace") => {
            let (namespace, findings) = decode(at, text);
            (namespace.map(Object::Namespace), findings)
        }
        ("batch", "Job") => {
            let (job, findings) = decode(at, text);
            (job.map(|job| Object::Job(Box::new(job))), findings)
        }
        ("batch", "CronJob") => {
            let (cron, findings) = decode(at, text);
            (cron.map(|cron| Object::CronJob(Box::new(cron))), findings)
        }
        _ => {
            let (metadata, findings) = if validate::is_claim(its) {
                let (claim, findings) = decode::<PersistentVolumeClaim>(at, text);
                (claim.map(|claim| claim.metadata), findings)
            } else {
                decode::<ObjectMeta>(&at.key("metadata"), text)
            };
            let unserved = |metadata| Object::Unserved {
                api_version: its.api_version.clone(),
                kind: its.kind.clone(),
                metadata: Box::new(metadata),
            };
            (metadata.map(unserved), findings)
        }
    }
}

/// The name of a namespace in a scope.
fn scoped(name: &str, scope: &str) -> String {
    format!("{name}-{scope}")
}

/// Puts the object into a namespace of the scope; one that is in none, by its name.
fn enter_scope(root: &mut Node, its: &Type, scope: &str) {
    let field = match its.scope {
        Scope::Namespaced => "namespace",
        Scope::Cluster => "name",
    };
    let Some(node) = root.get_mut("metadata").and_then(|metadata| metadata.get_mut(field)) else { return };
    if let Kind::Text(name) = &mut node.kind
        && !name.is_empty()
    {
        *name = scoped(name, scope);
    }
}

fn fill_namespace(authored: &mut Value, its: &Type, namespace: &str) {
    let Some(Value::Object(metadata)) = authored.get_mut("metadata") else { return };
    let named = metadata.get("namespace").and_then(Value::as_str).is_some_and(|own| !own.is_empty());
    if its.scope == Scope::Namespaced && !named {
        metadata.insert("namespace".to_owned(), Value::from(namespace));
    }
}

/// The typed value takes base64 on one line only, Kubernetes takes it with line breaks. What is no base64 at all
/// has been reported and counts as empty.
fn unwrap_base64(root: &mut Node, its: &Type) {
    let Some(data) = validate::config::base64_field(its).and_then(|field| root.get_mut(field)) else {
        return;
    };
    let Kind::Map(entries) = &mut data.kind else { return };
    for entry in entries {
        if let Kind::Text(text) = &entry.value.kind {
            entry.value.kind = match scalar::base64(text) {
                Some(_) => Kind::Text(scalar::without_breaks(text)),
                None => Kind::Null,
            };
        }
    }
}

/// The object that was kept as its author wrote it; a fault says why there is none.
pub(crate) fn revive(authored: &Value) -> Result<Object, Fault> {
    let mut root = Node::from_value(authored);
    let its = type_of(&At::root("", &root)).map_err(first)?;
    unwrap_base64(&mut root, &its);
    match typed(&At::root("", &root), &its, None) {
        (Some(mut object), Findings { wrong, .. }) if wrong.is_empty() => {
            defaults::apply(&mut object);
            Ok(object)
        }
        (_, Findings { wrong, .. }) => Err(first(wrong)),
    }
}

fn first(faults: Vec<Fault>) -> Fault {
    let nothing = || Fault::new(String::new(), 0..0, "it says nothing", "");
    faults.into_iter().next().unwrap_or_else(nothing)
}
