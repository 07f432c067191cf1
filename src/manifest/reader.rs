//! Parser events → trees, within budgets that are counted while building, so that a small file cannot ask for much
//! memory or time.

use std::collections::HashMap;
use std::ops::Range;

mod budget;
mod crowd;
mod merge;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::fault::{Fault, MOST};
use super::node::{self, Entry, Kind, Node};
use super::scalar;
use super::syntax;
use super::text::Text;
use budget::{NODE_LIMIT, Spent, Weight};
use merge::{merge, mergeable, merged_too_late};

pub(crate) const FILE_LIMIT: usize = 1024 * 1024;
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// Those that are not empty and were read to their end, each with the byte it begins at.
    pub(crate) roots: Vec<(usize, Node)>,
    pub(crate) faults: Vec<Fault>,
}

/// Reads every document up to the first one that is no YAML; the faults say whether there was one.
pub(crate) fn documents(text: &Text<'_>) -> Documents {
    let mut builder = Builder::new(text);
    if let Some(at) = crowd::find(text.parsed.as_ref(), NODE_LIMIT) {
        let at = text.byte_of_parsed(at);
        builder.done.faults.extend(budget::too_many_values(&(at..at + 1)));
        return builder.done;
    }
    let mut parser = Parser::new_from_str(&text.parsed);
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(builder.not_yaml(&error)),
        };
        if let Err(fault) = taken {
            builder.done.faults.push(fault);
            break;
        }
    }
    builder.done
}

/// A collection whose end has not been seen.
struct Open {
    span: Range<usize>,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// The key whose value comes next.
        key: Option<Key>,
        /// Values of `<<`, and where each `<<` is written.
        merged: Vec<(Range<usize>, Node)>,
    },
}

struct Key {
    text: String,
    span: Range<usize>,
    merge: bool,
}

struct Builder<'t> {
    text: &'t Text<'t>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    spent: Spent,
    done: Documents,
}

impl<'t> Builder<'t> {
    fn new(text: &'t Text<'t>) -> Self {
        Builder {
            text,
            open: Vec::new(),
            anchors: HashMap::new(),
            spent: Spent::default(),
            done: Documents::default(),
        }
    }

    /// # Errors
    /// What makes the rest of the file unreadable.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let span = self.text.byte_of_char(span.start.index())..self.text.byte_of_char(span.end.index());
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                self.spent.document(&span)
            }
            Event::Alias(anchor) => {
                let node = self.aliased(anchor, &span)?;
                self.place(node, 0, span, false)
            }
            Event::Scalar(value, style, anchor, tag) => {
                let bare_merge = value == "<<" && style == ScalarStyle::Plain;
                let is_key =
                    matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }));
                let resolve = if is_key { scalar::resolve_key } else { scalar::resolve };
                let kind = resolve(&value, style, tag.as_deref()).unwrap_or_else(|bad| {
                    let label = if is_key { "this key" } else { "this value" };
                    self.done.faults.push(Fault::new(self.path(), span.clone(), bad.0, label));
                    if is_key { Kind::Text(String::new()) } else { Kind::Null }
                });
                self.place(Node { span: span.clone(), kind }, anchor, span, bare_merge)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, span, Content::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.begin(anchor, span, Content::Map { entries: Vec::new(), key: None, merged: Vec::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(&mut self, anchor: usize, span: Range<usize>, content: Content) -> Result<(), Fault> {
        if let Some(Open { span: outer, content: Content::Map { key: None, .. }, .. }) = self.open.last() {
            if let Some(template) = syntax::template(self.text, outer.start) {
                return Err(syntax::not_filled_in(self.path(), template));
            }
            return Err(Fault::new(self.path(), span, "a key must be a single word", "a list or a mapping"));
        }
        budget::depth(self.open.len() + 1, &span)?;
        self.open.push(Open { span, anchor, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(Open { mut span, anchor, content }) = self.open.pop() else { return Ok(()) };
        let begin = span.clone();
        let kind = match content {
            Content::List(items) => Kind::List(items),
            Content::Map { mut entries, merged, .. } => {
                self.refuse_duplicates(&entries)?;
                if let Some(fault) = merged_too_late(&self.path(), &entries, &merged) {
                    self.done.faults.push(fault);
                }
                merge(&mut entries, merged.into_iter().map(|(_, node)| node).collect());
                if let Some(first) = entries.first() {
                    span = first.key_span.clone();
                }
                Kind::Map(entries)
            }
        };
        self.place(Node { span, kind }, anchor, begin, false)
    }

    /// Puts a finished value where it belongs: into the open collection, or as a document of its own.
    fn place(
        &mut self,
        mut node: Node,
        anchor: usize,
        at: Range<usize>,
        bare_merge: bool,
    ) -> Result<(), Fault> {
        self.spent.nodes(1, &at)?;
        if anchor > 0 {
            self.spent.copy(&Weight::of(&node), &at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => {
                if node.kind != Kind::Null {
                    self.done.roots.push((at.start, node));
                }
            }
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { key: pending @ None, .. }) => {
                let text = scalar::key(node.kind).unwrap_or_else(|bad| {
                    self.done.faults.push(Fault::new(String::new(), at.clone(), bad.0, "this key"));
                    "null".to_owned()
                });
                *pending = Some(Key { text, span: at, merge: bare_merge });
            }
            Some(Content::Map { entries, key, merged }) => {
                let Some(key) = key.take() else { return Ok(()) };
                if node.span.is_empty() {
                    // Nothing is written: the key is what can be pointed at.
                    node.span = key.span.clone();
                }
                if key.merge {
                    merged.push((key.span, mergeable(node, at)?));
                } else {
                    entries.push(Entry { key: key.text, key_span: key.span, value: node });
                }
            }
        }
        Ok(())
    }

    fn aliased(&mut self, anchor: usize, span: &Range<usize>) -> Result<Node, Fault> {
        self.spent.alias(span)?;
        let Some(weight) = self.anchors.get(&anchor).map(Weight::of) else {
            let message = "the alias names nothing that was written before it in this document";
            return Err(Fault::new(self.path(), span.clone(), message, "no such anchor"));
        };
        budget::depth(self.open.len() + weight.depth, span)?;
        self.spent.copy(&weight, span)?;
        Ok(self.anchors[&anchor].clone())
    }

    /// # Errors
    /// A second object in one document: nothing can be said about either.
    fn refuse_duplicates(&mut self, entries: &[Entry]) -> Result<(), Fault> {
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        let same = sorted.windows(2).filter_map(|pair| match pair {
            [first, second] if first.key == second.key => Some((*first, *second)),
            _ => None,
        });
        let again: Vec<(&Entry, &Entry)> = same.collect();
        if self.open.is_empty()
            && ["apiVersion", "kind"].iter().all(|key| again.iter().any(|(_, it)| it.key == *key))
        {
            let spans = again.iter().map(|(_, second)| second.key_span.clone());
            let begin = spans.min_by_key(|span| span.start).unwrap_or_default();
            let before = self.text.slice(0..entries[0].key_span.start);
            let (message, help) = if before.trim_end().ends_with('{') {
                (
                    "a second object begins here, within the brackets of the first",
                    "put each into brackets of its own, under the `items` of one `kind: List`",
                )
            } else {
                (
                    "a second object begins here, and no line `---` before it",
                    "put `---` on a line of its own between two objects",
                )
            };
            let fault = Fault::new(String::new(), begin, message, "the second one");
            return Err(fault.help(help));
        }
        for (first, second) in again {
            if self.done.faults.len() >= MOST {
                break;
            }
            let mut path = self.path();
            node::push_key(&mut path, &second.key);
            let fault = Fault::new(path, second.key_span.clone(), "the field is given twice", "given again")
                .label(first.key_span.clone(), "given here first")
                .help("remove one of the two");
            self.done.faults.push(fault);
        }
        Ok(())
    }

    fn not_yaml(&self, error: &ScanError) -> Fault {
        let byte = self.text.byte_of_char(error.marker().index());
        let bracket = self
            .open
            .last()
            .map(|open| open.span.start)
            .filter(|start| self.text.slice(*start..*start + 1).starts_with(['[', '{']));
        if let Some(template) = syntax::template(self.text, byte) {
            return syntax::not_filled_in(self.path(), template);
        }
        let better =
            syntax::foreign(self.text, byte).or_else(|| syntax::colon(self.text, byte, error.info()));
        let better = better.or_else(|| syntax::tab(self.text, byte, error.info()));
        if let Some((span, misread)) = better.or_else(|| syntax::after_json(self.text, byte, error.info())) {
            return syntax::fault(self.path(), misread, span, None);
        }
        syntax::fault(self.path(), error.info(), byte..self.text.end_of_char(byte), bracket)
    }

    /// Where the open collections lead to.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.content {
                Content::List(items) => path.push_str(&format!("[{}]", items.len())),
                Content::Map { key: Some(key), .. } => node::push_key(&mut path, &key.text),
                Content::Map { key: None, .. } => {}
            }
        }
        path
    }
}
