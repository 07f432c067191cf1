//! What there is to be named at this moment.

use std::ffi::OsString;

use crate::api::{KindName, kind_named};
use crate::cli::records::Records;
use crate::cli::settings::{Scope, Settings};
use crate::cli::{command, parse};
use crate::image::store::Store;

use super::line::Line;

/// What there is at this moment, of the instance that the line means.
#[derive(Default)]
pub(super) struct Live {
    pub(super) objects: Vec<Seen>,
    /// Where the line looks; nowhere if it cannot be told.
    pub(super) scope: Option<Scope>,
    pub(super) images: Vec<String>,
}

pub(super) struct Seen {
    pub(super) kind: &'static KindName,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) containers: Vec<String>,
}

impl Live {
    /// Nothing where nothing may be read: a Tab is no place for errors.
    pub(super) fn look(line: &Line<'_>) -> Live {
        let args: Vec<OsString> =
            std::iter::once("droppod".to_owned()).chain(line.global()).map(Into::into).collect();
        let Ok(cli) = parse(&mut command(&args), &args) else { return Live::default() };
        let Ok(settings) = Settings::resolve(&cli.global) else { return Live::default() };
        let shown = Records::load(&settings.places).map(|records| records.shown).unwrap_or_default();
        let objects = shown.iter().filter_map(|shown| {
            let key = &shown.known.record.key;
            Some(Seen {
                kind: kind_named(&key.kind)?,
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                containers: shown.container_names(),
            })
        });
        let images = Store::at(&settings.places.images).all().unwrap_or_default();
        Live {
            objects: objects.collect(),
            scope: Some(settings.scope),
            images: images.iter().map(|image| image.reference.to_string()).collect(),
        }
    }

    /// Those that the line can mean.
    pub(super) fn within(&self) -> impl Iterator<Item = &Seen> {
        let scope = self.scope.as_ref();
        self.objects.iter().filter(move |seen| {
            !seen.kind.namespaced || scope.is_some_and(|scope| scope.holds(&seen.namespace))
        })
    }

    pub(super) fn names(&self, kind: &str) -> Vec<String> {
        self.within().filter(|seen| seen.kind.kind == kind).map(|seen| seen.name.clone()).collect()
    }

    pub(super) fn slashed(&self, kinds: &[&str]) -> Vec<String> {
        let chosen = self.within().filter(|seen| kinds.is_empty() || kinds.contains(&seen.kind.kind));
        chosen.map(|seen| format!("{}/{}", seen.kind.kind.to_lowercase(), seen.name)).collect()
    }
}
