//! The page that a description is written on: lines, indented by levels, with tabs between columns.

use std::fmt::Display;

use crate::cli::tabs;
use crate::model::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Aligned, up to the last change of columns.
    done: String,
    open: String,
}

impl Sheet {
    pub(super) fn line(&mut self, level: usize, text: impl Display) {
        self.open.push_str(&"  ".repeat(level));
        // What a manifest says must not command the terminal.
        self.open.push_str(&text.to_string().replace('\x1b', "^[").replace('\r', "\\r"));
        self.open.push('\n');
    }

    /// `Name:` and what it is.
    pub(super) fn field(&mut self, level: usize, name: &str, value: impl Display) {
        self.line(level, format_args!("{name}:\t{value}"));
    }

    /// If it is there and says something.
    pub(super) fn field_if(&mut self, level: usize, name: &str, value: Option<impl Display>) {
        if let Some(value) = value.map(|value| value.to_string()).filter(|value| !value.is_empty()) {
            self.field(level, name, value);
        }
    }

    /// Columns before this line and after it have nothing to do with each other.
    pub(super) fn part(&mut self) {
        self.done.push_str(&tabs::align(&std::mem::take(&mut self.open)));
    }

    pub(super) fn aligned(mut self) -> String {
        self.part();
        self.done
    }
}

/// `Mon, 02 Jan 2006 15:04:05 +0000`
pub(super) fn date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
