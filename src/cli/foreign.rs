//! What people type who know kubectl and container engines, and that droppod has not: what to type instead.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit::Exit;
use super::failure::Failure;
use super::typed::Typed;

struct Foreign {
    verb: &'static str,
    help: &'static str,
}

const fn instead(verb: &'static str, help: &'static str) -> Foreign {
    Foreign { verb, help }
}

const LIST: &str = "`droppod get pods` lists pods, `droppod image ls` images";
const FILES: &str = "edit the manifest in the folder: what changes there is followed";

const FOREIGN: &[Foreign] = &[
    instead("annotate", FILES),
    instead("api-resources", "`droppod get --help` names the kinds that are served"),
    instead("cluster-info", "there is no cluster: `droppod doctor` tells what this machine offers"),
    instead(
        "config",
        "options are flags, DROPPOD_… variables or lines of /etc/droppod/config.yaml: `droppod --help`",
    ),
    instead(
        "cp",
        "`droppod exec POD -- cat FILE` takes one out, `tar c DIR | droppod exec -i POD -- tar x` puts some in",
    ),
    instead("debug", "`droppod exec -it POD -- sh` opens a shell in a container"),
    instead("edit", FILES),
    instead(
        "explain",
        "`droppod validate -f FILE` names the fields that it does not know, and what was likely meant",
    ),
    instead("images", "`droppod image ls` lists the store"),
    instead(
        "inspect",
        "`droppod describe pod NAME` tells of one, `droppod get pod NAME -o yaml` prints it in full",
    ),
    instead("kill", "`droppod delete pod NAME` removes a pod, `droppod down` stops all"),
    instead("label", FILES),
    instead("list", LIST),
    instead(
        "login",
        "credentials are read from Docker's config.json, which `docker login` or `podman login --compat-auth-file` writes",
    ),
    instead("ls", LIST),
    instead("patch", FILES),
    instead(
        "port-forward",
        "`hostPort` in the manifest leads to a pod; its own address is in `droppod get pods -o wide`",
    ),
    instead("ps", "`droppod get pods` shows what runs"),
    instead("pull", "`droppod image pull REFERENCE` fetches an image"),
    instead("replace", "`droppod apply -f FILE` takes the place of what was there"),
    instead(
        "restart",
        "`droppod rerun pod/NAME` runs again what has ended; a pod that was deleted and applied is a new one",
    ),
    instead("rm", "`droppod delete pod NAME` removes a pod"),
    instead("rollout", "`droppod apply -f FILE` changes a pod, `droppod diff -f FILE` tells how beforehand"),
    instead("scale", "a pod is one copy: write one manifest for each"),
    instead(
        "start",
        "`droppod apply -f FILE` puts a manifest into the folder, `droppod watch` runs what lies there",
    ),
    instead("status", "`droppod get pods` shows what runs, `droppod doctor` what this machine offers"),
    instead("stop", "`droppod delete pod NAME` removes a pod, `droppod down` stops all"),
    instead("top", "`droppod exec POD -- top` shows what runs in one, if its image has `top`"),
];

/// Verbs that know files by `-f` only.
const BY_FILENAME: [&str; 4] = ["apply", "diff", "up", "validate"];

/// Says what to do in place of what was typed, where that is known from elsewhere.
pub(super) fn failure(error: &clap::Error, typed: &Typed) -> Option<Failure> {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    let verbs: Vec<&str> = typed.verbs.iter().map(String::as_str).collect();
    match (verbs.as_slice(), error.kind()) {
        ([], ErrorKind::InvalidSubcommand) => not_served(said(ContextKind::InvalidSubcommand)?),
        // A verb of droppod's own processes.
        (["pull"], _) if error.use_stderr() => not_served("pull"),
        (["create"], ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument) => Some(
            Failure::new(Exit::Usage, "`create` makes Jobs of CronJobs and nothing else").help(
                "`droppod apply -f FILE` puts manifests into the folder, `droppod run NAME --image=IMAGE` makes a pod",
            ),
        ),
        ([verb], ErrorKind::UnknownArgument) => {
            let word = said(ContextKind::InvalidArg).filter(|word| !word.starts_with('-'))?;
            misplaced(verb, word, typed)
        }
        _ => None,
    }
}

fn not_served(verb: &str) -> Option<Failure> {
    let foreign = FOREIGN.iter().find(|foreign| foreign.verb == verb)?;
    let what = format!("`{verb}` is not served by this version of droppod");
    Some(Failure::new(Exit::Usage, what).help(foreign.help))
}

/// A file without `-f`, a command without `--`.
fn misplaced(verb: &str, word: &str, typed: &Typed) -> Option<Failure> {
    if BY_FILENAME.contains(&verb) {
        let what = format!("`{word}` is not expected here: files are named with -f");
        return Some(Failure::new(Exit::Usage, what).help(format!("droppod {verb} -f {}", quoted(word))));
    }
    if verb != "exec" {
        return None;
    }
    let at = typed.args.iter().rposition(|arg| arg == word)?;
    let mut words: Vec<String> = typed.args[1..].iter().map(|arg| quoted(&arg.to_string_lossy())).collect();
    words.retain(|word| word != "--");
    words.insert(at - 1, "--".to_owned());
    let what = format!("`{word}` is not expected here: the command comes after --");
    Some(Failure::new(Exit::Usage, what).help(format!("droppod {}", words.join(" "))))
}

/// For a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Verbs that are like what was typed, the likest first. What is not in the help is no answer to a slip of the pen.
pub(super) fn mended(mut error: clap::Error, typed: &Typed, known: &clap::Command) -> clap::Error {
    let is_shown = |name: &String| known.find_subcommand(name).is_none_or(|verb| !verb.is_hide_set());
    let slip = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(slip)) => slip.clone(),
        _ => String::new(),
    };
    match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(mut names)) => {
            names.retain(is_shown);
            names.sort_by(|a, b| strsim::jaro(b, &slip).total_cmp(&strsim::jaro(a, &slip)));
            if !names.is_empty() {
                error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(names));
            }
        }
        Some(ContextValue::String(name)) if !is_shown(&name) => {}
        Some(other) => {
            error.insert(ContextKind::SuggestedSubcommand, other);
        }
        None => {}
    }
    // That a word after `--` would be taken is no help where none is; and an empty list would leave an empty line.
    let takes_rest = matches!(typed.verbs.as_slice(), [verb] if verb == "exec" || verb == "run");
    if let Some(ContextValue::StyledStrs(tips)) = error.get(ContextKind::Suggested)
        && (tips.is_empty() || !takes_rest)
    {
        error.remove(ContextKind::Suggested);
    }
    error
}
