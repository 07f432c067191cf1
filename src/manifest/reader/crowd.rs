//! Brackets with too much in them, found before the parser meets them. Where a mapping's key could stand it keeps all
//! of a bracket's tokens until the bracket closes, each many times as large as its text.

/// The byte at which brackets hold more than `limit` entries. What is no YAML is left to the parser.
pub(super) fn find(text: &str, limit: usize) -> Option<usize> {
    // Lines that are deeper than this belong to a block of text.
    let mut block: Option<usize> = None;
    let mut at = 0;
    while at < text.len() {
        let line = text[at..].split_inclusive('\n').next().unwrap_or_default();
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        let bare = rest.trim_end();
        if bare.is_empty() || block.is_some_and(|parent| indent > parent) {
            at += line.len();
            continue;
        }
        let node = without_indicators(rest);
        if node.starts_with(['[', '{']) {
            block = None;
            at += line.len() - node.len();
            match brackets(&text[at..], limit) {
                Brackets::Crowded(after) => return Some(at + after),
                Brackets::Closed(after) => at += after,
            }
            // What follows in the same line is no place for a key.
            at += text[at..].find('\n').map_or(text.len() - at, |end| end + 1);
            continue;
        }
        block = begins_block(bare).then_some(indent);
        at += line.len();
    }
    None
}

/// What stands after `- `, `? `, `--- `, anchors and tags.
fn without_indicators(mut rest: &str) -> &str {
    loop {
        let end = rest.find([' ', '\n', '\r']).unwrap_or(rest.len());
        let word = &rest[..end];
        if !(matches!(word, "-" | "?" | "---") || word.starts_with(['&', '!'])) {
            return rest;
        }
        rest = rest[end..].trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return rest;
        }
    }
}

/// Whether a line ends in `|` or `>`, with or without what says how to fold.
fn begins_block(line: &str) -> bool {
    if line.starts_with('#') {
        return false;
    }
    let line = line.split(" #").next().unwrap_or(line).trim_end();
    let head = line.rsplit([' ', '\t']).next().unwrap_or(line);
    let fold = head.strip_prefix(['|', '>']);
    fold.is_some_and(|fold| fold.bytes().all(|byte| matches!(byte, b'+' | b'-' | b'0'..=b'9')))
}

enum Brackets {
    /// The byte after them, or the end of the text.
    Closed(usize),
    Crowded(usize),
}

/// `text` begins with a bracket.
fn brackets(text: &str, limit: usize) -> Brackets {
    let bytes = text.as_bytes();
    let (mut depth, mut entries, mut at) = (0_usize, 0, 0);
    // A quote begins a text only where a value can begin.
    let mut fresh = true;
    while at < bytes.len() {
        match bytes[at] {
            b'[' | b'{' => {
                depth += 1;
                entries += 1;
                fresh = true;
            }
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Brackets::Closed(at + 1);
                }
                fresh = false;
            }
            b',' => {
                entries += 1;
                fresh = true;
            }
            b':' => fresh = true,
            quote @ (b'"' | b'\'') if fresh => {
                at = after_quote(bytes, at, quote);
                fresh = false;
                continue;
            }
            b'#' if at > 0 && bytes[at - 1].is_ascii_whitespace() => {
                at += text[at..].find('\n').unwrap_or(text.len() - at);
                continue;
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => fresh = false,
        }
        if entries > limit {
            return Brackets::Crowded(at);
        }
        at += 1;
    }
    Brackets::Closed(text.len())
}

/// The byte after the quote that ends the text, or the end of all.
fn after_quote(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 1,
            byte if byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowded_brackets_are_found_where_the_parser_would_keep_them() {
        let crowd = "1,".repeat(20);
        for text in [
            format!("[{crowd}"),
            format!("a: b\n- [{crowd}]\n"),
            format!("a:\n  - &x !!seq [{crowd}]\n"),
            format!("--- {{\"a\": [{crowd}]}}\n"),
            format!("a: |\n  text\n[{crowd}]\n"),
            format!("# no block: |\n  [{crowd}]\n"),
            format!("{{\"a,,,\": 'b,,', c: [{crowd}]}}\n"),
        ] {
            assert!(find(&text, 10).is_some(), "{text}");
            assert_eq!(find(&text, 100), None, "{text}");
        }
        for text in [
            format!("a: |\n  [{crowd}]\n  more\n"),
            format!("a: >-\n\n    {{{crowd}\n"),
            format!("a: {crowd}\n"),
            format!("[\"{crowd}\", '{crowd}', it's {{}}]\n"),
            "[] ]]]\n]".to_owned(),
            "- # [1,2\n- [\n".to_owned(),
        ] {
            assert_eq!(find(&text, 10), None, "{text}");
        }
    }
}
