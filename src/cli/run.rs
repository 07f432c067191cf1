//! `run`: a Pod from the command line, into the folder or, with `--rm` or `--attach`, in the foreground.

use std::io::{Write, stdout};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::manifest::{Declared, Strictness};
use crate::status::to_yaml;

use super::apply::{self, WaitArgs, Wish};
use super::exit::Exit;
use super::failure::Failure;
use super::folder::anchor_images;
use super::input::{self, Input};
use super::settings::Settings;
use super::{tell, up};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod run web --image=nginx --port=80 --labels=app=web
  droppod run backup --image=droppod.local/host --restart=Never --attach -- tar c /etc
  droppod run web --image=nginx --dry-run=client -o yaml > web.yaml")]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line, each for itself")]
pub(crate) struct RunArgs {
    /// The pod's name
    name: String,
    #[arg(long)]
    image: String,
    /// NAME=VALUE, as often as needed
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// A port that the container listens on
    #[arg(long)]
    port: Option<u16>,
    /// Labels in place of run=NAME
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = pair)]
    labels: Vec<(String, String)>,
    #[arg(long, value_enum, default_value = "Always")]
    restart: Restart,
    #[arg(long, value_enum)]
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
    /// The same as --attach
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Only print the manifest
    #[arg(long, value_enum, value_name = "HOW", requires = "output")]
    dry_run: Option<DryRun>,
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    wait: WaitArgs,
    /// Arguments of the program
    #[arg(last = true, value_name = "ARG")]
    args: Vec<String>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DryRun {
    Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

pub(crate) fn run(args: &RunArgs, settings: &Settings) -> Result<Exit, Failure> {
    let foreground = args.rm || args.attach || args.stdin;
    let manifest = pod(args, settings, foreground);
    match (args.dry_run, args.output) {
        (Some(DryRun::Client), format) => {
            let text = match format {
                Some(Format::Json) => format!("{manifest:#}\n"),
                Some(Format::Yaml) | None => to_yaml(&manifest),
            };
            stdout().write_all(text.as_bytes()).map_err(Failure::of_output)?;
            return Ok(Exit::Done);
        }
        (None, Some(_)) => {
            return Err(Failure::new(Exit::Usage, "-o prints a manifest with --dry-run=client only"));
        }
        (None, None) => {}
    }
    let base = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let mut manifest = manifest;
    anchor_images(&mut manifest, &base);
    let input =
        Input { name: format!("run {}", args.name), path: None, base, text: to_yaml(&manifest).into_bytes() };
    let declared = input::declared(std::slice::from_ref(&input), settings, Strictness::Strict)?;
    if foreground {
        if args.stdin {
            tell("note: standard input is not connected; `droppod exec -i` connects it to a running pod");
        }
        return up::run_one(&input, &args.name, settings);
    }
    let wishes = declared
        .into_iter()
        .map(|(_, Declared { key, authored, .. })| Wish { key, authored, from: &input })
        .collect();
    apply::put(wishes, args.wait, settings)
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
    if let Some(policy) = args.image_pull_policy {
        container.insert("imagePullPolicy".to_owned(), json!(format!("{policy:?}")));
    }
    let labels: Map<String, Value> = if args.labels.is_empty() {
        Map::from_iter([("run".to_owned(), json!(args.name))])
    } else {
        args.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
    };
    // In the foreground a program that is always started again would never give its exit code.
    let restart = if foreground { Restart::Never } else { args.restart };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": args.name, "namespace": settings.namespace, "labels": labels},
        "spec": {"containers": [container], "restartPolicy": format!("{restart:?}")},
    })
}
