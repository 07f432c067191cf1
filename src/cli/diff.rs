//! `diff`: what manifests would change of what is in force, and what that does to pods.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::api::Object;
use crate::daemon::inventory::{prune, replaces};
use crate::manifest::immutable::{Objection, objection};
use crate::manifest::{Declared, Strictness};
use crate::model::id::Uid;
use crate::model::object::{Known, ObjectKey};
use crate::model::pod_plan::Role;
use crate::model::record::ContainerState;
use crate::paths::Places;
use crate::sandbox::sys::clock;

use super::StrictnessArg;
use super::exit::Exit;
use super::failure::Failure;
use super::folder::anchor_images;
use super::input::{self, Depth, Input};
use super::records::Records;
use super::settings::{Settings, file_of};
use super::tell;
use super::terminal::Color;

mod fields;

/// SGR.
const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod diff -f web.yaml
  droppod diff -f /etc/droppod/manifests -R

Exit codes: 0 the same, 1 something differs, 2 trouble.")]
pub(crate) struct DiffArgs {
    /// A manifest, a directory of them, or - for standard input
    #[arg(short, long = "filename", required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Look into subdirectories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// What to do about fields that are not known
    #[arg(long, value_enum, default_value = "strict", value_name = "HOW")]
    validate: StrictnessArg,
}

pub(crate) fn run(args: &DiffArgs, settings: &Settings) -> Result<Exit, Failure> {
    // 1 says that something differs: whatever goes wrong must not.
    let (inputs, declared, records) =
        gather(args, settings).map_err(|failure| failure.ending(Exit::Trouble))?;
    let mut findings = Vec::new();
    for (at, declared) in &declared {
        findings.extend(finding(declared, &inputs[*at], &records, &settings.places));
    }
    findings.extend(pruned(args, &inputs, &declared, &records));
    if declared.is_empty() && findings.is_empty() {
        tell(&format!("note: {}", input::nothing_declared(&inputs)));
    }
    let color = settings.color.for_stdout();
    let mut out = stdout().lock();
    for finding in &findings {
        finding.print(color, &mut out).map_err(Failure::of_output)?;
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Failed })
}

type Gathered = (Vec<Input>, Vec<(usize, Declared)>, Records);

fn gather(args: &DiffArgs, settings: &Settings) -> Result<Gathered, Failure> {
    let inputs = input::collect(&args.files, depth(args))?;
    let declared = input::declared(&inputs, settings, Strictness::from(args.validate))?;
    Ok((inputs, declared, Records::load(&settings.places)?))
}

fn depth(args: &DiffArgs) -> Depth {
    if args.recursive { Depth::Recursive } else { Depth::Flat }
}

/// What would become of one object.
struct Finding {
    key: ObjectKey,
    effect: Effect,
    changes: Vec<fields::Change>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Effect {
    Create,
    InPlace,
    /// These containers, by their new images.
    Restart(Vec<String>),
    Replace,
    Prune,
    /// Nothing comes of an object of this kind.
    NotServed,
    /// The object takes no such edit.
    Refused(Objection),
    /// Too many to go at once: a second look has to agree.
    Held,
}

fn finding(declared: &Declared, input: &Input, records: &Records, places: &Places) -> Option<Finding> {
    let mut in_force = records.shown.iter().filter(|shown| shown.known.is_declared());
    let Some(shown) = in_force.find(|shown| shown.known.record.key == declared.key) else {
        let effect = match &*declared.object {
            Object::Unserved { .. } => Effect::NotServed,
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_) => Effect::Create,
        };
        return Some(Finding { key: declared.key.clone(), effect, changes: Vec::new() });
    };
    let known = &shown.known;
    let mut wanted = declared.clone();
    // `apply` writes to another directory and makes relative paths whole.
    if input.path.as_ref() != Some(&file_of(&known.record.source)) {
        anchor_images(Arc::make_mut(&mut wanted.authored), &input.base);
    }
    let changes = fields::changes(&declared.key.kind, &known.record.authored, &wanted.authored);
    if changes.is_empty() {
        return None;
    }
    let objection = objection(&known.object, &declared.object, shown.progress());
    let effect = match (objection, &*declared.object) {
        (_, Object::Pod(_) | Object::Job(_)) if replaces(places, known, &wanted) => Effect::Replace,
        (Some(objection), _) => Effect::Refused(objection),
        (None, Object::Pod(_)) => {
            let mut containers = fields::changed_images(&known.record.authored, &wanted.authored);
            containers.retain(|name| !has_initialized(&known.record.key, name, records));
            if containers.is_empty() { Effect::InPlace } else { Effect::Restart(containers) }
        }
        (
            None,
            Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_),
        ) => Effect::InPlace,
        (None, Object::Unserved { .. }) => Effect::NotServed,
    };
    Some(Finding { key: declared.key.clone(), effect, changes })
}

/// An init container that has done its work is not run again in this pod, whatever its image.
fn has_initialized(pod: &ObjectKey, name: &str, records: &Records) -> bool {
    let shown = records.shown.iter().find(|shown| shown.known.record.key == *pod);
    let Some(container) = shown.and_then(|shown| shown.container(name)) else { return false };
    match (container.role, &container.state) {
        (Role::Init, ContainerState::Terminated(exit)) => exit.code == 0,
        (Role::Init | Role::Sidecar | Role::App, _) => false,
    }
}

/// What files have declared; what controllers made of it is not theirs to compare.
fn in_force(records: &Records) -> impl Iterator<Item = &Known> {
    records.shown.iter().map(|shown| &shown.known).filter(|known| known.is_declared())
}

/// Objects that came from these files or directories and are declared there no more.
fn pruned(
    args: &DiffArgs,
    inputs: &[Input],
    declared: &[(usize, Declared)],
    records: &Records,
) -> Vec<Finding> {
    let directories: Vec<PathBuf> = args.files.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let came_from = |source: &Path| {
        inputs.iter().any(|input| input.path.as_deref() == Some(source))
            || directories.iter().any(|directory| match depth(args) {
                Depth::Recursive => source.starts_with(directory),
                Depth::Flat => source.parent() == Some(directory),
            })
    };
    let gone = |known: &&Known| {
        came_from(&file_of(&known.record.source))
            && !declared.iter().any(|(_, declared)| declared.key == known.record.key)
    };
    let gone: Vec<&Known> = in_force(records).filter(gone).collect();
    let mut of_root: BTreeMap<&Path, BTreeSet<Uid>> = BTreeMap::new();
    for known in &gone {
        of_root.entry(&known.record.source.root).or_default().insert(known.record.uid.clone());
    }
    let held = |root: &Path| {
        let all = in_force(records).filter(|known| known.record.source.root == root).count();
        let now = clock::boot();
        of_root.get(root).is_some_and(|removed| prune::decide(removed, all, None, now).is_err())
    };
    let finding = |known: &&Known| Finding {
        key: known.record.key.clone(),
        effect: if held(&known.record.source.root) { Effect::Held } else { Effect::Prune },
        changes: Vec::new(),
    };
    gone.iter().map(finding).collect()
}

impl Finding {
    fn print(&self, color: Color, out: &mut dyn Write) -> std::io::Result<()> {
        let (sign, code) = match self.effect {
            Effect::Create => ('+', GREEN),
            Effect::InPlace | Effect::Restart(_) | Effect::Replace => ('~', YELLOW),
            Effect::Prune | Effect::Held => ('-', RED),
            Effect::NotServed => ('!', YELLOW),
            Effect::Refused(_) => ('!', RED),
        };
        let what = match &self.effect {
            Effect::Create => "create".to_owned(),
            Effect::InPlace => "change in place".to_owned(),
            Effect::Restart(containers) if containers.len() == 1 => {
                format!("restart container {}", containers[0])
            }
            Effect::Restart(containers) => format!("restart containers {}", containers.join(", ")),
            Effect::Replace => format!("replace {}", self.key.kind.to_lowercase()),
            Effect::Prune => "prune".to_owned(),
            Effect::NotServed => "not served by this version, nothing comes of it".to_owned(),
            Effect::Refused(Objection { field, message, .. }) => format!("refused: {field}: {message}"),
            Effect::Held => "prune, held until a second look agrees".to_owned(),
        };
        let ObjectKey { kind, namespace, name, .. } = &self.key;
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let line = format!("{sign} {} {place}{name}: {what}", kind.to_lowercase());
        writeln!(out, "{}", color.paint(code, &line))?;
        for change in &self.changes {
            for line in change.before_lines() {
                writeln!(out, "{}", color.paint(RED, &format!("-   {line}")))?;
            }
            for line in change.after_lines() {
                writeln!(out, "{}", color.paint(GREEN, &format!("+   {line}")))?;
            }
        }
        Ok(())
    }
}
