//! What is found wrong, before it is known on which line that is.

use std::ops::Range;

use super::node::At;
use super::text::Text;
use super::{Label, Mistake, Severity};

/// Most faults of one sort that are looked for in one file; more help nobody and would take long.
pub(crate) const MOST: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) severity: Severity,
    pub(crate) field: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) labels: Vec<Label>,
}

impl Fault {
    /// At a value; `label` says beside the value what is the matter with it.
    pub(crate) fn at(at: &At<'_>, message: impl Into<String>, label: impl Into<String>) -> Fault {
        Fault::new(at.to_string(), at.span(), message, label)
    }

    /// At the key that leads to a value.
    pub(crate) fn at_key(at: &At<'_>, message: impl Into<String>, label: impl Into<String>) -> Fault {
        Fault::new(at.to_string(), at.key_span(), message, label)
    }

    pub(crate) fn new(
        field: String,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Fault {
        let label = Label { span, text: label.into() };
        Fault { severity: Severity::Error, field, message: message.into(), help: None, labels: vec![label] }
    }

    /// An API server warns of it and takes it all the same.
    pub(crate) fn warning(self) -> Fault {
        Fault { severity: Severity::Warning, ..self }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }

    /// `did you mean …?`, if there is something to mean.
    pub(crate) fn similar(self, similar: Option<&str>) -> Fault {
        match similar {
            Some(similar) => self.help(format!("did you mean `{similar}`?")),
            None => self,
        }
    }

    pub(crate) fn label(mut self, span: Range<usize>, text: impl Into<String>) -> Fault {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub(crate) fn placed(mut self, text: &Text<'_>) -> Mistake {
        for label in &mut self.labels {
            label.span = text.within_line(label.span.clone());
        }
        let (line, column) = self.labels.first().map_or((1, 1), |label| text.place(label.span.start));
        Mistake {
            severity: self.severity,
            field: self.field,
            message: self.message,
            help: self.help,
            labels: self.labels,
            line,
            column,
        }
    }
}
