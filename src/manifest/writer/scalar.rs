//! Scalars: in which of four styles a text is written, and how.

use super::{INDENT, Page, WIDTH, Within, plain};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    /// `|`, lines as they are.
    Literal,
}

/// As kubectl chooses, but for what it would not read back: a `<<` that is no merge, and the line ends that only
/// YAML 1.1 has.
pub(super) fn style(text: &str, within: Within) -> Style {
    if !text.chars().all(printable) {
        return Style::Double;
    }
    if text.contains('\n') {
        let blank_at_an_end = text.ends_with(' ') || text.contains(" \n");
        return if blank_at_an_end || within == Within::SimpleKey { Style::Double } else { Style::Literal };
    }
    if !plain::reads_as_text(text) || (text == "<<" && within == Within::SimpleKey) {
        Style::Double
    } else if has_indicators(text) || text.starts_with(' ') || text.ends_with(' ') {
        Style::Single
    } else {
        Style::Plain
    }
}

/// Unescaped in any style. A tab is not, and what takes more than sixteen bits.
fn printable(c: char) -> bool {
    match c {
        '\u{2028}' | '\u{2029}' | '\u{feff}' => false,
        '\n' | ' '..='~' | '\u{a0}'..='\u{fffd}' => true,
        _ => false,
    }
}

pub(super) fn has_breaks(text: &str) -> bool {
    text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// Something in a printable text would be read as punctuation.
fn has_indicators(text: &str) -> bool {
    let begins = |c: char| "#,[]{}&*!|>'\"%@`".contains(c);
    let mark = matches!(text.as_bytes(), [b'?' | b':' | b'-'] | [b'?' | b':' | b'-', b' ', ..]);
    text.starts_with("---")
        || text.starts_with("...")
        || text.starts_with(begins)
        || mark
        || text.contains(": ")
        || text.ends_with(':')
        || text.contains(" #")
}

impl Page {
    pub(super) fn scalar(&mut self, text: &str, style: Style, within: Within) {
        let before = self.indent;
        self.indent = Some(before.map_or(INDENT, |indent| indent + INDENT));
        let fold = within != Within::SimpleKey;
        match style {
            Style::Plain => self.plain(text, fold),
            Style::Single => self.single(text, fold),
            Style::Double => self.double(text, fold),
            Style::Literal => self.literal(text),
        }
        self.indent = before;
    }

    fn plain(&mut self, text: &str, fold: bool) {
        if !self.blank {
            self.put(' ');
        }
        self.words(text, fold);
    }

    fn single(&mut self, text: &str, fold: bool) {
        self.token("'");
        self.words(&text.replace('\'', "''"), fold);
        self.close("'");
    }

    /// A single blank beyond the width becomes a line break, and is read back as a blank. At an end it would not.
    fn words(&mut self, text: &str, fold: bool) {
        let mut chars = text.chars().peekable();
        let (mut first, mut after_blank) = (true, false);
        while let Some(c) = chars.next() {
            let blank = c == ' ';
            let single = !first && !after_blank && chars.peek().is_some_and(|next| *next != ' ');
            if blank && fold && single && self.column > WIDTH {
                self.new_line();
            } else {
                self.put(c);
            }
            (first, after_blank) = (false, blank);
        }
        (self.blank, self.indented) = (false, false);
    }

    fn double(&mut self, text: &str, fold: bool) {
        self.token("\"");
        let mut chars = text.chars().peekable();
        let (mut first, mut after_blank) = (true, false);
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            if c == ' ' && fold && !after_blank && !first && next.is_some() && self.column > WIDTH {
                self.new_line();
                // The blank at the front of a line would be taken for indentation.
                if next == Some(' ') {
                    self.put('\\');
                }
            } else if c == '\n' || c == '"' || c == '\\' || !printable(c) {
                escape(c).chars().for_each(|c| self.put(c));
            } else {
                self.put(c);
            }
            (first, after_blank) = (false, c == ' ');
        }
        self.close("\"");
    }

    fn literal(&mut self, text: &str) {
        let indent = if text.starts_with([' ', '\n']) { "2" } else { "" };
        let chomp = match text.strip_suffix('\n') {
            None => "-",
            Some(rest) if rest.is_empty() || rest.ends_with('\n') => "+",
            Some(_) => "",
        };
        self.token(&format!("|{indent}{chomp}"));
        self.line_break();
        (self.blank, self.indented) = (true, true);
        let mut line_begins = true;
        for c in text.chars() {
            if c == '\n' {
                self.line_break();
                self.indented = true;
                line_begins = true;
                continue;
            }
            if line_begins {
                self.new_line();
            }
            self.put(c);
            (self.indented, line_begins) = (false, false);
        }
    }
}

fn escape(c: char) -> String {
    let letter = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        '"' | '\\' => c,
        c => {
            return match u32::from(c) {
                code @ ..=0xff => format!("\\x{code:02X}"),
                code @ ..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{letter}")
}
