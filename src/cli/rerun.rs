//! `rerun`: what has ended runs again. The wish is written into the manifest, so that it outlives everything else.

use std::io::{Write, stdout};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::manifest::{Policy, Strictness, read};
use crate::model::object::ObjectKey;
use crate::sandbox::sys::clock;

use super::attendance::{self, Meanwhile};
use super::exit::Exit;
use super::failure::Failure;
use super::folder::{Folder, Holds, Place};
use super::records::{Records, not_found};
use super::settings::Settings;
use super::target::{self, Target};

/// A Job or a Pod whose value of it changes is run anew.
const ANNOTATION: &str = "droppod.dev/rerun";

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  droppod rerun job/nightly-now
  droppod rerun pod/backup")]
pub(crate) struct RerunArgs {
    /// job/NAME or pod/NAME; a bare NAME is a Job's
    #[arg(value_name = "TYPE/NAME")]
    object: String,
}

pub(crate) fn run(args: &RerunArgs, settings: &Settings) -> Result<Exit, Failure> {
    let word = if args.object.contains('/') { args.object.clone() } else { format!("job/{}", args.object) };
    let (kind, name) = match target::slashed(&word)? {
        Target { kind, name: Some(name) } if ["Job", "Pod"].contains(&kind.kind) => (kind, name),
        Target { .. } => {
            return Err(Failure::new(Exit::Usage, format!("`{}` does not run to an end", args.object))
                .help("name a Job or a Pod: job/NAME"));
        }
    };
    let key = ObjectKey {
        group: kind.group.to_owned(),
        kind: kind.kind.to_owned(),
        namespace: settings.namespace.clone(),
        name: name.to_owned(),
    };
    let folder = Folder::look(settings)?;
    let records = Records::load(&settings.places)?;
    let shown = records.shown.iter().find(|shown| shown.known.record.key == key);
    if shown.is_some_and(|shown| shown.known.record.owner.is_some()) {
        return Err(Failure::new(
            Exit::Failed,
            format!("{key} was made by a controller, which runs it again if need be"),
        )
        .help("run its owner again"));
    }
    let place = folder.place_of(&key, &records).ok_or_else(|| not_found(kind.plural, name))?;
    let when = clock::wall().to_string();
    if place.path != folder.own_file(&key) || folder.own_file_holds(&key) != Holds::OnlyIt {
        return Err(by_hand(&key, &place, &when));
    }
    let authored = with_wish(&place, &key, &when)?;
    folder.write(&key, &authored)?;
    writeln!(stdout(), "{key} runs again").map_err(Failure::of_output)?;
    attendance::look(&settings.places, &folder.path, Meanwhile::Nothing);
    Ok(Exit::Done)
}

fn with_wish(place: &Place, key: &ObjectKey, when: &str) -> Result<Value, Failure> {
    let unread = || format!("cannot read {}", place.path.display());
    let text =
        std::fs::read(&place.path).map_err(|error| Failure::new(Exit::Failed, unread()).because(error))?;
    let declared = read(&text, &key.namespace, Strictness::Ignore, &Policy::default())
        .objects
        .into_iter()
        .find(|one| one.key == *key);
    let declared = declared.ok_or_else(|| Failure::new(Exit::Failed, unread()))?;
    let mut authored = Arc::unwrap_or_clone(declared.authored);
    if !authored["metadata"]["annotations"].is_object() {
        authored["metadata"]["annotations"] = json!({});
    }
    authored["metadata"]["annotations"][ANNOTATION] = json!(when);
    Ok(authored)
}

fn by_hand(key: &ObjectKey, place: &Place, when: &str) -> Failure {
    let line = place.line.map(|line| format!(", line {line}")).unwrap_or_default();
    let what = format!("{key} is declared by {}{line}; nothing was changed", place.path.display());
    Failure::new(Exit::Failed, what)
        .help(format!("write into its metadata: annotations: {{{ANNOTATION}: \"{when}\"}}"))
}
