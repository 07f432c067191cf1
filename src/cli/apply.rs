//! `apply`: manifests into the folder, one file for each object, all of them or none.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::api::Object;
use crate::manifest::immutable::{Objection, objection};
use crate::manifest::{Declared, Strictness, revive};
use crate::model::object::ObjectKey;
use crate::workload;

use super::attendance::{self, Meanwhile, Watched};
use super::dry_run::Telling;
use super::exit::Exit;
use super::failure::Failure;
use super::folder::{Change, Folder, Holds, anchor_images};
use super::input::{self, Depth, Input};
use super::ready;
use super::records::Records;
use super::settings::Settings;
use super::{StrictnessArg, duration};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod apply -f web.yaml
  droppod apply -f manifests/ -R --wait --timeout 2m
  droppod apply -f web.yaml --dry-run=client
  generate | droppod apply -f -")]
pub(crate) struct ApplyArgs {
    /// A manifest, a directory of them, or - for standard input
    #[arg(short, long = "filename", required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Look into subdirectories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// What to do about fields that are not known
    #[arg(long, value_enum, default_value = "strict", value_name = "HOW")]
    validate: StrictnessArg,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    _kubectl: Needless,
}

/// Flags of scripts for kubectl about who owns which field: here a file owns its object.
#[derive(Debug, Clone, clap::Args)]
struct Needless {
    #[arg(long = "server-side", hide = true)]
    _server_side: bool,
    #[arg(long = "force-conflicts", hide = true)]
    _force_conflicts: bool,
    #[arg(long = "field-manager", hide = true, value_name = "NAME")]
    _field_manager: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct WaitArgs {
    /// Wait until every pod is ready or has succeeded
    #[arg(long)]
    pub(crate) wait: bool,
    /// Give up waiting after this time, such as 2m
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "wait")]
    pub(crate) timeout: Option<Duration>,
}

pub(crate) fn run(args: &ApplyArgs, settings: &Settings) -> Result<Exit, Failure> {
    let depth = if args.recursive { Depth::Recursive } else { Depth::Flat };
    let inputs = input::collect(&args.files, depth)?;
    let strictness = Strictness::from(args.validate);
    let declared = input::declared(&inputs, settings, strictness)?;
    if declared.is_empty() {
        return Err(Failure::new(Exit::Failed, input::nothing_declared(&inputs)));
    }
    let wishes = declared
        .into_iter()
        .map(|(at, Declared { key, authored, .. })| {
            let mut authored = Arc::unwrap_or_clone(authored);
            anchor_images(&mut authored, &inputs[at].base);
            Wish { key, authored, from: &inputs[at] }
        })
        .collect();
    put(wishes, args.wait, &args.telling, settings)
}

/// An object that the folder is to declare.
pub(crate) struct Wish<'a> {
    pub(crate) key: ObjectKey,
    pub(crate) authored: Value,
    pub(crate) from: &'a Input,
}

/// Writes all of them, or none if another file declares one of them.
pub(crate) fn put(
    wishes: Vec<Wish<'_>>,
    wait: WaitArgs,
    telling: &Telling,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let folder = Folder::look(settings)?;
    let records = Records::load(&settings.places)?;
    let mut writes = Vec::new();
    for (at, wish) in wishes.iter().enumerate() {
        if wishes[..at].iter().any(|earlier| earlier.key == wish.key) {
            let what = format!("{} is declared twice in what is to be applied", wish.key);
            return Err(Failure::new(Exit::Invalid, what));
        }
        writes.push(whether_to_write(wish, &folder, &records)?);
    }
    for (wish, write) in wishes.iter().zip(writes) {
        let change = match write {
            Deed::File if telling.is_dry() => folder.change(&wish.key, &wish.authored),
            Deed::File => folder.write(&wish.key, &wish.authored)?,
            Deed::Nothing => Change::Unchanged,
        };
        telling.done(&wish.key, change.word())?;
    }
    telling.all_done(wishes.iter().map(|wish| wish.authored.clone()).collect())?;
    if telling.is_dry() {
        return Ok(Exit::Done);
    }
    match (attendance::look(&settings.places, &folder.path, Meanwhile::Nothing), wait.wait) {
        (Watched::No | Watched::Elsewhere(_), true) => Ok(Exit::Failed),
        (Watched::Yes | Watched::No | Watched::Elsewhere(_), false) => Ok(Exit::Done),
        (Watched::Yes, true) => {
            let wanted = wishes.into_iter().map(|wish| (wish.key, wish.authored)).collect();
            ready::until_ready(wanted, wait.timeout, settings)
        }
    }
}

/// The object in force may be one that takes no such edit.
pub(crate) fn must_be_taken(key: &ObjectKey, authored: &Value, records: &Records) -> Result<(), Failure> {
    let in_force = records.shown.iter().find(|shown| {
        let record = &shown.known.record;
        record.key == *key && record.deletion.is_none()
    });
    let (Some(in_force), Ok(wanted)) = (in_force, revive(authored)) else { return Ok(()) };
    let known = &in_force.known;
    // What makes a Job run anew may be any edit of it.
    if matches!(wanted, Object::Job(_)) && !workload::is_same_run(&known.record.authored, authored) {
        return Ok(());
    }
    let Some(Objection { field, message, help }) = objection(&known.object, &wanted, in_force.progress())
    else {
        return Ok(());
    };
    let ObjectKey { kind, name, .. } = key;
    let what = format!("the {kind} \"{name}\" is invalid: {field}: {message}; nothing was changed");
    Err(Failure::new(Exit::Invalid, what).help(help))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    File,
    /// The object comes from a file of the folder: that is what declares it.
    Nothing,
}

fn whether_to_write(wish: &Wish<'_>, folder: &Folder, records: &Records) -> Result<Deed, Failure> {
    must_be_taken(&wish.key, &wish.authored, records)?;
    let own = folder.own_file(&wish.key);
    let place = folder.place_of(&wish.key, records);
    if let Some(place) = &place {
        if Some(&place.path) == wish.from.path.as_ref() {
            return Ok(Deed::Nothing);
        }
        if place.path != own {
            let line = place.line.map(|line| format!(", line {line}")).unwrap_or_default();
            let what =
                format!("{} is declared by {}{line}; nothing was changed", wish.key, place.path.display());
            return Err(
                Failure::new(Exit::Failed, what).help("edit that file, or remove the object from it first")
            );
        }
    }
    // Whatever else it holds would be lost.
    match folder.own_file_holds(&wish.key) {
        Holds::Nothing | Holds::OnlyIt => Ok(Deed::File),
        Holds::More(what) => {
            let what = format!("{} goes into {}, which {what}; nothing was changed", wish.key, own.display());
            Err(Failure::new(Exit::Failed, what).help("edit that file, or move what it holds to another"))
        }
    }
}
