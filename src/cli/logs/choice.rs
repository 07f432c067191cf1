//! Whose logs are asked for.

use std::time::Duration;

use crate::cli::exec::choose;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::records::{Records, Shown};
use crate::cli::running::{Miss, none_yet, tell_default};
use crate::cli::settings::Settings;
use crate::cli::target::{self, Looked};
use crate::cli::tell;
use crate::logs::read::runs;

use super::{How, LogsArgs};

/// How long kubectl waits for the first pod of a Job whose log is wanted.
const FIRST_POD: Duration = Duration::from_secs(20);

/// A Job has a pod; and if the caller wants to wait, that has something to show.
pub(super) fn has_begun(args: &LogsArgs, records: &Records, settings: &Settings) -> Result<(), Miss> {
    let Some(word) = &args.pod else { return Ok(()) };
    let namespace = &settings.namespace;
    let shown = match target::looked(word).map_err(Miss::Never)? {
        Looked::Pod(name) => records.pod(namespace, name).map_err(Miss::Never)?,
        Looked::Job(name) => {
            let (job, pods) = records.pods_of_job(namespace, name).map_err(Miss::Never)?;
            picked(&pods).ok_or_else(|| none_yet(job, FIRST_POD))?
        }
    };
    if args.running.given().is_none() || args.how.follow {
        return Ok(());
    }
    let container = choose(shown, args.named()).map_err(Miss::Never)?;
    let directory = settings.places.pod_logs(&shown.pod_id()).join(&container);
    if shown.is_over(&container) || runs(&directory).is_ok_and(|runs| !runs.is_empty()) {
        return Ok(());
    }
    Err(Miss::NotYet { why: waiting_to_start(records, shown, &container), wait: Duration::ZERO })
}

/// In kubectl's words, which scripts look for.
pub(super) fn waiting_to_start(records: &Records, shown: &Shown, container: &str) -> Failure {
    let (name, reason) = (&shown.known.record.key.name, records.waits_for(shown, container));
    let what = format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}");
    Failure::new(Exit::Failed, what)
        .help("-f waits until it writes something; `droppod get pods` shows how the pod does")
}

pub(super) fn pods<'a>(
    args: &'a LogsArgs,
    records: &'a Records,
    settings: &'a Settings,
) -> Result<Vec<&'a Shown>, Failure> {
    match (&args.pod, &args.selector) {
        (Some(word), _) => match target::looked(word)? {
            Looked::Job(name) => of_job(args.how, name, records, settings),
            Looked::Pod(name) => Ok(vec![records.pod(&settings.namespace, name)?]),
        },
        (None, selector) => {
            let selector = selector.as_ref().expect("clap asks for a pod or a selector");
            let kind = crate::api::kind_named("pods").expect("pods are served");
            let found: Vec<&Shown> = records.of(kind, &settings.scope, selector).collect();
            if found.is_empty() {
                tell(&settings.scope.nothing_found());
            }
            Ok(found)
        }
    }
}

fn of_job<'a>(
    how: How,
    name: &str,
    records: &'a Records,
    settings: &Settings,
) -> Result<Vec<&'a Shown>, Failure> {
    let (_, pods) = records.pods_of_job(&settings.namespace, name)?;
    if how.all_pods {
        return Ok(pods);
    }
    let Some(chosen) = picked(&pods) else {
        return Err(Failure::new(Exit::Failed, format!("job {name} has no pods")));
    };
    if pods.len() > 1 {
        tell(&format!("Found {} pods, using pod/{}", pods.len(), chosen.known.record.key.name));
    }
    Ok(vec![chosen])
}

/// Of a Job's pods, the one that kubectl would show: one that runs, else the newest.
fn picked<'a>(pods: &[&'a Shown]) -> Option<&'a Shown> {
    pods.iter().find(|shown| shown.outcome().is_none()).or(pods.last()).copied()
}

pub(super) fn containers(args: &LogsArgs, shown: &Shown) -> Result<Vec<String>, Failure> {
    if args.how.all_containers {
        return Ok(shown.container_names());
    }
    let chosen = choose(shown, args.named())?;
    tell_default(shown, args.named(), &chosen);
    Ok(vec![chosen])
}
