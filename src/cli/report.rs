//! A manifest's mistakes for a person: file, line, the words underlined, what to do.

use std::fmt;
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};

use crate::manifest::{IgnoredField, Label, Mistake, Severity};

#[cfg(test)]
mod tests;

/// How a report is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drawing {
    /// ASCII without colour, the same everywhere.
    Plain,
    /// For a terminal that has colour and no lines.
    PlainColour,
    /// For a terminal that does without colour.
    Lines,
    /// For a terminal.
    Colour,
}

/// Columns of a report that goes to a file or a pipe.
pub(crate) const PLAIN_WIDTH: usize = 100;

/// Every mistake of one file, an empty line after each. What the file holds is made safe for a terminal.
pub(crate) fn render(file: &str, text: &str, mistakes: &[Mistake], drawing: Drawing, width: usize) -> String {
    let theme = match drawing {
        Drawing::Plain => GraphicalTheme::none(),
        Drawing::PlainColour => {
            GraphicalTheme { characters: ThemeCharacters::ascii(), styles: ThemeStyles::ansi() }
        }
        Drawing::Lines => GraphicalTheme::unicode_nocolor(),
        Drawing::Colour => GraphicalTheme::unicode(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_context_lines(1)
        .with_width(width)
        .with_break_words(false);
    let mut report = String::new();
    for mistake in mistakes {
        let shown = Shown::new(file, text, mistake);
        // Writing to a string fails only if a span is not in the excerpt; the plain line then says it all.
        if handler.render_report(&mut report, &shown).is_err() {
            report.push_str(&format!("{file}:{}:{}: {shown}\n", mistake.line, mistake.column));
        }
        report.push('\n');
    }
    report
}

/// Mistakes that nobody counts at a glance.
const MANY: usize = 4;

/// `web.yaml: 6 mistakes`, where they are many.
pub(crate) fn counted(file: &str, mistakes: &[Mistake]) -> Option<String> {
    let errors = mistakes.iter().filter(|mistake| mistake.severity == Severity::Error).count();
    (errors >= MANY).then(|| format!("{}: {errors} mistakes", safe(file)))
}

/// What of a file has no effect, in a line; a whole object without any is worth a warning.
pub(crate) fn without_effect(file: &str, ignored: &IgnoredField) -> String {
    let IgnoredField { field, reason, line } = ignored;
    let (file, field) = (safe(file), safe(field));
    if field == "kind" || field.ends_with(".kind") {
        format!("warning: {file}:{line}: {reason}, nothing comes of the object")
    } else {
        format!("note: {file}:{line}: {field} has no effect: {reason}")
    }
}

/// One mistake with the lines it is about.
#[derive(Debug)]
struct Shown {
    severity: Severity,
    title: String,
    help: Option<String>,
    labels: Vec<Label>,
    excerpt: Excerpt,
}

impl Shown {
    fn new(file: &str, text: &str, mistake: &Mistake) -> Shown {
        let title = match mistake.field.as_str() {
            "" => mistake.message.clone(),
            field => format!("{}: {}", safe(field), mistake.message),
        };
        let mut labels = mistake.labels.clone();
        for label in &mut labels {
            label.span.start = floor(text, label.span.start);
            label.span.end = floor(text, label.span.end).max(label.span.start);
        }
        let excerpt = Excerpt::new(safe(file), text, &mut labels);
        let severity = mistake.severity;
        Shown { severity, title, help: mistake.help.as_deref().map(safe), labels, excerpt }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.labels.iter().enumerate().map(|(index, label)| {
            let text = Some(label.text.clone()).filter(|text| !text.is_empty());
            let span = SourceSpan::from(label.span.clone());
            match index {
                0 => LabeledSpan::new_primary_with_span(text, span),
                _ => LabeledSpan::new_with_span(text, span),
            }
        });
        Some(Box::new(labels))
    }
}

/// Longest line that is shown whole, in characters.
const LINE_SHOWN: usize = 120;
/// Of a longer one, what is shown, and how much of that before a label.
const PART_SHOWN: usize = 80;
const BEFORE_LABEL: usize = 30;
/// Lines between two labels that are shown rather than left out.
const GAP_SHOWN: usize = 5;

/// The file's text without what a terminal would obey, its long lines cut down to what is underlined in them.
#[derive(Debug)]
struct Excerpt {
    file: String,
    /// From the line before the first label to the one after the last.
    text: String,
    /// Lines of the file before that.
    lines_before: usize,
    /// Where each label begins: byte of the excerpt, and line and column of the file, both from 0. Cutting and
    /// escaping move columns.
    places: Vec<(usize, usize, usize)>,
}

impl Excerpt {
    /// Moves the labels to where their words are in the excerpt.
    fn new(file: String, text: &str, labels: &mut [Label]) -> Excerpt {
        let last = labels.iter().map(|label| label.span.end).max().unwrap_or(0);
        let mut shown = String::new();
        let mut moved = vec![0..0; labels.len()];
        let first = labels.iter().map(|label| label.span.start).min().unwrap_or(0);
        let mut start =
            text[..first].rfind('\n').and_then(|end| text[..end].rfind('\n')).map_or(0, |end| end + 1);
        let lines_before = text[..start].matches('\n').count();
        let mut lines_after = 0;
        for line in text[start..].split_inclusive('\n') {
            let label = labels
                .iter()
                .map(|label| label.span.start)
                .find(|at| (start..start + line.len()).contains(at));
            let part = part_shown(line, label.map(|at| at - start));
            shown.push_str(if part.start > 0 { "..." } else { "" });
            for (offset, c) in line[part.clone()].char_indices() {
                note(labels, start + part.start + offset, &shown, &mut moved);
                push_safe(&mut shown, c);
            }
            if part.end < line.len() {
                note(labels, start + part.end, &shown, &mut moved);
                shown.push_str("...\n");
            }
            start += line.len();
            if start > last {
                // The line after the last label is shown too.
                lines_after += 1;
                if lines_after > 2 {
                    break;
                }
            }
        }
        note(labels, start, &shown, &mut moved);
        let mut places = Vec::new();
        for (label, moved) in labels.iter_mut().zip(moved) {
            let (line, column) = place(text, label.span.start);
            places.push((moved.start, line, column));
            label.span = moved.start..moved.end.max(moved.start);
        }
        Excerpt { file, text: shown, lines_before, places }
    }
}

/// Remembers what of a label begins or ends at byte `at` of the file, which is shown here. A byte that is cut away
/// counts as the next one shown.
fn note(labels: &[Label], at: usize, shown: &str, moved: &mut [Range<usize>]) {
    for (label, moved) in labels.iter().zip(moved) {
        if label.span.start == at {
            moved.start = shown.len();
        }
        if label.span.start < at && label.span.end >= at || label.span.end == at {
            moved.end = shown.len();
        }
    }
}

/// The part of a line that is shown: all of it, or what surrounds the byte that a label is at.
fn part_shown(line: &str, label: Option<usize>) -> Range<usize> {
    if line.chars().nth(LINE_SHOWN).is_none() {
        return 0..line.len();
    }
    let start = line[..label.unwrap_or(0)].char_indices().rev().nth(BEFORE_LABEL).map_or(0, |(at, _)| at);
    let end = line[start..].char_indices().nth(PART_SHOWN).map_or(line.len(), |(at, _)| start + at);
    start..end
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let read = self.text.read_span(span, lines_before, lines_after)?;
        // Without surrounding lines the renderer asks for the place of a label.
        let place = self.places.iter().find(|(at, ..)| lines_before == 0 && *at == span.offset());
        let (line, column) = place
            .map_or((self.lines_before + read.line(), read.column()), |(_, line, column)| (*line, *column));
        // Decides which excerpts are drawn as one: those with little between them.
        let lines = read.data().iter().filter(|byte| **byte == b'\n').count() + GAP_SHOWN;
        let contents =
            MietteSpanContents::new_named(self.file.clone(), read.data(), *read.span(), line, column, lines);
        Ok(Box::new(contents))
    }
}

/// Line and column of a byte, both from 0, the column in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].trim_start_matches('\u{feff}').chars().count();
    (before.matches('\n').count(), column)
}

/// The start of the character that byte `at` belongs to; the end of a text that is shorter.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

pub(crate) fn safe(text: &str) -> String {
    let mut safe = String::new();
    text.chars().filter(|c| *c != '\n').for_each(|c| push_safe(&mut safe, c));
    safe
}

/// Characters that a terminal would obey, or that would show a line in another order than it is in, are escaped.
fn push_safe(shown: &mut String, c: char) {
    let obeyed = c.is_control() && !matches!(c, '\t' | '\n');
    let reorders = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    match c {
        '\r' => {}
        _ if obeyed || reorders => shown.extend(c.escape_unicode()),
        _ => shown.push(c),
    }
}
