//! What of an object no edit may change (kubernetes `ValidateConfigMapUpdate`, `ValidateSecretUpdate`,
//! `ValidateJobSpecUpdate`).

use crate::api::{ConfigMap, Job, JobSpec, Object, Secret};

/// The first field of an edit that the object does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Objection {
    pub(crate) field: &'static str,
    pub(crate) message: &'static str,
    pub(crate) help: &'static str,
}

/// All that an edit may be refused for.
pub(super) const FIELDS: [&str; 9] = [
    "spec.completions",
    "spec.podFailurePolicy",
    "spec.successPolicy",
    "spec.backoffLimitPerIndex",
    "spec.managedBy",
    "immutable",
    "data",
    "binaryData",
    "type",
];

/// As an API server words it.
const SEALED: &str = "field is immutable when `immutable` is set";
const ANEW: &str =
    "put it back as it was; to change it, delete the object and make it anew, or use another name";
const FIXED: &str = "field is immutable";
const IN_TANDEM: &str = "can only be modified in tandem with spec.parallelism";
const ENDED: &str = "field is immutable once the Job has ended";
const RERUN: &str =
    "put it back as it was, or have the Job run anew as the file says: `droppod rerun job/NAME`";

/// Whether what a Job does is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    GoesOn,
    Ended,
}

/// Both with defaults applied. Of a Job, an edit that does not make it run anew.
pub(crate) fn objection(before: &Object, after: &Object, progress: Progress) -> Option<Objection> {
    match (before, after) {
        (Object::Job(before), Object::Job(after)) => of_job(before, after, progress),
        (Object::ConfigMap(before), Object::ConfigMap(after)) => of_config_map(before, after),
        (Object::Secret(before), Object::Secret(after)) => of_secret(before, after),
        (
            Object::Pod(_)
            | Object::ConfigMap(_)
            | Object::Secret(_)
            | Object::Namespace(_)
            | Object::Job(_)
            | Object::CronJob(_)
            | Object::Unserved { .. },
            _,
        ) => None,
    }
}

fn of_job(before: &Job, after: &Job, progress: Progress) -> Option<Objection> {
    let (before, after) = (before.spec.as_ref()?, after.spec.as_ref()?);
    let count = match progress {
        Progress::GoesOn => completions(before, after),
        Progress::Ended => (before.completions != after.completions).then_some(ENDED),
    };
    let fixed = [
        ("spec.completions", count),
        ("spec.podFailurePolicy", (before.pod_failure_policy != after.pod_failure_policy).then_some(FIXED)),
        ("spec.successPolicy", (before.success_policy != after.success_policy).then_some(FIXED)),
        (
            "spec.backoffLimitPerIndex",
            (before.backoff_limit_per_index != after.backoff_limit_per_index).then_some(FIXED),
        ),
        ("spec.managedBy", (before.managed_by != after.managed_by).then_some(FIXED)),
    ];
    let objection = |(field, message)| Some(Objection { field, message: message?, help: RERUN });
    fixed.into_iter().find_map(objection)
}

/// An Indexed Job may get more indexes or fewer, as long as all of them run at once.
fn completions(before: &JobSpec, after: &JobSpec) -> Option<&'static str> {
    if before.completions == after.completions {
        return None;
    }
    match after.completion_mode.as_deref() {
        Some("Indexed") if after.completions == after.parallelism => None,
        Some("Indexed") => Some(IN_TANDEM),
        Some(_) | None => Some(FIXED),
    }
}

fn of_config_map(before: &ConfigMap, after: &ConfigMap) -> Option<Objection> {
    if before.immutable != Some(true) {
        return None;
    }
    // A map that is absent and one that is empty are the same.
    let data = before.data.iter().flatten().eq(after.data.iter().flatten());
    let binary = before.binary_data.iter().flatten().eq(after.binary_data.iter().flatten());
    let kept = [("immutable", after.immutable == Some(true)), ("data", data), ("binaryData", binary)];
    sealed(&kept)
}

fn of_secret(before: &Secret, after: &Secret) -> Option<Objection> {
    let kind = |secret: &Secret| secret.type_.clone().unwrap_or_else(|| "Opaque".to_owned());
    if kind(before) != kind(after) {
        return Some(Objection { field: "type", message: "field is immutable", help: ANEW });
    }
    if before.immutable != Some(true) {
        return None;
    }
    let data = before.data.iter().flatten().eq(after.data.iter().flatten());
    sealed(&[("immutable", after.immutable == Some(true)), ("data", data)])
}

fn sealed(kept: &[(&'static str, bool)]) -> Option<Objection> {
    let (field, _) = kept.iter().find(|(_, kept)| !kept)?;
    Some(Objection { field, message: SEALED, help: ANEW })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Policy, Strictness, read};

    fn objected(before: &str, after: &str) -> Option<&'static str> {
        let object = |rest: &str| {
            let text = format!("apiVersion: v1\nmetadata: {{name: x}}\n{rest}");
            read(text.as_bytes(), "default", Strictness::Strict, &Policy::default()).objects.remove(0).object
        };
        objection(&object(before), &object(after), Progress::GoesOn).map(|objection| objection.field)
    }

    #[test]
    fn what_kubernetes_fixes_of_a_job_stays_as_it_is() {
        let job = |spec: &str| {
            let text = format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: x}}\nspec:\n{spec}  template: {{spec: \
                 {{restartPolicy: Never, containers: [{{name: c, image: busybox}}]}}}}\n"
            );
            let read = read(text.as_bytes(), "default", Strictness::Strict, &Policy::default());
            read.objects.into_iter().next().unwrap_or_else(|| panic!("{:?}", read.mistakes)).object
        };
        let indexed = |completions: u8, parallelism: u8, more: &str| {
            format!(
                "  completionMode: Indexed\n  completions: {completions}\n  parallelism: {parallelism}\n{more}"
            )
        };
        let rule =
            "  podFailurePolicy: {rules: [{action: Count, onExitCodes: {operator: In, values: [1]}}]}\n";
        let success = "  successPolicy: {rules: [{succeededCount: 1}]}\n";
        let (goes_on, ended) = (Progress::GoesOn, Progress::Ended);
        for (before, after, progress, expected) in [
            ("  completions: 3\n", "  completions: 5\n", goes_on, Some(("spec.completions", FIXED))),
            ("  completions: 3\n", "  completions: 5\n", ended, Some(("spec.completions", ENDED))),
            (&indexed(3, 3, ""), &indexed(5, 5, ""), goes_on, None),
            (&indexed(3, 3, ""), &indexed(5, 3, ""), goes_on, Some(("spec.completions", IN_TANDEM))),
            (&indexed(3, 3, ""), &indexed(5, 5, ""), ended, Some(("spec.completions", ENDED))),
            ("", rule, goes_on, Some(("spec.podFailurePolicy", FIXED))),
            (&indexed(3, 3, success), &indexed(3, 3, ""), goes_on, Some(("spec.successPolicy", FIXED))),
            (
                &indexed(3, 3, ""),
                &indexed(3, 3, "  backoffLimitPerIndex: 1\n"),
                ended,
                Some(("spec.backoffLimitPerIndex", FIXED)),
            ),
            ("  completions: 1\n", "  completions: 1\n  parallelism: 2\n", goes_on, None),
            ("  completions: 1\n", "  completions: 1\n  parallelism: 2\n  suspend: true\n", ended, None),
        ] {
            let found =
                objection(&job(before), &job(after), progress).map(|found| (found.field, found.message));
            assert_eq!(found, expected, "{before}\n{after}");
        }
    }

    #[test]
    fn what_is_sealed_stays_as_it_is_and_the_rest_may_change() {
        let map = "kind: ConfigMap\nimmutable: true\ndata: {a: x}\n";
        let secret = "kind: Secret\nimmutable: true\nstringData: {a: x}\n";
        let cases = [
            (map, "kind: ConfigMap\nimmutable: true\ndata: {a: z}\n", Some("data")),
            (
                map,
                "kind: ConfigMap\nimmutable: true\ndata: {a: x}\nbinaryData: {b: AA==}\n",
                Some("binaryData"),
            ),
            (map, "kind: ConfigMap\ndata: {a: x}\n", Some("immutable")),
            (map, "kind: ConfigMap\nimmutable: true\ndata: {a: x}\nbinaryData: {}\n", None),
            ("kind: ConfigMap\ndata: {a: x}\n", map, None),
            (secret, "kind: Secret\nimmutable: true\ndata: {a: eA==}\n", None),
            (secret, "kind: Secret\nimmutable: true\nstringData: {a: z}\n", Some("data")),
            ("kind: Secret\n", "kind: Secret\ntype: own/type\n", Some("type")),
            ("kind: Secret\n", "kind: Secret\ntype: Opaque\n", None),
        ];
        for (before, after, field) in cases {
            assert_eq!(objected(before, after), field, "{before}{after}");
        }
    }
}
