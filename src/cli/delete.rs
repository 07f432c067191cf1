//! `delete`: removes what `apply` and `run` wrote, stops the pods and waits until they are gone.

use std::io::{Write, stdout};
use std::path::PathBuf;

use crate::api::KindName;
use crate::manifest::Strictness;
use crate::model::object::ObjectKey;
use crate::model::record::StopReason;
use crate::publish::remove;
use crate::rundir::goal::{StopOrder, order_stop};

use super::attendance::{self, Watched};
use super::departure;
use super::exit::Exit;
use super::failure::Failure;
use super::folder::{Folder, Place};
use super::input::{self, Depth};
use super::records::{Records, Shown, not_found};
use super::settings::{Scope, Settings};
use super::target;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod delete pod web
  droppod delete -f web.yaml --ignore-not-found
  droppod delete pod/web configmap/web --now")]
#[command(group = clap::ArgGroup::new("which").required(true).args(["words", "files"]))]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line, each for itself")]
pub(crate) struct DeleteArgs {
    /// TYPE NAME… or TYPE/NAME…
    #[arg(value_name = "TYPE NAME | TYPE/NAME")]
    words: Vec<String>,
    /// Delete what these manifests declare
    #[arg(short, long = "filename", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Look into subdirectories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Seconds between SIGTERM and SIGKILL, in place of the pod's own
    #[arg(long, value_name = "SECONDS")]
    grace_period: Option<u32>,
    /// The same as --grace-period=1
    #[arg(long, conflicts_with = "grace_period")]
    now: bool,
    /// Wait until the pods are gone
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, action = clap::ArgAction::Set)]
    wait: bool,
    /// An object that is not there is as good as deleted
    #[arg(long)]
    ignore_not_found: bool,
}

pub(crate) fn run(args: &DeleteArgs, settings: &Settings) -> Result<Exit, Failure> {
    let folder = Folder::look(&settings.manifests)?;
    let records = Records::load(&settings.places)?;
    let mut deletions = Vec::new();
    for wanted in keys(args, settings)? {
        let deletion = Deletion {
            shown: records.shown.iter().find(|shown| shown.known.record.key == wanted.key),
            place: folder.place_of(&wanted.key, &records),
            wanted,
        };
        if deletion.shown.is_some() || deletion.place.is_some() {
            deletion.must_be_ours(&folder)?;
            deletions.push(deletion);
        } else if !args.ignore_not_found {
            return Err(not_found(deletion.wanted.plural, &deletion.wanted.key.name));
        }
    }
    for Deletion { wanted, place, .. } in &deletions {
        if let Some(place) = place {
            remove(&place.path).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot remove {}", place.path.display())).because(error)
            })?;
        }
        let ObjectKey { kind, name, .. } = &wanted.key;
        writeln!(stdout(), "{} \"{name}\" deleted", kind.to_lowercase()).map_err(Failure::of_output)?;
    }
    let shown: Vec<&Shown> = deletions.iter().filter_map(|deletion| deletion.shown).collect();
    if shown.is_empty() {
        return Ok(Exit::Done);
    }
    let grace = if args.now { Some(1) } else { args.grace_period };
    let watched = attendance::holder(&settings.places).map_or(Watched::No, |_| Watched::Yes);
    stop(&shown, grace, watched, settings)?;
    if !args.wait {
        return Ok(Exit::Done);
    }
    let until = match watched {
        Watched::Yes => departure::Until::Forgotten,
        Watched::No => departure::Until::Stopped,
    };
    departure::wait(&shown, until, None, &settings.places)
}

struct Wanted {
    key: ObjectKey,
    plural: &'static str,
}

struct Deletion<'a> {
    wanted: Wanted,
    shown: Option<&'a Shown>,
    place: Option<Place>,
}

impl Deletion<'_> {
    /// What somebody wrote by hand is theirs to edit.
    fn must_be_ours(&self, folder: &Folder) -> Result<(), Failure> {
        let Some(Place { path, line }) = &self.place else { return Ok(()) };
        if *path == folder.own_file(&self.wanted.key) {
            return Ok(());
        }
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        let what =
            format!("{} is declared by {}{line}; nothing was deleted", self.wanted.key, path.display());
        Err(Failure::new(Exit::Failed, what).help("remove it from that file; a watcher then stops it"))
    }
}

fn keys(args: &DeleteArgs, settings: &Settings) -> Result<Vec<Wanted>, Failure> {
    if settings.scope == Scope::All {
        return Err(Failure::new(Exit::Usage, "objects cannot be deleted across all namespaces")
            .help("leave out -A and name a namespace with -n"));
    }
    if !args.files.is_empty() {
        let depth = if args.recursive { Depth::Recursive } else { Depth::Flat };
        let inputs = input::collect(&args.files, depth)?;
        let declared = input::declared(&inputs, settings, Strictness::Ignore)?;
        let wanted = |key: ObjectKey| Wanted { plural: plural(&key), key };
        return Ok(declared.into_iter().map(|(_, declared)| wanted(declared.key)).collect());
    }
    let targets = target::parse(&args.words)?;
    targets
        .into_iter()
        .map(|target| {
            let KindName { group, kind, plural, namespaced, .. } = *target.kind;
            let name = target.name.ok_or_else(|| {
                Failure::new(Exit::Usage, format!("no name of one of the {plural} is given"))
                    .help(format!("name it: droppod delete {} NAME", kind.to_lowercase()))
            })?;
            let namespace = if namespaced { settings.namespace.clone() } else { String::new() };
            let (group, kind, name) = (group.to_owned(), kind.to_owned(), name.to_owned());
            Ok(Wanted { key: ObjectKey { group, kind, namespace, name }, plural })
        })
        .collect()
}

fn plural(key: &ObjectKey) -> &'static str {
    crate::api::kind_named(&key.kind).map_or("objects", |kind| kind.plural)
}

/// A watcher stops pods whose file has gone by itself; told a grace period, or without one, it is done here.
fn stop(shown: &[&Shown], grace: Option<u32>, watched: Watched, settings: &Settings) -> Result<(), Failure> {
    if watched == Watched::Yes && grace.is_none() {
        return Ok(());
    }
    for shown in shown {
        let order = StopOrder { why: StopReason::Deleted, grace };
        order_stop(&settings.places.pod(shown.uid()), order).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot tell pod {} to stop", shown.pod_id())).because(error)
        })?;
    }
    Ok(())
}
