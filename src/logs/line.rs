//! One line of a log file, <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>:
//! `2026-11-22T05:00:00.123456789Z stdout F text`; `P` marks a piece of a line that goes on in the next.

use crate::model::time::Timestamp;

use super::write::Stream;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Full,
    Partial,
}

/// A line as the file holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawLine<'a> {
    pub(crate) time: Timestamp,
    pub(crate) stream: Stream,
    pub(crate) extent: Extent,
    pub(crate) text: &'a [u8],
}

/// `line` without its newline. `None` for what no writer of ours wrote, such as the torn end of a file after a
/// power cut.
pub(crate) fn parse(line: &[u8]) -> Option<RawLine<'_>> {
    let (time, rest) = word(line)?;
    let (stream, rest) = word(rest)?;
    let (tags, text) = word(rest)?;
    let time = std::str::from_utf8(time).ok()?.parse().ok()?;
    let stream = match stream {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    // Tags are parted by colons; the first says whether the line is whole.
    let extent = match tags.split(|byte| *byte == b':').next()? {
        b"F" => Extent::Full,
        b"P" => Extent::Partial,
        _ => return None,
    };
    Some(RawLine { time, stream, extent, text })
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_its_text_is() {
        let line = parse(b"2026-11-22T05:00:00.123456789Z stderr F  two  spaces \xff").unwrap();
        assert_eq!(line.time.to_string(), "2026-11-22T05:00:00.123456789Z");
        assert_eq!((line.stream, line.extent), (Stream::Stderr, Extent::Full));
        assert_eq!(line.text, b" two  spaces \xff");
        assert_eq!(parse(b"2026-11-22T05:00:00Z stdout F ").unwrap().text, b"");
        assert_eq!(parse(b"2026-11-22T05:00:00Z stdout P:x y").unwrap().extent, Extent::Partial);
    }

    #[test]
    fn a_torn_line_is_no_line() {
        for line in [
            &b""[..],
            b"2026-11-22T05:00",
            b"2026-11-22T05:00:00Z stdout",
            b"2026-11-22T05:00:00Z stdout F",
            b"2026-11-22T05:00:00Z stdlog F x",
            b"yesterday stdout F x",
            b"\0\0\0\0",
        ] {
            assert_eq!(parse(line), None, "{}", String::from_utf8_lossy(line));
        }
    }
}
