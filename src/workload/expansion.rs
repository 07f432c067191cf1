//! `$(VAR)` as Kubernetes expands it: `$$` is a dollar sign, what is not closed or not known stays as written.

/// Expands `text`; `lookup` knows the variables.
pub(super) fn expand<'a>(text: &str, mut lookup: impl FnMut(&str) -> Option<&'a str>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = after;
        if let Some(escaped) = after.strip_prefix('$') {
            expanded.push('$');
            rest = escaped;
        } else if let Some((name, beyond)) = after.strip_prefix('(').and_then(|open| open.split_once(')')) {
            match lookup(name) {
                Some(value) => expanded.push_str(value),
                None => expanded.extend(["$(", name, ")"]),
            }
            rest = beyond;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn variables_are_expanded_as_kubernetes_expands_them() {
        let cases = [
            ("plain", "plain"),
            ("$(A)", "a"),
            ("-$(A)-$(B)-", "-a-$(A)-"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$a"),
            ("$$$$(A)", "$$(A)"),
            ("$(NONE)", "$(NONE)"),
            ("$(A", "$(A"),
            ("$A ${A}", "$A ${A}"),
            ("$($(A))", "$($(A))"),
            ("5$", "5$"),
            ("$", "$"),
            ("$é$(A)", "$éa"),
            ("$()", "$()"),
        ];
        for (text, expected) in cases {
            let lookup = |name: &str| match name {
                "A" => Some("a"),
                "B" => Some("$(A)"),
                _ => None,
            };
            assert_eq!(expand(text, lookup), expected, "{text}");
        }
    }
}
