//! `create job NAME --from=cronjob/X`: a Job as the CronJob would make it, now and by hand.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::manifest::{Declared, Strictness, to_yaml};
use crate::model::object::ObjectKey;

use super::apply::{self, WaitArgs, Wish};
use super::dry_run::Telling;
use super::exit::Exit;
use super::failure::Failure;
use super::folder::{Folder, anchor_images};
use super::input::{self, Input};
use super::records::{Records, not_found};
use super::settings::Settings;
use super::target::{self, Target};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  droppod create job nightly-now --from=cronjob/nightly --wait")]
pub(crate) struct CreateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A Job as a CronJob makes it
    Job(JobArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  droppod create job nightly-now --from=cronjob/nightly --wait

The Job is written into the folder, as a file of its own. So the CronJob is not its owner, as it is after kubectl: the \
Job stays when the CronJob goes, and counts neither for its history nor for its concurrencyPolicy.")]
struct JobArgs {
    /// The Job's name
    name: String,
    /// The CronJob, as cronjob/NAME
    #[arg(long, value_name = "cronjob/NAME")]
    from: String,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(crate) fn run(args: &CreateArgs, settings: &Settings) -> Result<Exit, Failure> {
    let What::Job(args) = &args.what;
    let Target { kind, name } = target::slashed(&args.from)?;
    if kind.kind != "CronJob" {
        return Err(Failure::new(Exit::Usage, format!("no Job is made from {}", args.from))
            .help("name a CronJob: --from=cronjob/NAME"));
    }
    let name = name.unwrap_or_default();
    let records = Records::load(&settings.places)?;
    let key = |kind: &str, name: &str| ObjectKey {
        group: "batch".to_owned(),
        kind: kind.to_owned(),
        namespace: settings.namespace.clone(),
        name: name.to_owned(),
    };
    let wanted = key("CronJob", name);
    let cron = records.shown.iter().find(|shown| shown.known.record.key == wanted);
    let cron = &cron.ok_or_else(|| not_found("cronjobs.batch", name))?.known.record;

    let job = key("Job", &args.name);
    let is_there = Folder::look(settings)?.place_of(&job, &records).is_some();
    if is_there || records.shown.iter().any(|shown| shown.known.record.key == job) {
        return Err(Failure::new(Exit::Failed, format!("jobs.batch \"{}\" already exists", args.name)));
    }
    let base = cron.source.absolute().parent().map(std::path::Path::to_owned).unwrap_or_default();
    let mut manifest = manifest(&cron.authored, &args.name, &settings.namespace);
    anchor_images(&mut manifest, &base);
    let input =
        Input { name: format!("job {}", args.name), path: None, base, text: to_yaml(&manifest).into_bytes() };
    let declared = input::declared(std::slice::from_ref(&input), settings, Strictness::Strict)?;
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

fn manifest(cron: &Value, name: &str, namespace: &str) -> Value {
    let template = |path: &str| cron.pointer(&format!("/spec/jobTemplate/{path}")).cloned();
    let mut annotations = template("metadata/annotations").unwrap_or_default();
    if !annotations.is_object() {
        annotations = json!({});
    }
    annotations["cronjob.kubernetes.io/instantiate"] = json!("manual");
    let mut metadata = json!({"name": name, "namespace": namespace, "annotations": annotations});
    if let Some(labels) = template("metadata/labels") {
        metadata["labels"] = labels;
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template("spec")})
}
