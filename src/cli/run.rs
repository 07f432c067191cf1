//! `run`: a Pod from the command line, into the folder or, with `--rm` or `--attach`, in the foreground.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::manifest::{Declared, Strictness, to_yaml};

use super::apply::{self, WaitArgs, Wish};
use super::dry_run::Telling;
use super::exit::Exit;
use super::failure::Failure;
use super::folder::{Folder, NAMESPACE, anchor_images};
use super::input::{self, Input};
use super::records::Records;
use super::settings::Settings;
use super::{duration, up};

mod overrides;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod run web --image=nginx --port=80 --labels=app=web
  droppod run backup --image=droppod.local/host --attach -- tar c /etc
  droppod run -it --rm shell --image=debian -- bash
  droppod run web --image=nginx --dry-run=client -o yaml > web.yaml")]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line, each for itself")]
pub(crate) struct RunArgs {
    /// The pod's name
    name: String,
    /// As in a manifest: a reference, oci-archive:FILE or droppod.local/host
    #[arg(long)]
    image: String,
    /// NAME=VALUE, as often as needed
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// A port that the container listens on
    #[arg(long)]
    port: Option<u16>,
    /// Labels in place of run=NAME
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pairs)]
    labels: Vec<Vec<(String, String)>>,
    /// Annotations of the pod
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    annotations: Vec<(String, String)>,
    /// When the program is started again
    #[arg(long, value_enum, value_name = "WHEN", default_value = "Always")]
    restart: Restart,
    /// When the image is looked up anew
    #[arg(long, value_enum, value_name = "WHEN")]
    image_pull_policy: Option<Pull>,
    /// What follows -- is the program too, not only its arguments
    #[arg(long)]
    command: bool,
    /// Run it in the foreground and keep nothing of it
    #[arg(long)]
    rm: bool,
    /// Run it in the foreground; the exit code is the program's
    #[arg(long)]
    attach: bool,
    /// Pass standard input on; run it in the foreground
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Give the program a terminal
    #[arg(short, long)]
    tty: bool,
    /// Go on without input when the caller's has ended
    #[arg(long, requires = "stdin")]
    leave_stdin_open: bool,
    /// Give the container all the machine's powers
    #[arg(long)]
    privileged: bool,
    /// Say nothing but what the program says, as it is anyway
    #[arg(short = 'q', long = "quiet")]
    _quiet: bool,
    /// Make a Service, too; not served in this version
    #[arg(long, hide = true)]
    expose: bool,
    /// JSON that is merged into the pod, such as {"spec":{"hostNetwork":true}}
    #[arg(long, value_name = "JSON", value_parser = json_text)]
    overrides: Option<Value>,
    /// How --overrides are taken: merge, json (a JSON patch) or strategic
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value = "merge",
        requires = "overrides",
        hide_possible_values = true
    )]
    override_type: overrides::Kind,
    /// In the foreground: seconds between SIGTERM and SIGKILL where this is interrupted; -1 leaves it to the pod
    #[arg(
        long,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        default_value = "-1",
        hide_default_value = true
    )]
    grace_period: i64,
    /// In the foreground: give up if the pod does not run within this time, such as 1m; the exit code is then 11
    #[arg(long, value_name = "TIME", value_parser = duration::above_zero)]
    pod_running_timeout: Option<Duration>,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    _kubectl: Needless,
    #[command(flatten)]
    wait: WaitArgs,
    /// Arguments of the program; after -- they may begin with a dash
    #[arg(value_name = "ARG")]
    args: Vec<String>,
}

/// Flags of scripts for kubectl that ask for what there is none of here.
#[derive(Debug, Clone, clap::Args)]
struct Needless {
    #[arg(long = "save-config", hide = true)]
    _save_config: bool,
    #[arg(long = "show-managed-fields", hide = true)]
    _show_managed_fields: bool,
    #[arg(long = "field-manager", hide = true, value_name = "NAME")]
    _field_manager: Option<String>,
    /// What --rm removes has ended by then.
    #[arg(long = "force", hide = true)]
    _force: bool,
    #[arg(long = "cascade", value_name = "HOW", num_args = 0..=1, require_equals = true,
          default_missing_value = "background", hide = true)]
    _cascade: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Restart {
    #[value(alias = "always")]
    Always,
    #[value(alias = "onfailure")]
    OnFailure,
    #[value(alias = "never")]
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Pull {
    Always,
    IfNotPresent,
    Never,
}

/// Several with commas between them; none at all are none.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    text.split(',').filter(|_| !text.is_empty()).map(pair).collect()
}

fn json_text(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

pub(crate) fn run(args: &RunArgs, settings: &Settings) -> Result<Exit, Failure> {
    if args.expose {
        return Err(Failure::new(Exit::Usage, "--expose makes a Service, which this version does not serve")
            .help("without it, other pods reach this one by its IP: droppod get pods -o wide"));
    }
    let foreground = args.rm || args.attach || args.stdin;
    let mut manifest = pod(args, settings, foreground);
    if let Some(patch) = &args.overrides {
        overrides::apply(args.override_type, &mut manifest, patch)
            .map_err(|why| Failure::new(Exit::Usage, "cannot apply --overrides").because(why))?;
    }
    if foreground && args.grace_period >= 0 {
        manifest["spec"]["terminationGracePeriodSeconds"] = json!(args.grace_period);
    }
    if args.telling.is_dry() {
        return print_only(args, manifest, settings);
    }
    if foreground && args.telling.has_format() {
        return Err(Failure::new(Exit::Usage, "in the foreground the program's own output is printed")
            .help("-o is for pods in the folder, and for --dry-run=client"));
    }
    let base = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    anchor_images(&mut manifest, &base);
    let input = as_input(args, &manifest, base);
    let declared = input::declared(std::slice::from_ref(&input), settings, Strictness::Strict)?;
    if foreground {
        let streams = match (args.stdin, args.tty) {
            (false, _) => up::Streams::Output,
            (true, false) => up::Streams::Input,
            (true, true) => up::Streams::Keys,
        };
        return up::run_one(&input, &args.name, streams, args.pod_running_timeout, settings);
    }
    must_be_new(&declared, settings)?;
    let wishes = declared
        .into_iter()
        .map(|(_, Declared { key, authored, .. })| Wish {
            key,
            authored: Arc::unwrap_or_clone(authored),
            from: &input,
        })
        .collect();
    apply::put(wishes, args.wait, &args.telling, settings)
}

/// As if somebody had written it into a file.
fn as_input(args: &RunArgs, manifest: &Value, base: PathBuf) -> Input {
    Input { name: format!("run {}", args.name), path: None, base, text: to_yaml(manifest).into_bytes() }
}

/// What `--dry-run` does: nothing is printed that would not be taken.
fn print_only(args: &RunArgs, manifest: Value, settings: &Settings) -> Result<Exit, Failure> {
    let input = as_input(args, &manifest, PathBuf::from("/"));
    for (_, declared) in input::declared(std::slice::from_ref(&input), settings, Strictness::Strict)? {
        args.telling.done(&declared.key, "created")?;
    }
    args.telling.all_done(vec![manifest])?;
    Ok(Exit::Done)
}

/// `run` makes pods and changes none; `apply` does that.
fn must_be_new(declared: &[(usize, Declared)], settings: &Settings) -> Result<(), Failure> {
    let folder = Folder::look(settings)?;
    let records = Records::load(&settings.places)?;
    for (_, Declared { key, .. }) in declared {
        let is_there = folder.place_of(key, &records).is_some()
            || records.shown.iter().any(|shown| shown.known.record.key == *key);
        if is_there {
            let name = &key.name;
            return Err(Failure::new(Exit::Failed, format!("pods \"{name}\" already exists"))
                .help(format!("droppod delete pod {name} removes it, droppod apply changes it")));
        }
    }
    Ok(())
}

fn pod(args: &RunArgs, settings: &Settings, foreground: bool) -> Value {
    let mut container = Map::new();
    container.insert("name".to_owned(), json!(args.name));
    container.insert("image".to_owned(), json!(args.image));
    if !args.args.is_empty() {
        let field = if args.command { "command" } else { "args" };
        container.insert(field.to_owned(), json!(args.args));
    }
    if !args.env.is_empty() {
        let env: Vec<Value> =
            args.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        container.insert("env".to_owned(), json!(env));
    }
    if let Some(port) = args.port {
        container.insert("ports".to_owned(), json!([{"containerPort": port}]));
    }
    if args.tty {
        container.insert("tty".to_owned(), json!(true));
    }
    if args.stdin {
        container.insert("stdin".to_owned(), json!(true));
        container.insert("stdinOnce".to_owned(), json!(!args.leave_stdin_open));
    }
    if args.privileged {
        container.insert("securityContext".to_owned(), json!({"privileged": true}));
    }
    if let Some(policy) = args.image_pull_policy {
        container.insert("imagePullPolicy".to_owned(), json!(format!("{policy:?}")));
    }
    let mut labels: Map<String, Value> =
        args.labels.iter().flatten().map(|(key, value)| (key.clone(), json!(value))).collect();
    if labels.is_empty() {
        labels.insert("run".to_owned(), json!(args.name));
    }
    // In the foreground a program that is always started again would never give its exit code.
    let restart = if foreground { Restart::Never } else { args.restart };
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": args.name, "labels": labels},
        "spec": {"containers": [container], "restartPolicy": format!("{restart:?}")},
    });
    // What is printed goes into any namespace, unless one was asked for.
    if settings.namespace != NAMESPACE {
        pod["metadata"]["namespace"] = json!(settings.namespace);
    }
    if !args.annotations.is_empty() {
        let annotations: Map<String, Value> =
            args.annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        pod["metadata"]["annotations"] = Value::Object(annotations);
    }
    pod
}
