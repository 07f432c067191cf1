//! Which objects are to go: those that are named, those of a manifest, those that labels choose.

use std::path::PathBuf;

use crate::api::{KindName, kind_named};
use crate::manifest::{Declared, Strictness};
use crate::model::object::ObjectKey;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::folder::Folder;
use crate::cli::input::{self, Depth};
use crate::cli::records::Records;
use crate::cli::settings::{Scope, Settings};
use crate::cli::target::{self, Target};

use super::DeleteArgs;

pub(super) struct Wanted {
    pub(super) key: ObjectKey,
    pub(super) plural: &'static str,
    /// The manifest that was named, all of whose objects are to go.
    pub(super) file: Option<PathBuf>,
}

pub(super) fn wanted(
    args: &DeleteArgs,
    folder: &Folder,
    records: &Records,
    settings: &Settings,
) -> Result<Vec<Wanted>, Failure> {
    if settings.scope == Scope::All && !args.chooses() {
        return Err(Failure::new(Exit::Usage, "objects cannot be deleted by name across all namespaces")
            .help("leave out -A and name a namespace with -n; or choose with -l or --all"));
    }
    if !args.files.is_empty() {
        return of_files(args, settings);
    }
    let targets = target::parse(&args.words)?;
    if args.chooses() {
        return chosen(args, &targets, folder, records, settings);
    }
    targets
        .into_iter()
        .map(|target| {
            let KindName { group, kind, plural, namespaced, .. } = *target.kind;
            let name = target.name.ok_or_else(|| {
                Failure::new(Exit::Usage, format!("no name of one of the {plural} is given")).help(format!(
                    "name it: droppod delete {} NAME; or choose with -l or --all",
                    kind.to_lowercase()
                ))
            })?;
            let namespace = if namespaced { settings.namespace.clone() } else { String::new() };
            let (group, kind, name) = (group.to_owned(), kind.to_owned(), name.to_owned());
            Ok(Wanted { key: ObjectKey { group, kind, namespace, name }, plural, file: None })
        })
        .collect()
}

fn of_files(args: &DeleteArgs, settings: &Settings) -> Result<Vec<Wanted>, Failure> {
    let depth = if args.recursive { Depth::Recursive } else { Depth::Flat };
    let inputs = input::collect(&args.files, depth)?;
    let declared = input::declared(&inputs, settings, Strictness::Ignore)?;
    let wanted = |(at, Declared { key, .. }): (usize, Declared)| {
        let file = inputs[at].path.clone();
        Wanted { plural: plural(&key), key, file }
    };
    Ok(declared.into_iter().map(wanted).collect())
}

/// What is in force and what only a file declares. What goes with its owner is not wanted beside it.
fn chosen(
    args: &DeleteArgs,
    targets: &[Target<'_>],
    folder: &Folder,
    records: &Records,
    settings: &Settings,
) -> Result<Vec<Wanted>, Failure> {
    let selector = args.selector.clone().unwrap_or_default();
    let fields = args.field_selector.clone().unwrap_or_default();
    let mut keys: Vec<ObjectKey> = Vec::new();
    let mut uids = Vec::new();
    for Target { kind, name } in targets {
        if let Some(name) = name {
            let what = format!("`{name}` is a name, and -l, --field-selector and --all choose without names");
            return Err(Failure::new(Exit::Usage, what).help("leave one of them out"));
        }
        fields.must_fit(kind)?;
        let of_kind = records.of(kind, &settings.scope, &selector);
        for shown in of_kind.filter(|shown| fields.matches(&records.full(shown))) {
            keys.push(shown.known.record.key.clone());
            uids.push(shown.uid().clone());
        }
        let is_wanted = |key: &&ObjectKey| {
            let in_scope = !kind.namespaced || settings.scope.holds(&key.namespace);
            key.kind == kind.kind && key.group == kind.group && in_scope
        };
        // Of what is not in force, no field is known.
        if args.field_selector.is_none() {
            keys.extend(folder.chosen(&selector).filter(is_wanted).cloned());
        }
    }
    let goes_with_owner = |key: &ObjectKey| {
        let shown = records.shown.iter().find(|shown| shown.known.record.key == *key);
        let owner = shown.and_then(|shown| shown.known.record.owner.as_ref());
        owner.is_some_and(|owner| uids.contains(&owner.uid))
    };
    keys.retain(|key| !goes_with_owner(key));
    keys.sort();
    keys.dedup();
    Ok(keys.into_iter().map(|key| Wanted { plural: plural(&key), key, file: None }).collect())
}

fn plural(key: &ObjectKey) -> &'static str {
    kind_named(&key.kind).map_or("objects", |kind| kind.plural)
}
