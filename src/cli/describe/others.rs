//! What holds data or names, and runs nothing.

use crate::api::{ConfigMap, Namespace, Secret};

use super::metadata;
use super::sheet::Sheet;

pub(super) fn config_map(map: &ConfigMap, sheet: &mut Sheet) {
    metadata::name(&map.metadata, sheet);
    metadata::marks(&map.metadata, sheet);
    heading("Data", sheet);
    for (key, text) in map.data.iter().flatten() {
        sheet.line(0, format_args!("{key}:\n----\n{text}\n"));
    }
    heading("BinaryData", sheet);
    for (key, bytes) in map.binary_data.iter().flatten() {
        sheet.line(0, format_args!("{key}: {} bytes", bytes.0.len()));
    }
    sheet.line(0, "");
}

/// Of each value only how long it is.
pub(super) fn secret(secret: &Secret, sheet: &mut Sheet) {
    metadata::name(&secret.metadata, sheet);
    metadata::marks(&secret.metadata, sheet);
    sheet.line(0, "");
    sheet.field(0, "Type", secret.type_.as_deref().unwrap_or("Opaque"));
    heading("Data", sheet);
    for (key, bytes) in secret.data.iter().flatten() {
        sheet.field(0, key, format_args!("{} bytes", bytes.0.len()));
    }
}

pub(super) fn namespace(namespace: &Namespace, sheet: &mut Sheet) {
    metadata::name(&namespace.metadata, sheet);
    metadata::marks(&namespace.metadata, sheet);
    let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
    sheet.field(0, "Status", phase.unwrap_or_default());
    sheet.line(0, "\nNo resource quota.\n\nNo LimitRange resource.");
}

fn heading(title: &str, sheet: &mut Sheet) {
    sheet.line(0, format_args!("\n{title}\n===="));
}
