//! The caller's terminal: whether there is one, colour, text that must not command it.

use std::collections::HashMap;
use std::io::{IsTerminal, stderr, stdout};
use std::os::fd::AsFd;

use serde::Deserialize;

use super::report::{Drawing, PLAIN_WIDTH};

/// Columns of what is told on stderr: those of the terminal, as far as lines stay readable.
pub(crate) fn width() -> usize {
    match rustix::termios::tcgetwinsize(stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col).clamp(40, 120),
        Ok(_) | Err(_) => PLAIN_WIDTH,
    }
}

/// Columns of stdout, if it is a terminal.
pub(crate) fn stdout_width() -> Option<usize> {
    width_of(&stdout())
}

/// Columns of stderr, if it is a terminal.
pub(crate) fn stderr_width() -> Option<usize> {
    width_of(&stderr())
}

fn width_of(stream: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// At blanks, in lines of so many columns if no word is longer; at least one.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// Whether one stream is to be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    Plain,
    Coloured,
}

impl ColorChoice {
    pub(crate) fn for_stdout(self) -> Color {
        self.decide(stdout().is_terminal())
    }

    pub(crate) fn for_stderr(self) -> Color {
        self.decide(stderr().is_terminal())
    }

    /// How mistakes are drawn on stderr. A terminal of another charset would show boxes as noise.
    pub(crate) fn drawing(self) -> Drawing {
        let lines = stderr().is_terminal() && !is_dumb() && is_utf8();
        match (self.for_stderr(), lines) {
            (Color::Coloured, true) => Drawing::Colour,
            (Color::Coloured, false) => Drawing::PlainColour,
            (Color::Plain, true) => Drawing::Lines,
            (Color::Plain, false) => Drawing::Plain,
        }
    }

    fn decide(self, terminal: bool) -> Color {
        // An empty NO_COLOR counts as unset, <https://no-color.org>.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            ColorChoice::Always => Color::Coloured,
            ColorChoice::Auto if terminal && !refused && !is_dumb() => Color::Coloured,
            ColorChoice::Auto | ColorChoice::Never => Color::Plain,
        }
    }
}

/// It shows text and nothing else.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}

/// As the C library decides it: the first of the three that says anything.
fn is_utf8() -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os);
    let locale = said.into_iter().find(|locale| !locale.is_empty()).unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Colours by order of appearance, so that neighbours differ.
#[derive(Debug)]
pub(crate) struct Palette {
    color: Color,
    seen: HashMap<String, usize>,
}

impl Palette {
    pub(crate) fn new(color: Color) -> Palette {
        Palette { color, seen: HashMap::new() }
    }

    /// `word` has the same colour each time.
    pub(crate) fn paint(&mut self, word: &str, text: &str) -> String {
        // Dark blue is not to be read on black, and red is for what went wrong.
        const COLORS: [u8; 6] = [36, 33, 32, 35, 94, 96];
        if self.color == Color::Plain {
            return text.to_owned();
        }
        let next = self.seen.len();
        let at = *self.seen.entry(word.to_owned()).or_insert(next);
        self.color.paint(COLORS[at % COLORS.len()], text)
    }
}

impl Color {
    /// `code` is one of SGR.
    pub(crate) fn paint(self, code: u8, text: &str) -> String {
        match self {
            Color::Plain => text.to_owned(),
            Color::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// How a program's output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// To a file or pipe: byte by byte.
    AsIs,
    /// To a terminal: nothing in it may command the terminal but colours.
    Escaped,
}

impl Text {
    pub(crate) fn for_stdout() -> Text {
        if stdout().is_terminal() { Text::Escaped } else { Text::AsIs }
    }

    pub(crate) fn show<'a>(self, text: &'a [u8]) -> std::borrow::Cow<'a, [u8]> {
        match self {
            Text::AsIs => text.into(),
            Text::Escaped => escape(text).into_bytes().into(),
        }
    }
}

/// Makes control characters visible. Colours (SGR) stay, and are switched off at the end.
fn escape(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut shown = String::with_capacity(text.len());
    let mut coloured = false;
    let mut rest = text.as_ref();
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '\x1b' if colour_sequence(rest).is_some() => {
                taken = colour_sequence(rest).unwrap_or(taken);
                shown.push_str(&rest[..taken]);
                coloured = true;
            }
            '\t' => shown.push(c),
            // The end of a line written with CRLF.
            '\r' if rest.len() == 1 => {}
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
        rest = &rest[taken..];
    }
    if coloured {
        shown.push_str("\x1b[0m");
    }
    shown
}

/// Length of `ESC [ digits and semicolons m` at the start of `text`.
fn colour_sequence(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\x1b[")?;
    let end = body.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    body[end..].starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_cannot_command_the_terminal() {
        assert_eq!(escape(b"a\tb\r"), "a\tb");
        assert_eq!(escape(b"\x1b]0;title\x07"), "\\u{1b}]0;title\\u{7}");
        assert_eq!(escape(b"\x1b[2Jx\ry"), "\\u{1b}[2Jx\\ry");
        assert_eq!(escape("\u{9b}31m".as_bytes()), "\\u{9b}31m");
        assert_eq!(escape("grün".as_bytes()), "grün");
    }

    #[test]
    fn neighbours_have_colours_of_their_own() {
        let mut palette = Palette::new(Color::Coloured);
        let painted = ["hello/client", "hello/server", "hello/client"].map(|name| palette.paint(name, "x"));
        assert_eq!(painted, ["\x1b[36mx\x1b[0m", "\x1b[33mx\x1b[0m", "\x1b[36mx\x1b[0m"]);
    }

    #[test]
    fn colours_of_a_program_stay_and_end_with_their_line() {
        assert_eq!(escape(b"\x1b[1;31mred"), "\x1b[1;31mred\x1b[0m");
    }
}
