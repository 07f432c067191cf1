//! What a file may ask for, so that a small one cannot have much memory or time.

use std::ops::Range;

use super::FILE_LIMIT;
use crate::manifest::fault::Fault;
use crate::manifest::node::{Kind, Node};

const DEPTH_LIMIT: usize = 64;
/// Values in all documents of a file, what aliases stand for included.
pub(super) const NODE_LIMIT: usize = 50_000;
const ALIAS_LIMIT: usize = 1_000;
/// Bytes of text that aliases may stand for, together.
const ALIASED_TEXT_LIMIT: usize = FILE_LIMIT;
const DOCUMENT_LIMIT: usize = 100;

/// What has been asked for so far.
#[derive(Default)]
pub(super) struct Spent {
    nodes: usize,
    aliases: usize,
    aliased_text: usize,
    documents: usize,
}

impl Spent {
    /// `span` is what asks for more.
    pub(super) fn document(&mut self, span: &Range<usize>) -> Result<(), Fault> {
        self.documents += 1;
        within(self.documents, DOCUMENT_LIMIT, span, "documents")
    }

    pub(super) fn alias(&mut self, span: &Range<usize>) -> Result<(), Fault> {
        self.aliases += 1;
        within(self.aliases, ALIAS_LIMIT, span, "aliases")
    }

    pub(super) fn nodes(&mut self, count: usize, span: &Range<usize>) -> Result<(), Fault> {
        self.nodes += count;
        within(self.nodes, NODE_LIMIT, span, "values")
    }

    /// Of a copy, for whoever names it.
    pub(super) fn copy(&mut self, weight: &Weight, span: &Range<usize>) -> Result<(), Fault> {
        self.nodes(weight.nodes, span)?;
        self.aliased_text += weight.text;
        within(self.aliased_text, ALIASED_TEXT_LIMIT, span, "bytes behind anchors")
    }
}

/// Levels that are open, with those of a copy.
pub(super) fn depth(levels: usize, span: &Range<usize>) -> Result<(), Fault> {
    within(levels, DEPTH_LIMIT, span, "levels")
}

pub(super) fn too_many_values(span: &Range<usize>) -> Option<Fault> {
    within(NODE_LIMIT + 1, NODE_LIMIT, span, "values").err()
}

fn within(spent: usize, limit: usize, span: &Range<usize>, what: &str) -> Result<(), Fault> {
    if spent <= limit {
        return Ok(());
    }
    let message = format!("more than {limit} {what} in one file");
    Err(Fault::new(String::new(), span.clone(), message, "one too many").help("split the file"))
}

/// What a copy of a value costs.
pub(super) struct Weight {
    nodes: usize,
    text: usize,
    pub(super) depth: usize,
}

impl Weight {
    pub(super) fn of(node: &Node) -> Weight {
        let (children, own): (Vec<Weight>, usize) = match &node.kind {
            Kind::Text(text) => (Vec::new(), text.len()),
            Kind::List(items) => (items.iter().map(Weight::of).collect(), 0),
            Kind::Map(entries) => (
                entries.iter().map(|entry| Weight::of(&entry.value)).collect(),
                entries.iter().map(|entry| entry.key.len()).sum(),
            ),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => (Vec::new(), 0),
        };
        Weight {
            nodes: 1 + children.iter().map(|child| child.nodes).sum::<usize>(),
            text: own + children.iter().map(|child| child.text).sum::<usize>(),
            depth: 1 + children.iter().map(|child| child.depth).max().unwrap_or(0),
        }
    }
}
