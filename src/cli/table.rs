//! Tables as kubectl prints them: cells padded to their column, three spaces between, nothing after the last.

use std::io::{self, Write};

/// kubectl's tab writer makes no column narrower, spaces included.
const NARROWEST: usize = 6;
const SPACES: usize = 3;

/// Widths of all columns but the last; they hold for rows printed later (`get -w`) unless those are wider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Widths(Vec<usize>);

impl Widths {
    pub(crate) fn fit<'a>(&mut self, rows: impl IntoIterator<Item = &'a Vec<String>>) {
        for row in rows {
            for (at, cell) in row.iter().enumerate() {
                let width = cell.chars().count() + SPACES;
                match self.0.get_mut(at) {
                    Some(known) => *known = width.max(*known),
                    None => self.0.push(width.max(NARROWEST)),
                }
            }
        }
    }
}

/// Prints rows that [`Widths::fit`] has seen.
pub(crate) fn print(out: &mut dyn Write, widths: &Widths, rows: &[Vec<String>]) -> io::Result<()> {
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            if at + 1 == row.len() {
                line.push_str(cell);
            } else {
                let width = widths.0.get(at).copied().unwrap_or(0);
                line.push_str(&format!("{cell:<width$}"));
            }
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Text of an object as a cell: one line that cannot command the terminal, as kubectl cuts and escapes it.
pub(crate) fn cell(text: &str) -> String {
    match text.find(['\n', '\r', '\x0c']) {
        Some(end) => format!("{}...", escaped(&text[..end])),
        None => escaped(text),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\x1b', "^[").replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(rows: &[&[&str]]) -> String {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        let mut widths = Widths::default();
        widths.fit(&rows);
        let mut out = Vec::new();
        print(&mut out, &widths, &rows).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_looks_as_kubectl_prints_it() {
        let table = printed(&[
            &["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
            &["web", "1/1", "Running", "0", "5s"],
            &["a-longer-name", "0/1", "CrashLoopBackOff", "3 (20s ago)", "4m12s"],
        ]);
        let expected = "\
NAME            READY   STATUS             RESTARTS      AGE
web             1/1     Running            0             5s
a-longer-name   0/1     CrashLoopBackOff   3 (20s ago)   4m12s
";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_cell_is_one_line_of_plain_text() {
        assert_eq!(cell("first\nsecond"), "first...");
        assert_eq!(cell("\x1b[2Jx\ty"), "^[[2Jx y");
    }

    #[test]
    fn narrow_columns_without_headers_keep_kubectls_least_width() {
        assert_eq!(printed(&[&["a", "1", "x"]]), "a     1     x\n");
    }
}
