//! Names, labels, annotations: the same for all kinds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::ObjectMeta;

use super::go;
use super::sheet::Sheet;

/// Longest annotation that is shown on one line.
const LONGEST: usize = 140;
/// What kubectl keeps for itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// `default/web`, on two lines.
pub(super) fn name(metadata: &ObjectMeta, sheet: &mut Sheet) {
    sheet.field(0, "Name", metadata.name.as_deref().unwrap_or_default());
    if let Some(namespace) = &metadata.namespace {
        sheet.field(0, "Namespace", namespace);
    }
}

pub(super) fn marks(metadata: &ObjectMeta, sheet: &mut Sheet) {
    pairs(0, "Labels", metadata.labels.as_ref(), sheet);
    annotations(0, metadata.annotations.as_ref(), sheet);
}

/// Who has made it.
pub(super) fn controller(metadata: &ObjectMeta, sheet: &mut Sheet) {
    let owners = metadata.owner_references.iter().flatten();
    for owner in owners.filter(|owner| owner.controller == Some(true)) {
        sheet.field(0, "Controlled By", format_args!("{}/{}", owner.kind, owner.name));
    }
}

pub(super) fn pairs(level: usize, title: &str, pairs: Option<&BTreeMap<String, String>>, sheet: &mut Sheet) {
    let mut title = format!("{title}:");
    for (key, value) in pairs.into_iter().flatten() {
        sheet.line(level, format_args!("{title}\t{key}={value}"));
        title.clear();
    }
    if !title.is_empty() {
        sheet.line(level, format_args!("{title}\t<none>"));
    }
}

pub(super) fn annotations(level: usize, annotations: Option<&BTreeMap<String, String>>, sheet: &mut Sheet) {
    let mut title = "Annotations:";
    for (key, value) in annotations.into_iter().flatten().filter(|(key, _)| *key != LAST_APPLIED) {
        let value = value.strip_suffix('\n').unwrap_or(value);
        if key.len() + value.len() + 2 > LONGEST || value.contains('\n') {
            sheet.line(level, format_args!("{title}\t{key}:"));
            for line in value.split('\n') {
                sheet.line(level, format_args!("\t  {}", shortened(line)));
            }
        } else {
            sheet.line(level, format_args!("{title}\t{key}: {value}"));
        }
        title = "";
    }
    if !title.is_empty() {
        sheet.line(level, format_args!("{title}\t<none>"));
    }
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LONGEST - 2) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// Of a kind that is only known by name: who it is, and all else as it is written.
pub(super) fn any(full: &Value, sheet: &mut Sheet) {
    if let Some(Ok(metadata)) = full.get("metadata").cloned().map(serde_json::from_value::<ObjectMeta>) {
        name(&metadata, sheet);
        marks(&metadata, sheet);
    }
    for (field, value) in full.as_object().into_iter().flatten() {
        match field.as_str() {
            "metadata" => {}
            "apiVersion" => sheet.field(0, "API Version", go::text(value)),
            "kind" => sheet.field(0, "Kind", go::text(value)),
            other => sheet.field(0, other, go::text(value)),
        }
    }
}
