//! A file's text, with its characters, bytes and lines told apart.

use std::borrow::Cow;
use std::ops::Range;

const BYTE_ORDER_MARK: &str = "\u{feff}";
/// Characters between two remembered positions.
const STRIDE: usize = 64;

pub(crate) struct Text<'a> {
    /// Without a byte order mark at its start.
    body: &'a str,
    /// What the parser is given: the body, or what stands for it.
    pub(crate) parsed: Cow<'a, str>,
    /// Bytes before `body`.
    skipped: usize,
    /// Byte of `parsed` at which every `STRIDE`th character starts; empty if all are single bytes.
    strides: Vec<usize>,
    /// Bytes of `parsed` after which that many bytes more of `body` have gone by.
    shifts: Vec<(usize, usize)>,
    /// Byte of `body` at which each line starts.
    lines: Vec<usize>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(whole: &'a str) -> Text<'a> {
        let body = whole.strip_prefix(BYTE_ORDER_MARK).unwrap_or(whole);
        let (parsed, shifts) = without_surrogates(body);
        let strides = if parsed.is_ascii() {
            Vec::new()
        } else {
            parsed.char_indices().step_by(STRIDE).map(|(byte, _)| byte).collect()
        };
        let starts = body.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Text { body, parsed, skipped: whole.len() - body.len(), strides, shifts, lines }
    }

    /// The byte of the file at which character number `index` of what is parsed starts.
    pub(crate) fn byte_of_char(&self, index: usize) -> usize {
        let byte = if self.strides.is_empty() {
            index.min(self.parsed.len())
        } else {
            let base = self.strides.get(index / STRIDE).copied().unwrap_or(self.parsed.len());
            let rest = &self.parsed[base..];
            rest.char_indices().nth(index % STRIDE).map_or(self.parsed.len(), |(offset, _)| base + offset)
        };
        self.byte_of_parsed(byte)
    }

    /// The byte of the file that a byte of what is parsed stands for.
    pub(crate) fn byte_of_parsed(&self, byte: usize) -> usize {
        let gone_by = self.shifts.partition_point(|(after, _)| *after <= byte);
        let shift = gone_by.checked_sub(1).map_or(0, |last| self.shifts[last].1);
        self.skipped + byte + shift
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

    /// The line that a byte of the file is in, without its end.
    pub(crate) fn line(&self, byte: usize) -> Range<usize> {
        let byte = byte.saturating_sub(self.skipped).min(self.body.len());
        let line = self.lines.partition_point(|start| *start <= byte);
        let start = self.lines[line - 1];
        let length = self.body[start..].find(['\r', '\n']).unwrap_or(self.body.len() - start);
        self.skipped + start..self.skipped + start + length
    }

    /// The line above one that [`Text::line`] gave; a byte order mark is above nothing.
    pub(crate) fn line_above(&self, line: &Range<usize>) -> Option<Range<usize>> {
        (line.start > self.skipped).then(|| self.line(line.start - 1))
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

/// JSON writes characters beyond U+FFFF as two escapes, which YAML does not know. In a file that is JSON by its
/// first character each such pair is replaced by its character.
fn without_surrogates(body: &str) -> (Cow<'_, str>, Vec<(usize, usize)>) {
    let mut shifts = Vec::new();
    if !body.trim_start().starts_with('{') {
        return (Cow::Borrowed(body), shifts);
    }
    let mut replaced = String::new();
    let (mut rest, mut shift) = (body, 0);
    while let Some(backslash) = rest.find('\\') {
        let (before, escape) = rest.split_at(backslash);
        replaced.push_str(before);
        let length = match surrogate_pair(escape) {
            Some(c) => {
                replaced.push(c);
                shift += PAIR - c.len_utf8();
                shifts.push((replaced.len(), shift));
                PAIR
            }
            // A backslash and what it escapes, so that an escaped backslash begins no other escape.
            None => {
                let length = escape.chars().take(2).map(char::len_utf8).sum();
                replaced.push_str(&escape[..length]);
                length
            }
        };
        rest = &escape[length..];
    }
    if shifts.is_empty() {
        return (Cow::Borrowed(body), shifts);
    }
    replaced.push_str(rest);
    (Cow::Owned(replaced), shifts)
}

/// Bytes of two escapes, `\ud83d\ude00`.
const PAIR: usize = 12;

fn surrogate_pair(text: &str) -> Option<char> {
    let pair = text.get(..PAIR)?;
    let unit = |escape: &str| u16::from_str_radix(escape.strip_prefix("\\u")?, 16).ok();
    let units = [unit(pair.get(..6)?)?, unit(pair.get(6..)?)?];
    char::decode_utf16(units).next()?.ok().filter(|c| c.len_utf16() == 2)
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
