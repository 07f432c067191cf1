//! What has changed since it was seen to last: a pass that has little to look at looks at little.

use std::collections::BTreeSet;

use crate::model::object::Source;

/// Files that something is to be done about. Naming too many only costs time, so whoever cannot tell names all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stir {
    All,
    Of(BTreeSet<Source>),
}

impl Default for Stir {
    fn default() -> Stir {
        Stir::Of(BTreeSet::new())
    }
}

impl Stir {
    pub(crate) fn touch(&mut self, source: &Source) {
        match self {
            Stir::All => {}
            Stir::Of(sources) => {
                if !sources.contains(source) {
                    sources.insert(source.clone());
                }
            }
        }
    }

    pub(crate) fn contains(&self, source: &Source) -> bool {
        match self {
            Stir::All => true,
            Stir::Of(sources) => sources.contains(source),
        }
    }
}
