//! A file's text, with its characters, bytes and lines told apart.

use std::ops::Range;

const BYTE_ORDER_MARK: &str = "\u{feff}";
/// Characters between two remembered positions.
const STRIDE: usize = 64;

pub(crate) struct Text<'a> {
    /// Without a byte order mark at its start.
    pub(crate) body: &'a str,
    /// Bytes before `body`.
    skipped: usize,
    /// Byte of `body` at which every `STRIDE`th character starts; empty if all are single bytes.
    strides: Vec<usize>,
    /// Byte of `body` at which each line starts.
    lines: Vec<usize>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(whole: &'a str) -> Text<'a> {
        let body = whole.strip_prefix(BYTE_ORDER_MARK).unwrap_or(whole);
        let strides = if body.is_ascii() {
            Vec::new()
        } else {
            body.char_indices().step_by(STRIDE).map(|(byte, _)| byte).collect()
        };
        let starts = body.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Text { body, skipped: whole.len() - body.len(), strides, lines }
    }

    /// The byte of the file at which character number `index` of the body starts.
    pub(crate) fn byte_of_char(&self, index: usize) -> usize {
        let byte = if self.strides.is_empty() {
            index.min(self.body.len())
        } else {
            let base = self.strides.get(index / STRIDE).copied().unwrap_or(self.body.len());
            let rest = &self.body[base..];
            rest.char_indices().nth(index % STRIDE).map_or(self.body.len(), |(offset, _)| base + offset)
        };
        self.skipped + byte
    }

    /// The byte after the character that starts at `byte`.
    pub(crate) fn end_of_char(&self, byte: usize) -> usize {
        let rest = self.body.get(byte.saturating_sub(self.skipped)..).unwrap_or_default();
        byte + rest.chars().next().filter(|c| !c.is_control()).map_or(0, char::len_utf8)
    }

    /// What is written in a span of the file; nothing if the span is not of this file.
    pub(crate) fn slice(&self, span: Range<usize>) -> &'a str {
        let start = span.start.saturating_sub(self.skipped);
        let end = span.end.saturating_sub(self.skipped);
        self.body.get(start..end).unwrap_or_default()
    }

    /// Line and column of a byte of the file, both from 1, the column in characters.
    pub(crate) fn place(&self, byte: usize) -> (usize, usize) {
        let byte = byte.saturating_sub(self.skipped).min(self.body.len());
        let line = self.lines.partition_point(|start| *start <= byte);
        let start = self.lines[line - 1];
        let before = self.body.get(start..byte).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// The part of a span that lies in its first line, so that a label underlines one line and not a screenful.
    pub(crate) fn within_line(&self, span: Range<usize>) -> Range<usize> {
        let written = self.slice(span.clone());
        let first = written.lines().next().unwrap_or_default();
        span.start..span.start + first.trim_end().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_bytes_and_lines_are_told_apart() {
        let text = format!("\u{feff}{}\na: ü b\r\nc: d", "ö".repeat(100));
        let read = Text::new(&text);
        let of = |needle: &str| {
            let byte = text.find(needle).unwrap();
            (byte, read.body.chars().position(|c| needle.starts_with(c)).unwrap())
        };
        let (b, index) = of("b");
        assert_eq!(read.byte_of_char(index), b);
        assert_eq!(read.place(b), (2, 6));
        let (d, index) = of("d");
        assert_eq!(read.byte_of_char(index), d);
        assert_eq!(read.place(d), (3, 4));
        assert_eq!(read.byte_of_char(10_000), text.len());
        assert_eq!(read.slice(read.within_line(b..text.len())), "b");
    }
}
