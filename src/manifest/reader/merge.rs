//! Merge keys, `<<`.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::manifest::fault::Fault;
use crate::manifest::node::{Entry, Kind, Node};

pub(super) fn mergeable(node: Node, at: Range<usize>) -> Result<Node, Fault> {
    let is_map = |node: &Node| matches!(node.kind, Kind::Map(_));
    let fits = is_map(&node) || (matches!(node.kind, Kind::List(_)) && node.items().iter().all(is_map));
    if fits {
        return Ok(node);
    }
    Err(Fault::new(String::new(), at, "`<<` takes a mapping or a list of mappings", "neither of them"))
}

/// By YAML what a mapping says itself counts wherever it stands; kubectl lets a later `<<` override it.
pub(super) fn merged_too_late(
    path: &str,
    entries: &[Entry],
    merged: &[(Range<usize>, Node)],
) -> Option<Fault> {
    let own: HashMap<&str, &Range<usize>> = entries
        .iter()
        .filter(|_| !merged.is_empty())
        .map(|entry| (entry.key.as_str(), &entry.key_span))
        .collect();
    merged.iter().find_map(|(span, node)| {
        let sources = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
        let keys = sources.iter().flat_map(Node::entries).map(|entry| entry.key.as_str());
        let earlier = keys.filter_map(|key| own.get(key)).find(|own| own.start < span.start)?;
        let message = "`<<` comes after a field that it gives another value";
        let fault = Fault::new(path.to_owned(), span.clone(), message, "too late")
            .label((*earlier).clone(), "this field");
        Some(fault.help("write `<<` first: what follows it counts"))
    })
}

/// YAML merge keys: what the mapping says itself counts first, then the merged ones, the earlier before the later.
pub(super) fn merge(entries: &mut Vec<Entry>, merged: Vec<Node>) {
    let mut present: HashSet<String> =
        entries.iter().filter(|_| !merged.is_empty()).map(|entry| entry.key.clone()).collect();
    let sources = merged.into_iter().flat_map(|node| match node.kind {
        Kind::List(items) => items,
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) => vec![node],
    });
    for source in sources {
        if let Kind::Map(more) = source.kind {
            entries.extend(more.into_iter().filter(|entry| present.insert(entry.key.clone())));
        }
    }
}
