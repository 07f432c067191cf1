//! The syntaxes of names (kubernetes `apimachinery/pkg/util/validation`).

use crate::manifest::fault::Fault;
use crate::manifest::node::At;

use super::Rules;

/// What a name must look like.
pub(super) struct Syntax {
    fits: fn(&str) -> bool,
    words: &'static str,
}

/// RFC 1123 label.
pub(super) const LABEL: Syntax = Syntax {
    fits: is_label,
    words: "use at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit",
};

/// RFC 1123 subdomain.
pub(super) const SUBDOMAIN: Syntax = Syntax {
    fits: is_subdomain,
    words: "use at most 253 lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit",
};

/// What may stand in a URL path.
pub(super) const PATH_SEGMENT: Syntax = Syntax {
    fits: |text| !matches!(text, "." | "..") && !text.contains(['/', '%']),
    words: "leave out `/` and `%`",
};

pub(super) const QUALIFIED: Syntax = Syntax {
    fits: is_qualified,
    words: "use at most 63 letters, digits, `-`, `_` and `.`, and before it a domain and `/` if you like",
};

pub(super) const LABEL_VALUE: Syntax = Syntax {
    fits: |text| text.is_empty() || is_plain_name(text),
    words: "use at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit",
};

pub(super) const CONFIG_KEY: Syntax = Syntax {
    fits: |text| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !text.is_empty()
            && text.len() <= 253
            && text.chars().all(plain)
            && text != "."
            && !text.starts_with("..")
    },
    words: "use at most 253 letters, digits, `-`, `_` and `.`, and do not begin with `..`",
};

pub(super) const ENV: Syntax = Syntax {
    fits: |text| !text.is_empty() && text.chars().all(|c| matches!(c, ' '..='~') && c != '='),
    words: "use printable ASCII characters other than `=`",
};

/// RFC 6335 service name.
pub(super) const PORT: Syntax = Syntax {
    fits: |text| {
        let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
        (1..=15).contains(&text.len())
            && text.chars().all(plain)
            && text.contains(|c: char| c.is_ascii_lowercase())
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.contains("--")
    },
    words: "use at most 15 lower-case letters, digits and single `-`, with a letter among them",
};

impl Rules {
    pub(super) fn name(&mut self, at: &At<'_>, name: &str, syntax: &Syntax) {
        if !(syntax.fits)(name) {
            self.push(Fault::at(at, "the name is not valid", "not a valid name").help(syntax.words));
        }
    }

    pub(super) fn value(&mut self, at: &At<'_>, value: &str, syntax: &Syntax) {
        if !(syntax.fits)(value) {
            self.push(Fault::at(at, "the value is not valid", "not a valid value").help(syntax.words));
        }
    }

    /// Of a mapping's key.
    pub(super) fn key_name(&mut self, at: &At<'_>, syntax: &Syntax) {
        if !(syntax.fits)(at.last_key()) {
            self.push(Fault::at_key(at, "the key is not valid", "not a valid key").help(syntax.words));
        }
    }
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_dns_part(text)
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_part)
}

fn is_dns_part(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_plain_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_plain_name(name),
        None => is_plain_name(text),
    }
}
