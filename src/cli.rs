//! Arguments and verbs, one file for each verb.

mod accept;
mod apply;
mod attach;
mod attendance;
mod complete;
mod completion;
mod create;
mod delete;
mod departure;
mod describe;
mod diff;
mod doctor;
mod down;
mod dry_run;
mod duration;
mod events;
mod exec;
mod exit;
mod failure;
mod fields;
mod folder;
mod foreign;
mod get;
mod go;
mod image;
mod input;
mod jsonpath;
mod logs;
mod man;
mod print;
mod pull;
mod ready;
mod records;
mod report;
mod rerun;
mod run;
mod running;
mod selector;
mod settings;
mod sort;
mod table;
mod tabs;
mod target;
mod terminal;
mod trace;
mod typed;
mod up;
mod validate;
mod wait;
mod watch;
mod watching;

use std::ffi::{OsStr, OsString};
use std::io::{Write, stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::manifest::Strictness;

use exit::Exit;
use failure::Failure;
use settings::{GlobalArgs, Settings};
use terminal::ColorChoice;

/// Drop a Kubernetes manifest into a folder, get a pod.
#[derive(Debug, Parser)]
#[command(
    name = "droppod",
    version,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  droppod watch /etc/droppod/manifests     run a folder, follow its changes
  droppod up -f job.yaml                   run it in the foreground, clean up
  droppod apply -f web.yaml --wait         put a manifest into the folder
  droppod get pods -o wide                 what runs
  droppod logs -f web                      what it writes
  droppod exec -it web -- sh               a shell in it
  droppod down                             stop the pods, keep the files

Options are also read from the environment (DROPPOD_STATE_DIR, …) and from
/etc/droppod/config.yaml (state-dir: DIR, …); flags count before the
environment, the environment before the file.

Exit codes: 0 done, 1 failed, 2 usage, 10 something ended Failed, 11 timeout,
12 a manifest is invalid, 13 an image could not be had, 14 lock held;
exec, run --attach and --exit-code-from pass on the program's own."
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Verb {
    /// Keep the machine in the state that folders of manifests describe
    Watch(watch::WatchArgs),
    /// Run manifests in the foreground: logs to stdout, clean up at the end
    Up(up::UpArgs),
    /// Stop pods and keep their files
    Down(down::DownArgs),
    /// Accept that what a lost folder declared is gone
    Accept(accept::AcceptArgs),
    /// Put manifests into the folder
    Apply(apply::ApplyArgs),
    /// Make a pod of an image
    Run(run::RunArgs),
    /// Make a Job of a CronJob
    Create(create::CreateArgs),
    /// Run again what has ended
    Rerun(rerun::RerunArgs),
    /// Remove objects from the folder and wait until their pods are gone
    Delete(delete::DeleteArgs),
    /// Show objects
    Get(get::GetArgs),
    /// Show one object in full, with its events
    Describe(describe::DescribeArgs),
    /// Show what happened to objects
    Events(events::EventsArgs),
    /// Wait until objects are as they should be
    Wait(wait::WaitArgs),
    /// Show what containers wrote
    Logs(logs::LogsArgs),
    /// Run a command in a running container
    Exec(exec::ExecArgs),
    /// Connect to what a container reads and writes
    Attach(attach::AttachArgs),
    /// Tell what manifests would change: exit 0 nothing, 1 something, 2 trouble
    Diff(diff::DiffArgs),
    /// Check manifests; needs no root
    Validate(ValidateArgs),
    /// The image store
    Image(image::ImageArgs),
    /// Tell what this kernel and machine offer
    Doctor(doctor::DoctorArgs),
    /// Print what completes command lines in a shell
    Completion(completion::CompletionArgs),
    /// Write the manual pages into a directory
    Man(man::ManArgs),
    /// Print the version
    #[command(after_help = "Example:\n  droppod version")]
    Version {
        /// There is nothing else that would have one
        #[arg(long = "client", hide = true)]
        _client: bool,
    },
    #[command(hide = true)]
    Complete(complete::CompleteArgs),
    #[command(hide = true)]
    Pull(pull::PullArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod validate -f web.yaml
  droppod validate -f manifests/ --validate=warn")]
struct ValidateArgs {
    /// A manifest, a directory of them, or - for standard input
    #[arg(short, long = "filename", required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// What to do about fields that are not known
    #[arg(long, value_enum, default_value = "strict", value_name = "HOW")]
    validate: StrictnessArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StrictnessArg {
    #[value(alias = "true")]
    Strict,
    Warn,
    #[value(alias = "false")]
    Ignore,
}

impl From<StrictnessArg> for Strictness {
    fn from(arg: StrictnessArg) -> Strictness {
        match arg {
            StrictnessArg::Strict => Strictness::Strict,
            StrictnessArg::Warn => Strictness::Warn,
            StrictnessArg::Ignore => Strictness::Ignore,
        }
    }
}

/// Runs the verb that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    // A pod process is one thread without an argument parser: it is looked for before anything else.
    let mut args = std::env::args_os().skip(1);
    match (args.next().as_deref().and_then(OsStr::to_str), args.next()) {
        (Some("shim"), Some(pod)) => return crate::shim::main(&pod),
        (Some("pause"), None) => return crate::shim::pause::main(),
        (Some("probe"), None) => return crate::probe::main(),
        (Some("enter"), None) => return crate::shim::enter::inside::main(),
        (Some(_) | None, _) => {}
    }
    match verb(std::env::args_os()) {
        Ok(exit) => exit.into(),
        Err(failure) => ended(failure, color(std::env::args_os())).into(),
    }
}

fn verb(args: impl Iterator<Item = OsString>) -> Result<Exit, Failure> {
    let args: Vec<OsString> = args.collect();
    // Made once: for a short verb that is a good part of the time it takes.
    let mut known = command(&args);
    let typed = typed::read(args.into_iter(), &known);
    let cli = match parse(&mut known, &typed.args) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(failure) = foreign::failure(&error, &typed) {
                return Err(failure);
            }
            let error = foreign::mended(error, &typed, &known);
            // Help goes to stdout and is no error; a reader that leaves early is none either.
            error.print().ok();
            return Ok(if error.use_stderr() { Exit::Usage } else { Exit::Done });
        }
    };
    if let Some(Verb::Complete(args)) = &cli.verb {
        // A Tab is no place for what may be wrong with the settings.
        return complete::run(args);
    }
    let Some(verb) = cli.verb else {
        write!(stdout(), "{}", known.render_help()).map_err(Failure::of_output)?;
        return Ok(Exit::Done);
    };
    // A watcher has no more use for it, and lives long.
    drop(known);
    let settings = Settings::resolve(&cli.global)?;
    Ok(perform(verb, &settings).unwrap_or_else(|failure| ended(failure, settings.color)))
}

fn perform(verb: Verb, settings: &Settings) -> Result<Exit, Failure> {
    match verb {
        Verb::Watch(args) => watch::run(args, settings),
        Verb::Up(args) => up::run(&args, settings),
        Verb::Down(args) => down::run(&args, settings),
        Verb::Accept(args) => accept::run(&args, settings),
        Verb::Apply(args) => apply::run(&args, settings),
        Verb::Run(args) => run::run(&args, settings),
        Verb::Create(args) => create::run(&args, settings),
        Verb::Rerun(args) => rerun::run(&args, settings),
        Verb::Delete(args) => delete::run(&args, settings),
        Verb::Get(args) => get::run(&args, settings),
        Verb::Describe(args) => describe::run(&args, settings),
        Verb::Events(args) => events::run(&args, settings),
        Verb::Wait(args) => wait::run(&args, settings),
        Verb::Logs(args) => logs::run(&args, settings),
        Verb::Exec(args) => exec::run(args, settings),
        Verb::Attach(args) => attach::run(&args, settings),
        Verb::Diff(args) => diff::run(&args, settings),
        Verb::Validate(args) => validate(&args, settings),
        Verb::Image(args) => image::run(&args, settings),
        Verb::Doctor(args) => doctor::run(&args, settings),
        Verb::Completion(args) => completion::run(&args),
        Verb::Man(args) => man::run(&args),
        Verb::Complete(args) => complete::run(&args),
        Verb::Version { .. } => version(),
        Verb::Pull(args) => Ok(pull::run(&args)),
    }
}

fn validate(args: &ValidateArgs, settings: &Settings) -> Result<Exit, Failure> {
    let manner = validate::Manner {
        namespace: &settings.namespace,
        strictness: args.validate.into(),
        policy: &settings.policy(),
        drawing: settings.color.drawing(),
        width: terminal::width(),
        color: settings.color.for_stderr(),
    };
    let verdict = validate::validate(
        &args.files,
        manner,
        &mut stdin().lock(),
        &mut stdout().lock(),
        &mut stderr().lock(),
    )
    .map_err(Failure::of_output)?;
    Ok(match verdict {
        validate::Verdict::Valid => Exit::Done,
        validate::Verdict::Invalid => Exit::Failed,
        validate::Verdict::Trouble => Exit::Trouble,
    })
}

/// Says why a verb could not do what it was asked.
fn ended(failure: Failure, color: ColorChoice) -> Exit {
    let failure = failure.with_help_for_the_powerless();
    tell_failure(&failure, color);
    failure.exit()
}

/// What was wanted before the settings are known.
fn color(mut args: impl Iterator<Item = OsString>) -> ColorChoice {
    if args.any(|arg| arg == "--color=never") { ColorChoice::Never } else { ColorChoice::Auto }
}

/// `--color` is wanted for the help itself, which clap prints while it parses: NO_COLOR and pipes are its own care.
fn command(args: &[OsString]) -> Command {
    let choice = match color(args.iter().cloned()) {
        ColorChoice::Never => clap::ColorChoice::Never,
        ColorChoice::Auto | ColorChoice::Always => clap::ColorChoice::Auto,
    };
    Cli::command().color(choice)
}

fn parse(known: &mut Command, args: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = known.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches)
}

fn version() -> Result<Exit, Failure> {
    writeln!(stdout(), "droppod {}", env!("CARGO_PKG_VERSION")).map_err(Failure::of_output)?;
    Ok(Exit::Done)
}

fn tell_failure(failure: &Failure, color: ColorChoice) {
    let text = failure.painted(color.for_stderr());
    if !text.is_empty() {
        tell(text.trim_end());
    }
}

/// Says something to the person; data goes to stdout instead.
fn tell(text: &str) {
    // With stderr gone there is nobody to tell that to.
    writeln!(stderr(), "{text}").ok();
}
