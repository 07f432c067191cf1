//! `down`: stops pods and keeps their files, without a watcher.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::daemon::aftermath;
use crate::model::observed::Interrupted;
use crate::model::record::StopReason;
use crate::paths::Places;
use crate::rundir::goal::{StopOrder, order_stop};
use crate::rundir::objects;
use crate::sandbox::instance::RunDirectory;
use crate::sandbox::sys::clock;

use super::exit::Exit;
use super::failure::Failure;
use super::records::{Records, Shown};
use super::settings::{Settings, canonical, file_of};
use super::{attendance, departure, duration, tell, up};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod down
  droppod down /srv/pods --timeout 1m
  droppod down --stop-watcher --timeout 1m

Pods that are stopped so start again with the next `droppod watch`.")]
pub(crate) struct DownArgs {
    /// Only pods whose manifests lie in this folder
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Every pod of the instance, as without DIR
    #[arg(long, conflicts_with = "directory")]
    all: bool,
    /// End a watcher first, which would start them again; one that is kept running by a service manager comes back
    #[arg(long)]
    stop_watcher: bool,
    /// Give up waiting after this time, such as 2m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
}

pub(crate) fn run(args: &DownArgs, settings: &Settings) -> Result<Exit, Failure> {
    let places = &settings.places;
    // First, because of a lock that may not be looked at nothing better could be said than that it is held.
    let records = Records::load(places)?;
    if let Some(holder) = attendance::holder(places) {
        if !args.stop_watcher {
            let help = "stop it first, for example with `systemctl stop droppod`; its pods stay, then `droppod down`. Or \
                        end it here with --stop-watcher";
            return Err(Failure::new(Exit::Locked, "a watcher would start the pods again")
                .because(holder)
                .help(help));
        }
        attendance::end(places, &holder, args.timeout)?;
    }
    let root = args.directory.as_deref().map(root).transpose()?;
    let of_root = |shown: &&Shown| {
        root.as_deref().is_none_or(|root| file_of(&shown.known.record.source).starts_with(root))
    };
    let to_run: Vec<&Shown> = records
        .shown
        .iter()
        .filter(|shown| shown.known.record.key.kind == "Pod" && shown.course.finished.is_none())
        .filter(of_root)
        .collect();
    let pods: Vec<&Shown> =
        to_run.iter().copied().filter(|shown| places.pod(shown.uid()).0.exists()).collect();
    for shown in &pods {
        let order = StopOrder { why: StopReason::Interrupted, grace: None };
        order_stop(&places.pod(shown.uid()), order).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot tell pod {} to stop", shown.pod_id())).because(error)
        })?;
    }
    let exit = departure::wait(&pods, departure::Until::Stopped, args.timeout, places)?;
    departure::forget_waiting(&pods, places).map_err(|error| {
        Failure::new(Exit::Failed, "cannot remove the records of pods that waited").because(error)
    })?;
    for shown in &to_run {
        let record = &shown.known.record;
        // The end of a Job's pod is for the next watcher to count.
        if record.deletion.is_some() && record.owner.is_none() {
            aftermath::forget(places, &shown.pod_id()).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot forget pod {}", shown.pod_id())).because(error)
            })?;
        } else {
            mark_stopped(shown, places)?;
        }
    }
    // The instance of an `up --keep` lies in its run directory whole, and nobody comes back to it.
    let passing = places.state.starts_with(&places.run);
    let directory = if passing { RunDirectory::Remove } else { RunDirectory::Keep };
    // Does nothing by itself while a pod of another folder lives.
    departure::retire(places, directory).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot remove what is left in {}", places.run.display()))
            .because(error)
            .help("`droppod doctor --census` lists it")
    })?;
    if root.is_none() {
        up::sweep_dead(places);
    }
    departure::report(places);
    match (pods.len(), &root) {
        (0, None) => tell("nothing runs"),
        (0, Some(root)) => tell(&format!("nothing from {} runs", root.display())),
        (count, _) => tell(&format!("{} stopped", counted(count))),
    }
    Ok(exit)
}

/// A pod process that stops leaves the mark itself; this is for pods that only waited, or whose process died.
fn mark_stopped(shown: &Shown, places: &Places) -> Result<(), Failure> {
    if objects::interrupted_of(places, shown.uid()).is_ok_and(|mark| mark.is_some()) {
        return Ok(());
    }
    let interrupted = Interrupted { at: clock::wall(), record: shown.course.record.as_deref().cloned() };
    objects::interrupt(places, shown.uid(), &interrupted).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot note that pod {} is stopped", shown.pod_id()))
            .because(error)
    })
}

fn root(directory: &Path) -> Result<PathBuf, Failure> {
    canonical(directory).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot use directory {}", directory.display())).because(error)
    })
}

fn counted(pods: usize) -> String {
    if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") }
}
