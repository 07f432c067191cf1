//! `accept`: takes a folder that was lost as what it is.

use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};

use crate::daemon::folder::identity;
use crate::rundir::objects;

use super::attendance::{self, Watched};
use super::exit::Exit;
use super::failure::Failure;
use super::settings::{Settings, absolute, canonical};
use super::tell;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod accept /srv/pods

A folder that vanishes, or comes back empty as another directory (a disc that was not \
mounted), stops nothing until its files return. This says that they will not: what the \
folder declares from here on counts, and objects it no longer declares are removed.
Of a folder that no watcher has any more, files that are gone lose their objects, and the \
others lose theirs to any watched file that declares the same.")]
pub(crate) struct AcceptArgs {
    /// The folder as it was given to `watch`
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(args: &AcceptArgs, settings: &Settings) -> Result<Exit, Failure> {
    let places = &settings.places;
    let failed =
        |what: &str| Failure::new(Exit::Failed, format!("cannot {what} {}", args.directory.display()));
    let loaded = objects::load(places).map_err(|error| failed("look up the objects of").because(error))?;
    let objects_of = |folder: &Path| {
        let records = loaded.objects.iter();
        records.filter(|record| record.source.root == *folder && record.deletion.is_none()).count()
    };
    let named = absolute(&args.directory).map_err(|error| failed("use folder").because(error))?;
    let real = canonical(&args.directory).map_err(|error| failed("use folder").because(error))?;
    let is_known = |folder: &Path| -> io::Result<bool> {
        Ok(objects_of(folder) > 0 || identity::is_known(places, folder)?)
    };
    let known = [named, real].into_iter().find_map(|folder| match is_known(&folder) {
        Ok(false) => None,
        Ok(true) => Some(Ok(folder)),
        Err(error) => Some(Err(error)),
    });
    let Some(folder) = known.transpose().map_err(|error| failed("look up folder").because(error))? else {
        return Err(failed("accept folder")
            .because("nothing was taken from it that could be lost")
            .help("name it as `droppod watch` was given it; `droppod get pods -A` shows what is declared"));
    };
    identity::accept(places, &folder).map_err(|error| failed("accept folder").because(error))?;
    let count = match objects_of(&folder) {
        1 => "1 object".to_owned(),
        count => format!("{count} objects"),
    };
    writeln!(
        stdout(),
        "accepted {}: {count} came from it; what its files no longer declare is removed",
        folder.display()
    )
    .map_err(Failure::of_output)?;
    // Any watcher of the instance carries it out, whatever folders it has.
    let watched = attendance::of(places, &folder);
    if watched == Watched::No {
        let command = attendance::command(&watched, &folder);
        tell(&format!("note: no watcher runs, nothing is removed until one does:\n  {command}"));
    }
    Ok(Exit::Done)
}
