//! Which objects are asked for, and those that there are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{EVENT, KindName};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::fields::FieldSelector;
use crate::cli::input::{self, Depth};
use crate::cli::print::Asked;
use crate::cli::records::{Records, not_found};
use crate::cli::selector::Selector;
use crate::cli::settings::{Scope, Settings};
use crate::cli::target;
use crate::manifest::Strictness;

use super::GetArgs;

/// One kind in one scope, and the name of one object of it or all of them.
struct Wanted {
    kind: &'static KindName,
    name: Option<String>,
    scope: Scope,
}

pub(super) struct Question<'a> {
    wanted: Vec<Wanted>,
    selector: Selector,
    fields: FieldSelector,
    pub(super) settings: &'a Settings,
}

/// An object in full, as it was asked for.
pub(super) struct Found {
    pub(super) kind: &'static KindName,
    pub(super) object: Value,
}

pub(super) struct Answer {
    pub(super) found: Vec<Found>,
    pub(super) missing: Vec<Failure>,
}

impl<'a> Question<'a> {
    pub(super) fn of(args: &GetArgs, settings: &'a Settings) -> Result<Question<'a>, Failure> {
        let wanted = if args.files.is_empty() {
            wanted_by_words(args, settings)?
        } else {
            wanted_by_files(args, settings)?
        };
        let fields = args.field_selector.clone().unwrap_or_default();
        for Wanted { kind, .. } in &wanted {
            fields.must_fit(kind)?;
        }
        Ok(Question { wanted, selector: args.selector.clone().unwrap_or_default(), fields, settings })
    }

    pub(super) fn ask(&self, records: &Records) -> Answer {
        let mut answer = Answer { found: Vec::new(), missing: Vec::new() };
        for Wanted { kind, name, scope } in &self.wanted {
            let before = answer.found.len();
            let mut objects: Vec<Value> = if **kind == EVENT {
                records.events(scope).iter().map(|event| json!(event)).collect()
            } else {
                records.of(kind, scope, &Selector::default()).map(|shown| records.full(shown)).collect()
            };
            if kind.kind == "Namespace" {
                objects.extend(records.undeclared_default());
                objects.sort_by(|a, b| name_of(a).cmp(&name_of(b)));
            }
            let chosen = objects.into_iter().filter(|object| self.chooses(object, name.as_deref()));
            answer.found.extend(chosen.map(|object| Found { kind, object }));
            if let Some(name) = name
                && answer.found.len() == before
            {
                answer.missing.push(not_found(kind.plural, name));
            }
        }
        answer
    }

    fn chooses(&self, object: &Value, wanted: Option<&str>) -> bool {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        let labels: BTreeMap<String, String> =
            labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        wanted.is_none_or(|wanted| name_of(object) == Some(wanted))
            && self.selector.matches(&labels)
            && self.fields.matches(object)
    }

    pub(super) fn asked(&self) -> Asked {
        match self.wanted[..] {
            [Wanted { name: Some(_), .. }] => Asked::One,
            _ => Asked::Many,
        }
    }

    pub(super) fn kinds(&self) -> usize {
        let mut kinds: Vec<&str> = self.wanted.iter().map(|wanted| wanted.kind.kind).collect();
        kinds.dedup();
        kinds.len()
    }
}

fn name_of(object: &Value) -> Option<&str> {
    object.pointer("/metadata/name").and_then(Value::as_str)
}

fn wanted_by_words(args: &GetArgs, settings: &Settings) -> Result<Vec<Wanted>, Failure> {
    let targets = target::parse_shown(&args.words)?;
    if settings.scope == Scope::All && targets.iter().any(|target| target.name.is_some()) {
        return Err(Failure::new(Exit::Usage, "an object cannot be got by name across all namespaces")
            .help("leave out -A, or choose with -l"));
    }
    let wanted = targets.into_iter().map(|target| Wanted {
        kind: target.kind,
        name: target.name.map(str::to_owned),
        scope: settings.scope.clone(),
    });
    Ok(wanted.collect())
}

pub(super) fn depth(args: &GetArgs) -> Depth {
    if args.recursive { Depth::Recursive } else { Depth::Flat }
}

fn wanted_by_files(args: &GetArgs, settings: &Settings) -> Result<Vec<Wanted>, Failure> {
    let inputs = input::collect(&args.files, depth(args))?;
    let declared = input::declared(&inputs, settings, Strictness::Strict)?;
    let wanted = declared.into_iter().map(|(_, declared)| {
        let key = declared.key;
        let kind = target::kind_of(&key)?;
        Ok(Wanted { kind, name: Some(key.name), scope: Scope::Namespace(key.namespace) })
    });
    wanted.collect()
}
