//! What the parts for guests have in common: a voice, a place, and things to run that tell that they do.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::guest::{DISC, VOICE};
use crate::bench::Bench;

/// Of a bench that outlives its guest.
pub(super) fn root() -> PathBuf {
    Path::new(DISC).join("b")
}

/// Tells an end or a state of things. A cut leaves a line whole or away.
pub(super) fn tell(line: &str) {
    let mut pipe = fs::OpenOptions::new().write(true).open(format!("{VOICE}/pipe")).unwrap();
    pipe.write_all(format!("@ {line}\n").as_bytes()).unwrap();
}

/// Drops a manifest as a careful author does: a file that is not synced may be an empty one after a cut.
pub(super) fn put(bench: &Bench, name: &str, text: &str) {
    let (part, path) = (format!(".{name}.part"), format!("{name}.yaml"));
    let (part, path) = (bench.folder().join(part), bench.folder().join(path));
    fs::write(&part, text).unwrap();
    fs::File::open(&part).unwrap().sync_all().unwrap();
    fs::rename(part, path).unwrap();
    fs::File::open(bench.folder()).unwrap().sync_all().unwrap();
}

/// A pod that tells `run pod NAME UID` each time it starts; `spec` comes before its containers.
pub(super) fn pod(name: &str, spec: &str, then: &str) -> String {
    let template = template(spec, &format!("pod {name} $ID"), then);
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {template}\n")
}

/// The same, to be run again by a machine that was cut off while it ran.
pub(super) fn again(name: &str, spec: &str, then: &str) -> String {
    let annotated = "metadata: {annotations: {droppod.dev/rerun-interrupted: \"true\"}, ";
    pod(name, spec, then).replacen("metadata: {", annotated, 1)
}

/// A Job whose pods tell `run job NAME INDEX`; `spec` comes before its template.
pub(super) fn job(name: &str, spec: &str, then: &str) -> String {
    let template = template("restartPolicy: Never,", "job $JOB $JOB_COMPLETION_INDEX", then);
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec: {{{spec} template: {{spec: {template}}}}}\n"
    )
}

/// Each minute a Job whose pod tells `run job tick-MINUTE all`.
pub(super) fn tick() -> String {
    let template = template("restartPolicy: Never,", "job $JOB all", "true");
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: tick}}\nspec:\n  schedule: \"* * * * *\"\n  \
         jobTemplate: {{spec: {{template: {{spec: {template}}}}}}}\n"
    )
}

fn template(spec: &str, what: &str, then: &str) -> String {
    format!(
        "{{{spec} terminationGracePeriodSeconds: 1, volumes: [{{name: voice, hostPath: {{path: {VOICE}}}}}], \
         containers: [{{name: main, image: droppod.local/host, \
         command: [sh, -c, 'echo \"@ run {what}\" > /voice/pipe; {then}'], \
         volumeMounts: [{{name: voice, mountPath: /voice}}], \
         env: [{{name: ID, valueFrom: {{fieldRef: {{fieldPath: metadata.uid}}}}}}, \
         {{name: JOB, valueFrom: {{fieldRef: {{fieldPath: \"metadata.labels['batch.kubernetes.io/job-name']\"}}}}}}]}}]}}"
    )
}
