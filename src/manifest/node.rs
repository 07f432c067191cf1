//! A document as a tree of values, each knowing the bytes it was written in, and the way to one of them.
//!
//! The reader refuses trees deeper than 64, so walking and dropping one by recursion is safe.

use std::fmt;
use std::ops::Range;

use serde_json::{Number, Value};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Of a scalar, all of it; of a mapping its first key, of a list its first dash or bracket.
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.kind {
            Kind::Map(entries) => {
                entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => None,
        }
    }

    /// None for anything but a mapping.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => &[],
        }
    }

    /// None for anything but a list.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    pub(crate) fn truth(&self) -> Option<bool> {
        match &self.kind {
            Kind::Bool(truth) => Some(*truth),
            Kind::Null | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// A whole number.
    pub(crate) fn whole(&self) -> Option<i64> {
        match &self.kind {
            Kind::Number(number) => number.as_i64(),
            Kind::Null | Kind::Bool(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// For messages: `expected a string, found …`.
    pub(crate) fn noun(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Number(number) if number.is_f64() => "a fraction",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Kind::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect(),
            ),
        }
    }

    /// A tree that was never text: all its spans are empty.
    pub(crate) fn from_value(value: &Value) -> Node {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(truth) => Kind::Bool(*truth),
            Value::Number(number) => Kind::Number(number.clone()),
            Value::String(text) => Kind::Text(text.clone()),
            Value::Array(items) => Kind::List(items.iter().map(Node::from_value).collect()),
            Value::Object(map) => Kind::Map(
                map.iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        key_span: 0..0,
                        value: Node::from_value(value),
                    })
                    .collect(),
            ),
        };
        Node { span: 0..0, kind }
    }
}

/// A place in a document, and what is written there, if anything is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
    key_span: Option<&'a Range<usize>>,
    pub(crate) node: Option<&'a Node>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    /// Of a document, or of one in a `kind: List`, which is shown.
    Root(&'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    pub(crate) fn root(prefix: &'a str, node: &'a Node) -> At<'a> {
        At { parent: None, step: Step::Root(prefix), key_span: None, node: Some(node) }
    }

    pub(crate) fn key(&'a self, key: &'a str) -> At<'a> {
        match self.node.and_then(|node| node.entry(key)) {
            Some(entry) => self.entry(entry),
            None => At { parent: Some(self), step: Step::Key(key), key_span: None, node: None },
        }
    }

    pub(crate) fn index(&'a self, index: usize) -> At<'a> {
        let node = self.node.and_then(|node| node.items().get(index));
        At { parent: Some(self), step: Step::Index(index), key_span: None, node }
    }

    /// An entry of this mapping; spares looking it up.
    pub(crate) fn entry(&'a self, entry: &'a Entry) -> At<'a> {
        At {
            parent: Some(self),
            step: Step::Key(&entry.key),
            key_span: Some(&entry.key_span),
            node: Some(&entry.value),
        }
    }

    /// Every entry, if this is a mapping.
    pub(crate) fn each_entry(&'a self) -> impl Iterator<Item = At<'a>> {
        self.node.map_or(&[][..], Node::entries).iter().map(|entry| self.entry(entry))
    }

    /// Every item, if this is a list.
    pub(crate) fn each_item(&'a self) -> impl Iterator<Item = At<'a>> {
        let count = self.node.map_or(0, |node| node.items().len());
        (0..count).map(|index| self.index(index))
    }

    /// The key that leads here; empty for an item of a list.
    pub(crate) fn last_key(&self) -> &'a str {
        match self.step {
            Step::Key(key) => key,
            Step::Root(_) | Step::Index(_) => "",
        }
    }

    /// Where to point: at the value, or at the nearest thing around it that is there.
    pub(crate) fn span(&self) -> Range<usize> {
        match (self.node, self.parent) {
            (Some(node), _) => node.span.clone(),
            (None, Some(parent)) => parent.span(),
            (None, None) => 0..0,
        }
    }

    /// Where the key is written that leads here; a value that no key leads to stands for itself.
    pub(crate) fn key_span(&self) -> Range<usize> {
        self.key_span.cloned().unwrap_or_else(|| self.span())
    }

    /// The text here, if there is one.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.node.and_then(Node::text)
    }

    /// Whether something is written here; an empty value counts for nothing, as in Kubernetes.
    pub(crate) fn is_set(&self) -> bool {
        self.node.is_some_and(|node| node.kind != Kind::Null)
    }
}

/// Longest key shown in a path, in characters.
const KEY_SHOWN: usize = 80;

/// Adds a key to a path: `.name`, or `[example.com/name]` where dots would mislead.
pub(crate) fn push_key(path: &mut String, key: &str) {
    let shown: String = key
        .chars()
        .take(KEY_SHOWN)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if !shown.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        path.push_str(&format!("[{shown}]"));
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&shown);
}

impl At<'_> {
    fn push_onto(&self, path: &mut String) {
        if let Some(parent) = self.parent {
            parent.push_onto(path);
        }
        match self.step {
            Step::Root(prefix) => path.push_str(prefix),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Key(key) => push_key(path, key),
        }
    }
}

/// `spec.containers[0].image`
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        self.push_onto(&mut path);
        f.write_str(&path)
    }
}
