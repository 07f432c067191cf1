//! Text with tabs → text in columns: a column lasts as long as consecutive lines have a cell in it, so that each
//! block of a description is as narrow as it can be (elastic tab stops, as Go's text/tabwriter sets them).

const PADDING: usize = 2;

/// Aligns all lines of `text`. What stands behind a line's last tab is in no column.
pub(crate) fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths = vec![Vec::new(); lines.len()];
    set(&lines, 0..lines.len(), &mut widths);
    let mut aligned = String::with_capacity(text.len() * 2);
    for (cells, widths) in lines.iter().zip(&widths) {
        for (at, cell) in cells.iter().enumerate() {
            aligned.push_str(cell);
            let width = widths.get(at).copied().unwrap_or(0);
            let padding = width.saturating_sub(cell.chars().count());
            aligned.extend(std::iter::repeat_n(' ', padding));
        }
        aligned.push('\n');
    }
    aligned
}

/// Sets the next column of each block of lines that have one more, then those within it.
fn set(lines: &[Vec<&str>], range: std::ops::Range<usize>, widths: &mut [Vec<usize>]) {
    let column = widths.get(range.start).map_or(0, Vec::len);
    let has = |at: usize| lines[at].len() > column + 1;
    let mut at = range.start;
    while at < range.end {
        if !has(at) {
            at += 1;
            continue;
        }
        let end = (at..range.end).find(|next| !has(*next)).unwrap_or(range.end);
        let widest = lines[at..end].iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
        widths[at..end].iter_mut().for_each(|widths| widths.push(widest + PADDING));
        set(lines, at..end, widths);
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_lasts_while_lines_have_a_cell_in_it() {
        let text = "Name:\tweb\nA longer name:\tx\nnothing\nIP:\t10.0.0.2\n  Type\tReason\tAge\n  ----\t------\t---\n";
        let expected = "\
Name:           web
A longer name:  x
nothing
IP:     10.0.0.2
  Type  Reason  Age
  ----  ------  ---
";
        assert_eq!(align(text), expected);
    }

    #[test]
    fn an_empty_cell_keeps_its_column() {
        assert_eq!(align("Labels:\ta=b\n\tc=d\n"), "Labels:  a=b\n         c=d\n");
        assert_eq!(align("Medium:\t\n"), "Medium:  \n");
    }
}
