//! `delete`: removes what `apply` and `run` wrote, stops the pods and waits until they are gone.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use crate::daemon::aftermath;
use crate::model::object::{Deletion, ObjectKey, ObjectRecord};
use crate::model::record::StopReason;
use crate::paths::Places;
use crate::publish::remove;
use crate::rundir::goal::{StopOrder, order_stop};
use crate::rundir::{deletions, objects};
use crate::sandbox::sys::clock;

use super::attendance::{self, Meanwhile, Watched};
use super::departure;
use super::dry_run::DryRun;
use super::exit::Exit;
use super::failure::Failure;
use super::fields::{self, FieldSelector};
use super::folder::{Folder, Holds, Place};
use super::records::{Records, Shown};
use super::selector::{self, Selector};
use super::settings::Settings;
use super::{duration, tell};

mod cut;
mod wanted;

use cut::Cut;
use wanted::{Wanted, wanted};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod delete pod web
  droppod delete -f web.yaml --ignore-not-found
  droppod delete pod/web configmap/web --now
  droppod delete pods -l app=web
  droppod delete pods --all --dry-run=client
  droppod delete pod web --edit-file           also out of a file of your own")]
#[command(group = clap::ArgGroup::new("which").required(true).args(["words", "files"]))]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line, each for itself")]
pub(crate) struct DeleteArgs {
    /// TYPE NAME… or TYPE/NAME…
    #[arg(value_name = "TYPE NAME | TYPE/NAME")]
    words: Vec<String>,
    /// Those of the TYPE with these labels, such as app=web,tier!=db
    #[arg(short = 'l', long, value_parser = selector::parse, requires = "words")]
    selector: Option<Selector>,
    /// Those of the TYPE with these fields, such as status.phase=Failed
    #[arg(long, value_parser = fields::parse, value_name = "SELECTOR", requires = "words")]
    field_selector: Option<FieldSelector>,
    /// All of the TYPE
    #[arg(long, requires = "words", conflicts_with = "selector")]
    all: bool,
    /// Delete what these manifests declare
    #[arg(short, long = "filename", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Look into subdirectories
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Seconds between SIGTERM and SIGKILL, in place of the pod's own; -1 leaves it to the pod
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    grace_period: Option<i32>,
    /// The same as --grace-period=1
    #[arg(long, conflicts_with = "grace_period")]
    now: bool,
    /// Kill at once: the same as --grace-period=0
    #[arg(long, conflicts_with = "now")]
    force: bool,
    /// Wait until the pods are gone
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, default_missing_value = "true",
          require_equals = true, action = clap::ArgAction::Set)]
    wait: bool,
    /// Give up waiting after this time, such as 2m; 0 waits as long as it takes
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0")]
    timeout: Duration,
    /// Take the object out of the file that declares it, whoever wrote that; the rest of the file stays as it is
    #[arg(long)]
    edit_file: bool,
    /// An object that is not there is as good as deleted
    #[arg(long)]
    ignore_not_found: bool,
    /// What a Job or CronJob has made goes with it: background or foreground, which are the same here
    #[arg(long = "cascade", value_name = "HOW", value_parser = ["background", "foreground"], num_args = 0..=1,
          require_equals = true, default_missing_value = "background", hide = true)]
    _cascade: Option<String>,
    #[command(flatten)]
    dry: DryRun,
    /// Print only the names of what goes: name
    #[arg(short, long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    output: Option<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Name,
}

pub(crate) fn run(args: &DeleteArgs, settings: &Settings) -> Result<Exit, Failure> {
    let folder = Folder::look(settings)?;
    let records = Records::load(&settings.places)?;
    let mut victims = Vec::new();
    for wanted in wanted(args, &folder, &records, settings)? {
        let shown = records.shown.iter().find(|shown| shown.known.record.key == wanted.key);
        let is_made = shown.is_some_and(|shown| shown.known.record.owner.is_some());
        // What a controller made is in no file of its own.
        let place = if is_made { None } else { folder.place_of(&wanted.key, &records) };
        let victim = Victim { shown, place, wanted };
        if victim.shown.is_some() || victim.place.is_some() {
            if args.edit_file {
                victim.must_come_out(&folder, &records, settings)?;
            } else {
                victim.must_be_ours(&folder)?;
            }
            victim.must_stay_gone(&settings.places)?;
            victims.push(victim);
        } else if !args.ignore_not_found && !args.chooses() {
            return Err(victim.wanted.not_found());
        }
    }
    if victims.is_empty() && args.chooses() {
        tell("No resources found");
    }
    for victim in &victims {
        if !args.dry.is_on() {
            victim.undeclare(&folder, &records, settings)?;
        }
        args.told(&victim.wanted.key).map_err(Failure::of_output)?;
    }
    if args.dry.is_on() {
        return Ok(Exit::Done);
    }
    let named: Vec<&Shown> = victims.iter().filter_map(|victim| victim.shown).collect();
    let shown = with_made(&named, &records);
    let grace = args.grace();
    let patience = match (args.wait, args.timeout) {
        (false, _) => Patience::None,
        (true, Duration::ZERO) => Patience::Endless,
        (true, timeout) => Patience::AtMost(timeout),
    };
    match attendance::look(&settings.places, &folder.path, Meanwhile::Stopped) {
        Watched::Yes => by_watcher(&named, &shown, grace, patience, settings),
        Watched::No | Watched::Elsewhere(_) => alone(&shown, grace, patience, settings),
    }
}

impl DeleteArgs {
    /// Whether what there is decides, not names.
    fn chooses(&self) -> bool {
        self.all || self.selector.is_some() || self.field_selector.is_some()
    }

    /// None where each pod has its own.
    fn grace(&self) -> Option<u32> {
        match (self.now, self.grace_period) {
            (true, _) => Some(1),
            (false, Some(seconds)) => u32::try_from(seconds).ok(),
            (false, None) => self.force.then_some(0),
        }
    }

    fn told(&self, key: &ObjectKey) -> std::io::Result<()> {
        let word = if self.force { "force deleted" } else { "deleted" };
        match self.output {
            Some(Output::Name) => writeln!(stdout(), "{key}"),
            None => {
                let (kind, name) = (key.kind.to_lowercase(), &key.name);
                writeln!(stdout(), "{kind} \"{name}\" {word}{}", self.dry.mark())
            }
        }
    }
}

/// How long what was deleted is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    AtMost(Duration),
    Endless,
}

impl Patience {
    /// To scripts of kubectl a time that is up is a failure like others.
    fn wait(self, shown: &[&Shown], until: departure::Until, places: &Places) -> Result<Exit, Failure> {
        let timeout = match self {
            Patience::None => return Ok(Exit::Done),
            Patience::AtMost(timeout) => Some(timeout),
            Patience::Endless => None,
        };
        departure::wait(shown, until, timeout, places).map_err(|failure| {
            if failure.exit() == Exit::TimedOut { failure.ending(Exit::Failed) } else { failure }
        })
    }
}

/// The watcher sees that the files have gone; told a grace period, the pods hear of it here. What a controller made is in
/// no file: the watcher is asked.
fn by_watcher(
    named: &[&Shown],
    shown: &[&Shown],
    grace: Option<u32>,
    patience: Patience,
    settings: &Settings,
) -> Result<Exit, Failure> {
    // Also of one that is to go already, with more time.
    if grace.is_some() {
        stop(named, grace, settings)?;
    }
    for shown in named.iter().filter(|shown| shown.known.record.owner.is_some()) {
        deletions::ask(&settings.places, shown.uid(), deletions::Wanted { grace }).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot ask the watcher to delete {}", shown.known.record.key))
                .because(error)
        })?;
    }
    patience.wait(shown, departure::Until::Forgotten, &settings.places)
}

/// Without a watcher all of it is done here. That they are to go is written down first: whatever cuts this short,
/// and without waiting, the next watcher does the rest. A disc that has no room for it may get that by their going.
fn alone(
    shown: &[&Shown],
    grace: Option<u32>,
    patience: Patience,
    settings: &Settings,
) -> Result<Exit, Failure> {
    let places = &settings.places;
    let failed = |shown: &Shown| format!("cannot delete {}", shown.known.record.key);
    for shown in shown {
        let record = &shown.known.record;
        let deletion = Some(Deletion { at: clock::wall(), grace });
        if let Err(error) = objects::save(places, &ObjectRecord { deletion, ..record.clone() }) {
            tell(&format!("warning: it is not written down that {} is to go: {error}", record.key));
        }
    }
    stop(shown, grace, settings)?;
    if patience == Patience::None {
        return Ok(Exit::Done);
    }
    let exit = patience.wait(shown, departure::Until::Stopped, places)?;
    // How a pod of a Job that stays has ended is for the next watcher to count, before it is forgotten; and what a Job of
    // a CronJob that stays was made for is for it to note.
    let goes_with_owner = |one: &&&Shown| {
        let owner = one.known.record.owner.as_ref();
        owner.is_none_or(|owner| shown.iter().any(|other| *other.uid() == owner.uid))
    };
    for shown in shown.iter().filter(goes_with_owner) {
        aftermath::forget(places, &shown.pod_id())
            .map_err(|error| Failure::new(Exit::Failed, failed(shown)).because(error))?;
    }
    departure::report(places);
    Ok(exit)
}

/// The objects and all that controllers made for them.
fn with_made<'a>(named: &[&'a Shown], records: &'a Records) -> Vec<&'a Shown> {
    let mut all = named.to_vec();
    let mut at = 0;
    while at < all.len() {
        let owner = all[at].uid();
        let made = records.shown.iter().filter(|shown| {
            shown.known.record.owner.as_ref().is_some_and(|by| by.uid == *owner)
                && shown.known.record.deletion.is_none()
        });
        all.extend(made);
        at += 1;
    }
    all
}

struct Victim<'a> {
    wanted: Wanted,
    shown: Option<&'a Shown>,
    place: Option<Place>,
}

impl Victim<'_> {
    /// Whether the whole file may go: `apply` wrote it for this object and nothing was added, or it is the very file
    /// that was named.
    fn has_file(&self, path: &PathBuf, folder: &Folder) -> bool {
        let key = &self.wanted.key;
        let is_own = *path == folder.own_file(key) && folder.own_file_holds(key) == Holds::OnlyIt;
        is_own || self.wanted.file.as_ref() == Some(path)
    }

    /// Makes that no file declares it any more.
    fn undeclare(&self, folder: &Folder, records: &Records, settings: &Settings) -> Result<(), Failure> {
        let Some(Place { path, .. }) = &self.place else { return Ok(()) };
        if self.has_file(path, folder) {
            return remove(path).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot remove {}", path.display())).because(error)
            });
        }
        let line = Cut::plan(path, &self.wanted.key, records, settings)?.make()?;
        tell(&format!("note: {} is out of {}, line {line}", self.wanted.key, path.display()));
        Ok(())
    }

    /// Nothing is deleted if the file of one cannot do without it.
    fn must_come_out(&self, folder: &Folder, records: &Records, settings: &Settings) -> Result<(), Failure> {
        match &self.place {
            Some(Place { path, .. }) if !self.has_file(path, folder) => {
                Cut::plan(path, &self.wanted.key, records, settings).map(|_| ())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What somebody wrote by hand is theirs to edit.
    fn must_be_ours(&self, folder: &Folder) -> Result<(), Failure> {
        let Some(Place { path, line }) = &self.place else { return Ok(()) };
        if self.has_file(path, folder) {
            return Ok(());
        }
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        let what =
            format!("{} is declared by {}{line}; nothing was deleted", self.wanted.key, path.display());
        Err(Failure::new(Exit::Failed, what)
            .help("remove it from that file, or let --edit-file do it; a watcher then stops it"))
    }

    /// A watcher that does not look into the object's folder knows the object all the same.
    fn must_stay_gone(&self, places: &Places) -> Result<(), Failure> {
        let Some(shown) = self.shown else { return Ok(()) };
        let ObjectRecord { key, source, .. } = &shown.known.record;
        let watched = attendance::of(places, &source.root);
        let Watched::Elsewhere(folders) = &watched else { return Ok(()) };
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let what = format!("{key} comes from {}; nothing was deleted", source.root.display());
        Err(Failure::new(Exit::Failed, what)
            .because(format!("the watcher that runs has {} and would start it again", folders.join(", ")))
            .help(format!("give it that folder too: {}", attendance::command(&watched, &source.root))))
    }
}

fn stop(shown: &[&Shown], grace: Option<u32>, settings: &Settings) -> Result<(), Failure> {
    for shown in shown {
        let order = StopOrder { why: StopReason::Deleted, grace };
        order_stop(&settings.places.pod(shown.uid()), order).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot tell pod {} to stop", shown.pod_id())).because(error)
        })?;
    }
    Ok(())
}
