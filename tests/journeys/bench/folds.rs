//! Status files fold long texts, as kubectl does: for who looks for words in them, each text is one line again.

/// A line that is no entry of its own goes on with the text before it.
pub(crate) fn unfolded(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match lines.last_mut() {
            Some(last) if !is_entry(line) || is_open(last) => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            Some(_) | None => lines.push(line.to_owned()),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// `name: value`, `name:` or an item of a list.
fn is_entry(line: &str) -> bool {
    let line = line.trim_start();
    let is_name = |name: &str| !name.is_empty() && !name.contains([' ', '\'']);
    line.starts_with("- ")
        || line.split_once(": ").map_or(line.strip_suffix(':'), |(name, _)| Some(name)).is_some_and(is_name)
}

/// A quote has begun and not ended.
fn is_open(line: &str) -> bool {
    let value = line.split_once(": ").map_or(line, |(_, value)| value);
    let odd = |quote: char| value.starts_with(quote) && value.matches(quote).count() % 2 == 1;
    odd('\'') || odd('"')
}

#[test]
fn folded_texts_are_lines_again() {
    let folded = "a: 'x: y\n  z: it''s\n  end'\nb:\n- c: plain\n    words\n  d: 1\n";
    assert_eq!(unfolded(folded), "a: 'x: y z: it''s end'\nb:\n- c: plain words\n  d: 1\n");
}
