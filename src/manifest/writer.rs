//! Values → YAML, byte for byte as kubectl prints them: what libyaml's emitter makes of block collections, as
//! sigs.k8s.io/yaml carries it (goyaml.v2 `emitterc.go`), blanks and line breaks included.
//!
//! Where kubectl would read back something else than it has written, this writer quotes (`scalar`).

mod order;
mod plain;
mod scalar;
#[cfg(test)]
mod tests;
mod tree;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use scalar::Style;
use tree::Tree;

/// Columns by which a mapping or a list stands further in than what holds it.
const INDENT: usize = 2;

/// A scalar is folded at the first blank beyond this column.
const WIDTH: usize = 80;

/// Bytes of a key that still stands in the line of its value.
const SIMPLE_KEY: usize = 128;

/// As `-o yaml` prints it: fields in kubectl's order.
pub(crate) fn to_yaml(value: &Value) -> String {
    let mut tree = Tree::deserialize(value).expect("a value is a tree");
    order::sort(&mut tree);
    written(&tree)
}

/// Fields in the order of the value's own declaration, which JSON's text keeps and `Value` does not.
pub(crate) fn to_yaml_in_order<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_string(value).expect("string keys and plain values are always JSON");
    written(&serde_json::from_str(&json).expect("what was written as JSON is JSON"))
}

fn written(tree: &Tree) -> String {
    let mut page = Page { out: String::new(), column: 0, indent: None, blank: true, indented: true };
    page.node(tree, Within::Document);
    page.new_line();
    page.out
}

/// What a node stands in; a list below a key is not indented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Document,
    List,
    Map,
    /// A key in the line of its value.
    SimpleKey,
}

/// The text so far, and where the next character goes.
struct Page {
    out: String,
    /// In characters.
    column: usize,
    /// None before the outermost collection.
    indent: Option<usize>,
    /// The last character is white or opens something: the next token needs no blank before it.
    blank: bool,
    /// Nothing but indentation and dashes stands in the line.
    indented: bool,
}

impl Page {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    /// Goes to the indentation, in a line of its own unless this one is still empty.
    fn new_line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indented || self.column > indent || (self.column == indent && !self.blank) {
            self.line_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        (self.blank, self.indented) = (true, true);
    }

    /// A token after which a blank follows before the next.
    fn token(&mut self, token: &str) {
        if !self.blank {
            self.put(' ');
        }
        self.close(token);
    }

    /// A token right after what stands there.
    fn close(&mut self, token: &str) {
        token.chars().for_each(|c| self.put(c));
        (self.blank, self.indented) = (false, false);
    }

    /// `-`, `?` or the `:` of a key in lines of its own: what follows may open a collection in the same line.
    fn dash(&mut self, token: &str) {
        let indented = self.indented;
        self.token(token);
        self.indented = indented;
    }

    fn node(&mut self, tree: &Tree, within: Within) {
        match tree {
            Tree::Bare(text) => self.scalar(text, Style::Plain, within),
            Tree::Text(text) => self.scalar(text, scalar::style(text, within), within),
            Tree::List(items) if items.is_empty() => self.token("[]"),
            Tree::Map(fields) if fields.is_empty() => self.token("{}"),
            Tree::List(items) => {
                let before = self.indent;
                if within != Within::Map || self.indented {
                    self.indent = deeper(before);
                }
                for item in items {
                    self.new_line();
                    self.dash("-");
                    self.node(item, Within::List);
                }
                self.indent = before;
            }
            Tree::Map(fields) => {
                let before = self.indent;
                self.indent = deeper(before);
                for (key, value) in fields {
                    self.field(key, value);
                }
                self.indent = before;
            }
        }
    }

    fn field(&mut self, key: &str, value: &Tree) {
        self.new_line();
        if key.len() <= SIMPLE_KEY && !scalar::has_breaks(key) {
            self.scalar(key, scalar::style(key, Within::SimpleKey), Within::SimpleKey);
            self.close(":");
        } else {
            self.dash("?");
            self.scalar(key, scalar::style(key, Within::Map), Within::Map);
            self.new_line();
            self.dash(":");
        }
        self.node(value, Within::Map);
    }
}

fn deeper(indent: Option<usize>) -> Option<usize> {
    Some(indent.map_or(0, |indent| indent + INDENT))
}
