//! `accept`: takes a folder that was lost as what it is.

use std::io::{Write, stdout};
use std::path::PathBuf;

use crate::daemon::folder::identity;
use crate::rundir::objects;

use super::attendance::{self, Meanwhile};
use super::exit::Exit;
use super::failure::Failure;
use super::settings::{Settings, canonical};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod accept /srv/pods

A folder that vanishes, or comes back empty as another directory (a disc that was not
mounted), stops nothing until its files return. This says that they will not: what the
folder declares from here on counts, and objects it no longer declares are removed.")]
pub(crate) struct AcceptArgs {
    /// The folder as it was given to `watch`
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(args: &AcceptArgs, settings: &Settings) -> Result<Exit, Failure> {
    let places = &settings.places;
    let failed =
        |what: &str| Failure::new(Exit::Failed, format!("cannot {what} {}", args.directory.display()));
    let folder = canonical(&args.directory).map_err(|error| failed("use folder").because(error))?;
    let known =
        identity::remembered(places, &folder).map_err(|error| failed("look up folder").because(error))?;
    if known.is_none() {
        return Err(failed("accept folder")
            .because("nothing was taken from it that could be lost")
            .help("name it as `droppod watch` was given it; `droppod get pods -A` shows what is declared"));
    }
    let loaded = objects::load(places).map_err(|error| failed("look up the objects of").because(error))?;
    let of_folder = loaded
        .objects
        .iter()
        .filter(|record| record.source.root == folder && record.deletion.is_none())
        .count();
    identity::forget(places, &folder).map_err(|error| failed("accept folder").because(error))?;
    let count = if of_folder == 1 { "1 object".to_owned() } else { format!("{of_folder} objects") };
    writeln!(
        stdout(),
        "accepted {}: {count} came from it; what its files no longer declare is removed",
        folder.display()
    )
    .map_err(Failure::of_output)?;
    attendance::look(places, &folder, Meanwhile::Nothing);
    Ok(Exit::Done)
}
