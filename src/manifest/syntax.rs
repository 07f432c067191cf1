//! The YAML parser's complaints in words for a person. Nothing of the file's text is repeated.

use std::ops::Range;

use super::fault::Fault;
use super::text::Text;

/// `bracket` is the start of the innermost `[` or `{` that is still open.
pub(crate) fn fault(path: String, info: &str, span: Range<usize>, bracket: Option<usize>) -> Fault {
    let words = words(if bracket.is_some() && info == "invalid indentation" { IN_BRACKETS } else { info });
    let mut fault = Fault::new(path, span, words.message, words.label);
    if let Some(bracket) = bracket {
        fault = fault.label(bracket..bracket + 1, "this bracket is still open");
    }
    match words.help {
        "" => fault,
        help => fault.help(help),
    }
}

/// A `{{ … }}` that begins in the line of `byte` and not after it.
pub(crate) fn template(text: &Text<'_>, byte: usize) -> Option<Range<usize>> {
    let line = text.line(byte);
    let start = line.start + text.slice(line.start..line.end).find("{{")?;
    let length = text.slice(start..line.end).find("}}").map_or(line.end - start, |end| end + 2);
    (start <= byte).then_some(start..start + length)
}

pub(crate) fn not_filled_in(path: String, span: Range<usize>) -> Fault {
    let message = "a template stands here that was not filled in";
    let help = "give droppod the manifest that comes out of it, of `helm template`, for example; text with braces \
                goes in quotes";
    Fault::new(path, span, message, "a template").help(help)
}

/// The parser sees a `:` too many. Either the value before it should have been in quotes, or the line's field
/// stands in a column where none can begin; said which, and where.
pub(crate) fn colon(text: &Text<'_>, byte: usize, info: &str) -> Option<(Range<usize>, &'static str)> {
    if !info.contains("mapping values are not allowed") {
        return None;
    }
    let line = text.line(byte);
    let before = text.slice(line.start..byte);
    let field = before.trim_start_matches([' ', '-']);
    let start = byte - field.len();
    if let Some(dash) = dash_without_blank(text, &line) {
        return Some((dash, DASH_WITHOUT_BLANK));
    }
    match field.find(": ") {
        Some(at) => Some((start + at + 2..byte + 1, COLON_IN_VALUE)),
        None => Some((start..byte + 1, FIELD_TOO_DEEP)),
    }
}

/// A `-` at the beginning of the line above, written as part of the word after it.
fn dash_without_blank(text: &Text<'_>, line: &Range<usize>) -> Option<Range<usize>> {
    let above = text.line_above(line)?;
    let word = text.slice(above.clone());
    let start = above.start + word.len() - word.trim_start().len();
    let glued =
        text.slice(start..above.end).strip_prefix('-')?.starts_with(|c: char| c.is_ascii_alphabetic());
    glued.then_some(start..start + 2)
}

/// What version control or a web page left in the file, at `byte` or in a line before it.
pub(crate) fn foreign(text: &Text<'_>, byte: usize) -> Option<(Range<usize>, &'static str)> {
    let mut line = text.line(byte);
    loop {
        let words = text.slice(line.clone());
        if words.starts_with("<<<<<<< ") || words.starts_with(">>>>>>> ") || words == "=======" {
            return Some((line, MERGE_CONFLICT));
        }
        if words.starts_with("```") {
            return Some((line, FENCE));
        }
        line = text.line_above(&line)?;
        if byte - line.start > LOOKED_BACK {
            return None;
        }
    }
}

/// Bytes before a mistake that are searched for its cause.
const LOOKED_BACK: usize = 10_000;

/// The parser names the value before a tab; the tab is what is wrong.
pub(crate) fn tab(text: &Text<'_>, byte: usize, info: &str) -> Option<(Range<usize>, &'static str)> {
    let mut line = text.line(byte);
    if let Some(at) = [byte, byte.saturating_sub(1)].into_iter().find(|at| text.slice(*at..*at + 1) == "\t") {
        return Some((at..at, "tab"));
    }
    if !info.contains("tab") {
        return None;
    }
    for _ in 0..2 {
        let words = text.slice(line.clone());
        let blank = &words[..words.len() - words.trim_start().len()];
        if let Some(at) = blank.find('\t') {
            return Some((line.start + at..line.start + at, "tab"));
        }
        line = text.line(line.end + 1);
    }
    None
}

/// More stands after a JSON document, which knows no line between two of them.
pub(crate) fn after_json(text: &Text<'_>, byte: usize, info: &str) -> Option<(Range<usize>, &'static str)> {
    let begins = text.slice(0..byte).trim_start().starts_with(['{', '[']);
    (begins && info.contains("<document start>")).then(|| (byte..text.end_of_char(byte), AFTER_JSON))
}

const AFTER_JSON: &str = "after JSON";
const MERGE_CONFLICT: &str = "merge conflict";
const FENCE: &str = "fence";
const DASH_WITHOUT_BLANK: &str = "dash without blank";
const COLON_IN_VALUE: &str = "colon in value";
const FIELD_TOO_DEEP: &str = "field too deep";

struct Words {
    message: &'static str,
    label: &'static str,
    help: &'static str,
}

/// By what the parser's message contains, the first that fits.
const WORDS: &[(&str, Words)] = &[
    (
        "tab",
        Words { message: "a tab stands where YAML wants spaces", label: "a tab", help: "indent with spaces" },
    ),
    (
        "indentation in quoted scalar",
        Words {
            message: "a quoted string is never closed, or goes on in a line that is not indented",
            label: "opened here",
            help: "close the quote at the end of the value",
        },
    ),
    (
        "indentation in flow construct",
        Words {
            message: "a bracket is not closed, or what it holds is not indented",
            label: "not inside of the brackets",
            help: "",
        },
    ),
    (
        "quoted scalar, found unexpected end",
        Words {
            message: "a quoted string is never closed",
            label: "opened here",
            help: "close the quote at the end of the value",
        },
    ),
    (
        "escape",
        Words {
            message: "a double-quoted string has an escape that YAML does not know",
            label: "this string",
            help: "write `\\\\` for a backslash, or put the string in single quotes",
        },
    ),
    (
        "trailing content after double-quoted",
        Words {
            message: "text follows a closed quote",
            label: "not part of the string",
            help: "put the whole value in one pair of quotes; in single quotes, write `'` as `''`",
        },
    ),
    (
        MERGE_CONFLICT,
        Words {
            message: "a merge conflict was left in the file",
            label: "its marker",
            help: "keep one of the two sides and remove the lines of the markers",
        },
    ),
    (
        FENCE,
        Words {
            message: "a line of Markdown was copied into the file",
            label: "not YAML",
            help: "remove the lines that begin with three backticks",
        },
    ),
    (
        DASH_WITHOUT_BLANK,
        Words {
            message: "a `-` with no blank after it begins no item of a list",
            label: "write `- ` here",
            help: "put a blank after the `-`",
        },
    ),
    (
        COLON_IN_VALUE,
        Words {
            message: "a value without quotes has a `: ` in it",
            label: "part of one value?",
            help: "put the whole value in quotes",
        },
    ),
    (
        FIELD_TOO_DEEP,
        Words {
            message: "no field can begin here: the line is indented deeper than the one it belongs to",
            label: "too far to the right",
            help: "align it with the fields around it; if it belongs to the line above, end that one with `:`",
        },
    ),
    (
        "unknown anchor",
        Words {
            message: "the alias names nothing that was written before it in this document",
            label: "no such anchor",
            help: "",
        },
    ),
    (
        "',' or",
        Words {
            message: "a comma or the closing bracket is missing",
            label: "expected it before this",
            help: "",
        },
    ),
    ("recursion limit", Words { message: "the brackets are nested too deeply", label: "this one", help: "" }),
    (
        "misplaced bracket",
        Words { message: "a bracket is closed that was not opened", label: "this one", help: "" },
    ),
    (
        "unprintable",
        Words {
            message: "the file has a control character in it",
            label: "here",
            help: "write it as an escape in a double-quoted string, such as \"\\u0007\"",
        },
    ),
    (
        "unexpected character",
        Words {
            message: "a plain value cannot begin with this character",
            label: "this character",
            help: "put the value in quotes",
        },
    ),
    (
        AFTER_JSON,
        Words {
            message: "something follows the end of the document",
            label: "not part of it",
            help: "remove it; several objects go into the `items` of one `kind: List`",
        },
    ),
    (
        "<document start>",
        Words {
            message: "something follows the end of the document",
            label: "not part of it",
            help: "put `---` on a line of its own between documents",
        },
    ),
    (
        "did not find expected '-'",
        Words {
            message: "a list goes on with something that is no item",
            label: "expected `- `",
            help: "begin each item with `- `, all in the same column",
        },
    ),
    (
        "simple key",
        Words { message: "a field's name is not followed by `:`", label: "expected `:` after it", help: "" },
    ),
    (
        "expected key",
        Words {
            message: "the indentation fits no line above",
            label: "no field can begin here",
            help: "align this line with the fields it belongs to",
        },
    ),
    (
        "indent",
        Words {
            message: "the indentation fits no line above",
            label: "here",
            help: "align this line with the fields it belongs to",
        },
    ),
];

/// The parser's words for lines in brackets that are not indented; at times it leaves out the second half.
const IN_BRACKETS: &str = "invalid indentation in flow construct";

const OTHERWISE: Words =
    Words { message: "this is not YAML", label: "could not be read from here on", help: "" };

fn words(info: &str) -> &'static Words {
    WORDS.iter().find(|(part, _)| info.contains(part)).map_or(&OTHERWISE, |(_, words)| words)
}
