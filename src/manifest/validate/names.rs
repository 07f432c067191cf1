//! The syntaxes of names (kubernetes `apimachinery/pkg/util/validation`).

use crate::manifest::fault::Fault;
use crate::manifest::node::At;

use super::Rules;

/// What a name must look like.
pub(super) struct Syntax {
    /// The first thing that is wrong with a name: `it has a space in it`.
    flaw: fn(&str) -> Option<&'static str>,
    words: &'static str,
}

/// RFC 1123 label.
pub(super) const LABEL: Syntax = Syntax {
    flaw: |text| too_long(text, 63).or_else(|| dns_part(text, "it has a `.` in it")),
    words: "use at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit",
};

/// RFC 1123 subdomain.
pub(super) const SUBDOMAIN: Syntax = Syntax {
    flaw: subdomain,
    words: "use at most 253 lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit",
};

/// What may stand in a URL path.
pub(super) const PATH_SEGMENT: Syntax = Syntax {
    flaw: |text| {
        let bad = matches!(text, "." | "..") || text.contains(['/', '%']);
        bad.then_some("it cannot stand in a path")
    },
    words: "leave out `/` and `%`",
};

pub(super) const QUALIFIED: Syntax = Syntax {
    flaw: qualified,
    words: "use at most 63 letters, digits, `-`, `_` and `.`, and before it a domain and `/` if you like",
};

/// As a qualified name, but the domain may have upper-case letters.
pub(super) const ANNOTATION: Syntax =
    Syntax { flaw: |text| qualified(&text.to_ascii_lowercase()), words: QUALIFIED.words };

pub(super) const LABEL_VALUE: Syntax = Syntax {
    flaw: |text| if text.is_empty() { None } else { plain_name(text) },
    words: "use at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit",
};

pub(super) const CONFIG_KEY: Syntax = Syntax {
    flaw: |text| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let dots = text == "." || text.starts_with("..");
        empty(text)
            .or_else(|| too_long(text, 253))
            .or_else(|| stranger(text, plain))
            .or(dots.then_some("it begins with dots"))
    },
    words: "use at most 253 letters, digits, `-`, `_` and `.`, and do not begin with `..`",
};

pub(super) const ENV: Syntax = Syntax {
    flaw: |text| {
        if text.contains('=') {
            return Some("it has a `=` in it");
        }
        empty(text).or_else(|| stranger(text, |c| matches!(c, ' '..='~')))
    },
    words: "use printable ASCII characters other than `=`",
};

/// RFC 6335 service name.
pub(super) const PORT: Syntax = Syntax {
    flaw: |text| {
        let letter = text.contains(|c: char| c.is_ascii_lowercase());
        too_long(text, 15)
            .or_else(|| dns_part(text, "it has a `.` in it"))
            .or((!letter).then_some("it has no letter in it"))
            .or(text.contains("--").then_some("it has two `-` in a row"))
    },
    words: "use at most 15 lower-case letters, digits and single `-`, with a letter among them",
};

/// RFC 9110 field name.
pub(super) const HTTP_HEADER: Syntax = Syntax {
    flaw: |text| empty(text).or_else(|| stranger(text, |c| c.is_ascii_alphanumeric() || c == '-')),
    words: "use letters, digits and `-`",
};

impl Rules {
    pub(super) fn name(&mut self, at: &At<'_>, name: &str, syntax: &Syntax) {
        if let Some(flaw) = (syntax.flaw)(name) {
            let message = format!("the name is not valid: {flaw}");
            self.push(Fault::at(at, message, "not a valid name").help(syntax.words));
        }
    }

    pub(super) fn value(&mut self, at: &At<'_>, value: &str, syntax: &Syntax) {
        if let Some(flaw) = (syntax.flaw)(value) {
            let message = format!("the value is not valid: {flaw}");
            self.push(Fault::at(at, message, "not a valid value").help(syntax.words));
        }
    }

    /// Of a mapping's key.
    pub(super) fn key_name(&mut self, at: &At<'_>, syntax: &Syntax) {
        if let Some(flaw) = (syntax.flaw)(at.last_key()) {
            let message = format!("the key is not valid: {flaw}");
            self.push(Fault::at_key(at, message, "not a valid key").help(syntax.words));
        }
    }
}

fn empty(text: &str) -> Option<&'static str> {
    text.is_empty().then_some("it is empty")
}

fn too_long(text: &str, limit: usize) -> Option<&'static str> {
    (text.len() > limit).then_some("it is too long")
}

/// A character that has no place in a name, in words.
fn stranger(text: &str, belongs: impl Fn(char) -> bool) -> Option<&'static str> {
    text.chars().find(|c| !belongs(*c)).map(|c| match c {
        'A'..='Z' => "it has upper-case letters in it",
        '_' => "it has a `_` in it",
        '/' => "it has a `/` in it",
        ':' => "it has a `:` in it",
        '.' => "it has a `.` in it",
        ' ' | '\t' | '\n' | '\r' => "it has a blank in it",
        '{' | '}' | '$' => "it looks like a template that was not filled in",
        c if c.is_alphabetic() => "it has letters other than a to z in it",
        _ => "it has a character in it that no name may have",
    })
}

fn dns_part(text: &str, dotted: &'static str) -> Option<&'static str> {
    if text.contains('.') {
        return Some(dotted);
    }
    let dash = text.starts_with('-') || text.ends_with('-');
    empty(text)
        .or_else(|| stranger(text, |c| matches!(c, 'a'..='z' | '0'..='9' | '-')))
        .or(dash.then_some("it begins or ends with `-`"))
}

fn subdomain(text: &str) -> Option<&'static str> {
    if text.split('.').any(str::is_empty) && text.contains('.') {
        return Some("it begins or ends with `.`, or has two in a row");
    }
    too_long(text, 253).or_else(|| text.split('.').find_map(|part| dns_part(part, "")))
}

fn plain_name(text: &str) -> Option<&'static str> {
    let outside = |c: char| !c.is_ascii_alphanumeric();
    let edge = text.starts_with(outside) || text.ends_with(outside);
    empty(text)
        .or_else(|| too_long(text, 63))
        .or_else(|| stranger(text, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .or(edge.then_some("it begins or ends with `-`, `_` or `.`"))
}

fn qualified(text: &str) -> Option<&'static str> {
    match text.split_once('/') {
        Some((domain, _)) if subdomain(domain).is_some() => Some("what stands before `/` is no domain"),
        Some((_, name)) => plain_name(name),
        None => plain_name(text),
    }
}
