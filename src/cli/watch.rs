//! `watch`: the service.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::daemon::exhibit::Address;
use crate::daemon::folder::{FolderError, identity};
use crate::daemon::supervisor::{Invitation, Supervisor};
use crate::daemon::{self, DaemonError, Ended, Mode, Root, Select};
use crate::manifest::Strictness;
use crate::model::quantity;

use super::exit::Exit;
use super::failure::Failure;
use super::settings::{Settings, absolute, canonical};
use super::{StrictnessArg, doctor, duration, pull, tell, trace, up};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod watch
  droppod watch /srv/pods /srv/jobs --status-dir /run/droppod-status
  droppod watch --once /srv/pods
  droppod watch --metrics unix:/run/droppod/metrics.sock

SIGTERM ends it and leaves the pods running; `droppod down` stops them. SIGHUP reads all files again at once.
A service manager is told by $NOTIFY_SOCKET when it is ready, and by its watchdog that it is alive.")]
pub(crate) struct WatchArgs {
    /// Folders of manifests [default: that of --manifests]
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Reconcile once and leave the pods running
    #[arg(long)]
    once: bool,
    /// Longest time between two looks at every file
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    rescan: Duration,
    /// Write status files below DIR instead of beside the manifests
    #[arg(long, value_name = "DIR")]
    status_dir: Option<PathBuf>,
    /// Watch DIR, too, though others can write to it: its pods are restricted and apart from all others
    #[arg(long, value_name = "DIR")]
    allow_untrusted_dir: Vec<PathBuf>,
    /// Show figures for Prometheus at /metrics, and /healthz and /readyz, by HTTP on a socket or a loopback address
    #[arg(long, value_name = "unix:PATH|127.0.0.1:PORT", conflicts_with = "once")]
    metrics: Option<Address>,
    /// Keep all logs within so many bytes, such as 500Mi [default: 1Gi, or a tenth of the disc]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    log_budget: Option<u64>,
    /// What to do about fields that are not known
    #[arg(long, value_enum, default_value = "strict", value_name = "HOW")]
    validate: StrictnessArg,
}

pub(crate) fn run(args: WatchArgs, settings: &Settings) -> Result<Exit, Failure> {
    doctor::must_be_able()?;
    let untrusted: BTreeSet<PathBuf> = args
        .allow_untrusted_dir
        .iter()
        .map(|directory| canonical(directory).map_err(|error| cannot_watch(directory).because(error)))
        .collect::<Result<_, _>>()?;
    let roots = roots(&args, &untrusted, settings)?;
    let status_dir = args
        .status_dir
        .map(std::path::absolute)
        .transpose()
        .map_err(|error| Failure::new(Exit::Usage, "cannot tell where --status-dir is").because(error))?;
    trace::start(tracing::Level::INFO, settings);
    up::sweep_dead(&settings.places);
    let hidden = hidden(settings, roots.iter().map(|root| root.path.clone()));
    let directories: Vec<String> = roots.iter().map(|root| root.path.display().to_string()).collect();
    let (mode, is_ready) = if args.once {
        (Mode::Once, None)
    } else {
        let (ready, is_ready) = oneshot::channel();
        let (metrics, log_budget) = (args.metrics, args.log_budget);
        (Mode::Watch { ready, supervisor: supervisor(), metrics, log_budget }, Some(is_ready))
    };
    let daemon = daemon::run(daemon::Settings {
        places: settings.places.clone(),
        roots,
        mode,
        rescan: args.rescan,
        status_dir,
        strictness: Strictness::from(args.validate),
        namespace: settings.namespace.clone(),
        pod_security: settings.pod_security,
        untrusted,
        hidden,
        pull_environment: pull::environment(),
        pod_cidr: settings.pod_cidr,
    });
    let announcement = async {
        // Dropped unsent by a watcher that could not start.
        if let Some(is_ready) = is_ready
            && is_ready.await.is_ok()
        {
            tell(&format!("droppod {} watches {}", env!("CARGO_PKG_VERSION"), directories.join(", ")));
        }
    };
    let (ended, ()) = runtime()?.block_on(async { tokio::join!(daemon, announcement) });
    match ended.map_err(failure)? {
        Ended::Stopped | Ended::Settled => Ok(Exit::Done),
        Ended::Invalid(_) => Ok(Exit::Invalid),
        Ended::Batch(..) => Ok(Exit::Done),
    }
}

/// The folders to watch, each once.
fn roots(args: &WatchArgs, untrusted: &BTreeSet<PathBuf>, settings: &Settings) -> Result<Vec<Root>, Failure> {
    let nothing_named = args.directories.is_empty() && untrusted.is_empty();
    let usual = [settings.named_manifests.clone()];
    let named = if nothing_named { &usual[..] } else { &args.directories };
    let mut roots: Vec<Root> = Vec::new();
    let mut found = BTreeSet::new();
    for directory in named.iter().chain(&args.allow_untrusted_dir) {
        let failed = |error| cannot_watch(directory).because(error);
        let real = canonical(directory).map_err(failed)?;
        // Others must not turn links here, and its namespaces are called by its name.
        let is_untrusted = untrusted.contains(&real);
        let path = if is_untrusted { real.clone() } else { absolute(directory).map_err(failed)? };
        // A second name of the same directory.
        if !found.insert(real) {
            continue;
        }
        // One that objects were taken from may have vanished with its disc; the loop waits for it.
        let known = identity::is_known(&settings.places, &path).unwrap_or(false);
        if !path.is_dir() && !known {
            return Err(cannot_watch(directory).because("it is not a directory").help(format!(
                "make it: mkdir -p {0}; or name another folder: droppod watch DIR",
                directory.display()
            )));
        }
        roots.push(Root { path, select: Select::All });
    }
    Ok(roots)
}

/// What pods on the machine's own root are not to see: where manifests lie, Secrets among them, and the credentials for
/// registries.
pub(super) fn hidden(settings: &Settings, manifests: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let credentials = pull::environment().docker_config;
    manifests.chain([settings.manifests.clone(), credentials]).collect()
}

/// Whoever started this and wants to be told of it.
fn supervisor() -> Option<Supervisor> {
    let text = |name: &str| std::env::var(name).ok();
    let invitation = Invitation {
        socket: std::env::var_os("NOTIFY_SOCKET"),
        watchdog: text("WATCHDOG_USEC"),
        watchdog_pid: text("WATCHDOG_PID"),
    };
    Supervisor::meet(&invitation).unwrap_or_else(|error| {
        tracing::warn!(%error, "the service manager cannot be told anything");
        None
    })
}

/// For clap: a quantity as manifests write it.
fn bytes(text: &str) -> Result<u64, String> {
    let amount = quantity::whole(text).and_then(|amount| u64::try_from(amount).ok());
    amount.ok_or_else(|| format!("`{text}` is not an amount of bytes such as 500Mi or 1G"))
}

/// Runs the loop in this thread until its end.
pub(super) fn direct(settings: daemon::Settings) -> Result<Ended, Failure> {
    runtime()?.block_on(daemon::run(settings)).map_err(failure)
}

fn cannot_watch(directory: &Path) -> Failure {
    Failure::new(Exit::Usage, format!("cannot watch {}", directory.display()))
}

pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "cannot start the event loop").because(error))
}

fn failure(error: DaemonError) -> Failure {
    match error {
        DaemonError::Held { .. } => Failure::new(Exit::Locked, error.to_string()).help(
            "one watcher directs an instance; another one needs its own --state-dir, --run-dir and --log-dir",
        ),
        DaemonError::Folder(FolderError::Held { .. }) => Failure::new(Exit::Locked, error.to_string())
            .help("a folder has one watcher: name another folder, or end that watcher first"),
        DaemonError::Folder(FolderError::Untrusted { ref folder, .. }) => {
            let help = format!(
                "let only root write there, or watch it with restricted rights and apart from other folders: \
                 --allow-untrusted-dir {}",
                folder.display()
            );
            Failure::new(Exit::Failed, "cannot direct the pods").because(error).help(help)
        }
        DaemonError::Range(_) => Failure::new(Exit::Usage, "pods cannot get their addresses from --pod-cidr")
            .because(error)
            .help("name a range that this machine has no address in and no route to; `ip route` lists them"),
        DaemonError::Io { .. }
        | DaemonError::Folder(FolderError::Open { .. })
        | DaemonError::Objects(_)
        | DaemonError::Signals(_)
        | DaemonError::Exhibit { .. } => Failure::new(Exit::Failed, "cannot direct the pods").because(error),
    }
}
