//! Verbs that people know from kubectl and from container engines and that droppod has not: what to type instead.

use clap::error::{ContextKind, ContextValue};

use super::exit::Exit;
use super::failure::Failure;

struct Foreign {
    verb: &'static str,
    help: &'static str,
}

const fn instead(verb: &'static str, help: &'static str) -> Foreign {
    Foreign { verb, help }
}

const FILES: &str = "edit the manifest in the folder: what changes there is followed";

const FOREIGN: &[Foreign] = &[
    instead("annotate", FILES),
    instead(
        "cp",
        "`droppod exec POD -- cat FILE` takes one out, `tar c DIR | droppod exec -i POD -- tar x` puts some in",
    ),
    instead("edit", FILES),
    instead(
        "explain",
        "`droppod validate -f FILE` names the fields that it does not know, and what was likely meant",
    ),
    instead("images", "`droppod image ls` lists the store"),
    instead("kill", "`droppod delete pod NAME` removes a pod, `droppod down` stops all"),
    instead("label", FILES),
    instead("patch", FILES),
    instead(
        "port-forward",
        "`hostPort` in the manifest leads to a pod; its own address is in `droppod get pods -o wide`",
    ),
    instead("ps", "`droppod get pods` shows what runs"),
    instead("replace", "`droppod apply -f FILE` takes the place of what was there"),
    instead("rm", "`droppod delete pod NAME` removes a pod"),
    instead("rollout", "`droppod apply -f FILE` changes a pod, `droppod diff -f FILE` tells how beforehand"),
    instead("scale", "a pod is one copy: write one manifest for each"),
    instead("stop", "`droppod delete pod NAME` removes a pod, `droppod down` stops all"),
    instead("top", "`droppod exec POD -- top` shows what runs in one, if its image has `top`"),
];

/// Says what to do in place of a verb that is known from elsewhere.
pub(super) fn failure(error: &clap::Error) -> Option<Failure> {
    let Some(ContextValue::String(verb)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let foreign = FOREIGN.iter().find(|foreign| foreign.verb == verb)?;
    Some(
        Failure::new(Exit::Usage, format!("`{verb}` is not served by this version of droppod"))
            .help(foreign.help),
    )
}

/// What is not in the help is no answer to a slip of the pen either.
pub(super) fn without_hidden(mut error: clap::Error, known: &clap::Command) -> clap::Error {
    let is_shown = |name: &String| known.find_subcommand(name).is_none_or(|verb| !verb.is_hide_set());
    match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(mut names)) => {
            names.retain(is_shown);
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
    // An empty list of further tips would leave an empty line where they stood.
    let is_empty = |value: &ContextValue| matches!(value, ContextValue::StyledStrs(tips) if tips.is_empty());
    if error.get(ContextKind::Suggested).is_some_and(is_empty) {
        error.remove(ContextKind::Suggested);
    }
    error
}
