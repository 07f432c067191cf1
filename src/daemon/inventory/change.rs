//! What files declare × objects in force → changes. Pure: order, ownership and identity are decided here.

use std::collections::BTreeMap;

use crate::api::KINDS;
use crate::manifest::Declared;
use crate::model::id::Uid;
use crate::model::object::{Known, ObjectKey, Source};

/// What a source says of the objects it declares.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Claim {
    Declares,
    /// It cannot be read, so what came from it stays as it is.
    Keeps,
    /// Nobody sees it, and it is not there: what came from it stays until a file declares it.
    Left,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change<'a> {
    Add {
        declared: &'a Declared,
        source: &'a Source,
    },
    /// Same content, other file.
    Move {
        uid: &'a Uid,
        source: &'a Source,
    },
    /// Same identity, other content.
    Update {
        uid: &'a Uid,
        declared: &'a Declared,
        source: &'a Source,
    },
    /// Other content that the same object cannot take over.
    Replace {
        uid: &'a Uid,
        declared: &'a Declared,
        source: &'a Source,
    },
    Remove {
        uid: &'a Uid,
    },
}

/// An object that a file declares though another file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) key: ObjectKey,
    pub(crate) holder: Source,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes<'a> {
    pub(crate) changes: Vec<Change<'a>>,
    pub(crate) conflicts: BTreeMap<&'a Source, Vec<Conflict>>,
}

/// What is to be done about objects of the keys `within`, of which all that are in force, and all files that declare
/// one, are to be given. `replaces(known, declared)` tells whether the edit makes another object of the same name.
pub(crate) fn changes<'a>(
    objects: impl Iterator<Item = &'a Known>,
    declaring: &BTreeMap<&'a Source, &'a [Declared]>,
    within: impl Fn(&ObjectKey) -> bool,
    claim: impl Fn(&Source) -> Claim,
    replaces: impl Fn(&Known, &Declared) -> bool,
) -> Changes<'a> {
    let mut found = Changes::default();
    let live: BTreeMap<&ObjectKey, &Known> =
        objects.filter(|known| known.is_declared()).map(|known| (&known.record.key, known)).collect();
    let mut claimants: BTreeMap<&ObjectKey, Vec<(&'a Source, &'a Declared)>> = BTreeMap::new();
    for (source, declared) in declaring {
        for declared in declared.iter().filter(|declared| within(&declared.key)) {
            claimants.entry(&declared.key).or_default().push((source, declared));
        }
    }
    for (key, claimants) in &claimants {
        let present = live.get(key).copied();
        let owner = owner(present, claimants, &claim);
        let holder = match (owner, present) {
            (Some(at), _) => claimants[at].0,
            (None, Some(known)) => &known.record.source,
            (None, None) => continue,
        };
        for (at, (source, _)) in claimants.iter().enumerate() {
            if Some(at) != owner {
                let conflict = Conflict { key: (*key).clone(), holder: holder.clone() };
                found.conflicts.entry(source).or_default().push(conflict);
            }
        }
        if let Some(at) = owner {
            let (source, declared) = claimants[at];
            found.changes.extend(change(present, declared, source, &replaces));
        }
    }
    for (key, known) in live {
        let kept = matches!(claim(&known.record.source), Claim::Keeps | Claim::Left);
        if !kept && !claimants.contains_key(key) {
            found.changes.push(Change::Remove { uid: &known.record.uid });
        }
    }
    found.changes.sort_by_key(|change| order(change));
    found
}

/// Which claimant has the object: the file it came from for as long as that declares it, else the first. `None`
/// if it stays with a file that cannot be read.
fn owner<'a>(
    present: Option<&Known>,
    claimants: &[(&'a Source, &'a Declared)],
    claim: impl Fn(&Source) -> Claim,
) -> Option<usize> {
    let Some(known) = present else { return Some(0) };
    match claim(&known.record.source) {
        Claim::Keeps => None,
        Claim::Declares | Claim::Left | Claim::Gone => {
            let same = claimants.iter().position(|(source, _)| **source == known.record.source);
            Some(same.unwrap_or(0))
        }
    }
}

fn change<'a>(
    present: Option<&'a Known>,
    declared: &'a Declared,
    source: &'a Source,
    replaces: impl Fn(&Known, &Declared) -> bool,
) -> Option<Change<'a>> {
    let Some(known) = present else { return Some(Change::Add { declared, source }) };
    let uid = &known.record.uid;
    if known.record.authored == declared.authored {
        return (known.record.source != *source).then_some(Change::Move { uid, source });
    }
    Some(if replaces(known, declared) {
        Change::Replace { uid, declared, source }
    } else {
        Change::Update { uid, declared, source }
    })
}

/// Removals first, so that a name is free before it is taken; then kinds as they are applied, then paths.
fn order<'a>(change: &Change<'a>) -> (usize, usize, Option<&'a Source>, usize) {
    let rank = |declared: &Declared| {
        KINDS.iter().position(|kind| kind.kind == declared.key.kind).unwrap_or(KINDS.len())
    };
    match *change {
        Change::Remove { .. } => (0, 0, None, 0),
        Change::Move { source, .. } => (1, 0, Some(source), 0),
        Change::Add { declared, source }
        | Change::Update { declared, source, .. }
        | Change::Replace { declared, source, .. } => (2, rank(declared), Some(source), declared.line),
    }
}
