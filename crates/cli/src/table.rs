//! Columns of text: left-aligned, four spaces apart, headings underlined.
//!
//! An empty cell shows as `n/a`. The last column is not padded, so no line ends in spaces.

/// Rows without headings.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let cells: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| {
            let trimmed = row.iter().map(|c| c.trim());
            trimmed.map(|c| if c.is_empty() { "n/a" } else { c }).collect()
        })
        .collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &cells {
        for (i, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(i) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let lines = cells.iter().map(|row| line(row, &widths));
    lines.collect::<Vec<_>>().join("\n")
}

fn line(row: &[&str], widths: &[usize]) -> String {
    let mut out = String::new();
    for (i, cell) in row.iter().enumerate() {
        if i + 1 == row.len() {
            out.push_str(cell);
        } else {
            out.push_str(&format!("{cell:<width$}    ", width = widths[i]));
        }
    }
    out
}

/// Rows under headings.
pub(crate) fn table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut all = vec![
        headings.iter().map(|h| (*h).to_owned()).collect(),
        headings.iter().map(|h| "-".repeat(h.len())).collect::<Vec<_>>(),
    ];
    all.extend(rows);
    columns(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_looks_like_vaults() {
        let rows = vec![vec!["a".to_owned(), "1".to_owned()], vec!["longer".into(), "".into()]];
        assert_eq!(
            table(&["Key", "Value"], rows),
            "Key       Value\n---       -----\na         1\nlonger    n/a"
        );
    }

    #[test]
    fn width_is_counted_in_characters() {
        let rows = vec![vec!["ääää".to_owned(), "∞".to_owned()]];
        assert_eq!(table(&["K", "V"], rows), "K       V\n-       -\nääää    ∞");
    }
}
