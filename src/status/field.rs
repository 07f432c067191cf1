//! A field's path without what may be a piece of the file's text: anything may stand where a key is expected.

/// The longest name of a field and most labels' keys are shorter.
const LONGEST: usize = 63;

/// `spec.containers[0].image` as it is; a key that does not look like one is a question mark.
pub(super) fn public(path: &str) -> String {
    let mut shown = String::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        match first {
            '[' => {
                let inner = &rest[1..];
                let end = inner.find(']').unwrap_or(inner.len());
                shown.push_str(&format!("[{}]", name(&inner[..end])));
                rest = inner.get(end + 1..).unwrap_or_default();
            }
            '.' => {
                shown.push('.');
                rest = &rest[1..];
            }
            _ => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                shown.push_str(name(&rest[..end]));
                rest = &rest[end..];
            }
        }
    }
    shown
}

fn name(part: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-');
    if part.len() <= LONGEST && part.chars().all(plain) { part } else { "?" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_no_name_is_not_shown() {
        for (path, shown) in [
            ("", ""),
            ("spec.containers[0].image", "spec.containers[0].image"),
            ("metadata.labels[app.kubernetes.io/name]", "metadata.labels[app.kubernetes.io/name]"),
            ("[AKIA hunter2!]", "[?]"),
            ("spec[a: b].c", "spec[?].c"),
            ("[a]b c].d", "[a]?.d"),
            ("[unclosed", "[unclosed]"),
            ("größe.x", "?.x"),
        ] {
            assert_eq!(public(path), shown, "{path}");
        }
        assert_eq!(public(&"k".repeat(64)), "?");
    }
}
