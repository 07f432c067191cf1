//! Which objects are to go: those that are named, those of a manifest, those that labels choose.

use std::path::PathBuf;

use crate::api::kinds::{self, KNOWN};
use crate::api::{KindName, kind_named};
use crate::manifest::{Declared, Strictness};
use crate::model::object::ObjectKey;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::folder::Folder;
use crate::cli::input::{self, Depth};
use crate::cli::records::{Records, not_found};
use crate::cli::selector::Selector;
use crate::cli::settings::{Scope, Settings};
use crate::cli::target::{self, Target};

use super::DeleteArgs;

pub(super) struct Wanted {
    pub(super) key: ObjectKey,
    /// Of a kind that is served.
    plural: Option<&'static str>,
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
    if args.chooses() {
        return chosen(args, &target::parse(&args.words)?, folder, records, settings);
    }
    let everything = Selector::default();
    let in_force = records.shown.iter().map(|shown| &shown.known.record.key);
    let declared: Vec<&ObjectKey> = folder.chosen(&everything).chain(in_force).collect();
    target::named(&args.words, |word| kind(word, &declared))?
        .into_iter()
        .map(|(Kind { group, kind, plural, namespaced }, name)| {
            let name = name.ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    format!("no name of one of the {} is given", plural.unwrap_or("objects")),
                )
                .help(format!(
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

/// A kind as files may declare it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind<'a> {
    group: &'a str,
    kind: &'a str,
    /// Of one that is served.
    plural: Option<&'static str>,
    namespaced: bool,
}

/// One that Kubernetes does not have of itself is known only if something is of it.
fn kind<'a>(word: &str, declared: &[&'a ObjectKey]) -> Result<Kind<'a>, Failure> {
    let not_served = match target::kind(word) {
        Ok(&KindName { group, kind, plural, namespaced, .. }) => {
            return Ok(Kind { group, kind, plural: Some(plural), namespaced });
        }
        Err(not_served) => not_served,
    };
    let known = KNOWN.iter().find(|known| is_called(known.group, known.kind, word));
    let of_kubernetes = known.map(|known| {
        let namespaced = known.scope == kinds::Scope::Namespaced;
        Kind { group: known.group, kind: known.kind, plural: None, namespaced }
    });
    let of_files = || {
        let key = declared.iter().find(|key| is_called(&key.group, &key.kind, word))?;
        let namespaced = !key.namespace.is_empty();
        Some(Kind { group: &key.group, kind: &key.kind, plural: None, namespaced })
    };
    of_kubernetes.or_else(of_files).ok_or(not_served)
}

/// `deployment`, `deployments`, `deployments.apps`, `deployments.v1.apps`, in any case.
fn is_called(group: &str, kind: &str, word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let (name, of) = word.split_once('.').unwrap_or((&word, ""));
    let one = kind.to_ascii_lowercase();
    // As Kubernetes guesses it.
    let several = match one.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if one.ends_with('s') => format!("{one}es"),
        None => format!("{one}s"),
    };
    let in_group = of.is_empty() || of == group || of.split_once('.').is_some_and(|(_, of)| of == group);
    in_group && (name == one || name == several)
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

fn plural(key: &ObjectKey) -> Option<&'static str> {
    kind_named(&key.kind).map(|kind| kind.plural)
}

impl Wanted {
    pub(super) fn not_found(&self) -> Failure {
        let name = &self.key.name;
        match self.plural {
            Some(plural) => not_found(plural, name),
            None => {
                Failure::new(Exit::Failed, format!("{} \"{name}\" not found", self.key.kind.to_lowercase()))
                    .help("its kind is not served, and no file here declares it")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_not_served_is_called_as_kubectl_calls_it() {
        let cases = [
            ("apps", "Deployment", "deployment", true),
            ("apps", "Deployment", "Deployments", true),
            ("apps", "Deployment", "deployments.apps", true),
            ("apps", "Deployment", "deployments.v1.apps", true),
            ("apps", "Deployment", "deployments.batch", false),
            ("networking.k8s.io", "NetworkPolicy", "networkpolicies.networking.k8s.io", true),
            ("networking.k8s.io", "Ingress", "ingresses", true),
            ("apps", "Deployment", "pods", false),
        ];
        for (group, kind, word, called) in cases {
            assert_eq!(is_called(group, kind, word), called, "{word}");
        }
    }
}
