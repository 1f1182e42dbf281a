//! Text in columns.

/// Width of the terminal in characters, 100 where there is none.
pub(crate) fn terminal_width() -> usize {
    const WITHOUT_TERMINAL: usize = 100;
    const NARROWEST: usize = 20;
    let size = console::Term::stderr().size_checked();
    size.map_or(WITHOUT_TERMINAL, |(_, columns)| usize::from(columns)).max(NARROWEST)
}

/// Rows in left-aligned columns under a header, two spaces apart, without trailing spaces.
pub(crate) fn columns<const N: usize>(header: &[String; N], rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in std::iter::once(header).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    std::iter::once(header).chain(rows).map(line).collect()
}

/// Named values as pairs of lines, names over values, as many beside each other as fit into `width` characters.
/// `widths` remembers the widest value of each column, so that a table drawn again does not jump.
pub(super) fn grid(
    cells: &[(&'static str, String)],
    width: usize,
    widths: &mut Vec<(&'static str, usize)>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut names, mut values) = (String::new(), String::new());
    for (name, value) in cells {
        let cell_width = remember(widths, name, value.chars().count().max(name.chars().count()));
        let used = names.chars().count();
        if used > 0 && used + 2 + cell_width > width {
            lines.extend([std::mem::take(&mut names), std::mem::take(&mut values)]);
        }
        let gap = if names.is_empty() { "" } else { "  " };
        names.extend([gap, &format!("{name:>cell_width$}")]);
        values.extend([gap, &format!("{value:>cell_width$}")]);
    }
    lines.extend([names, values]);
    lines
}

/// The width of a column: the widest so far.
pub(super) fn remember(widths: &mut Vec<(&'static str, usize)>, name: &'static str, width: usize) -> usize {
    if let Some((_, widest)) = widths.iter_mut().find(|(known, _)| *known == name) {
        *widest = width.max(*widest);
        return *widest;
    }
    widths.push((name, width));
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |left: &str, right: &str| [left.to_owned(), right.to_owned()];
        let lines = columns(&row("name", "n"), &[row("a", "1"), row("longer", "22")]);
        assert_eq!(lines, ["name    n", "a       1", "longer  22"]);
    }

    #[test]
    fn narrow_terminals_get_more_lines_and_none_too_long() {
        let cells =
            [("steps", "1,024".to_owned()), ("return", "21.3".to_owned()), ("time", "0.05 s".to_owned())];
        let wide = grid(&cells, 80, &mut Vec::new());
        assert_eq!(wide, ["steps  return    time", "1,024    21.3  0.05 s"]);
        let narrow = grid(&cells, 14, &mut Vec::new());
        assert_eq!(narrow, ["steps  return", "1,024    21.3", "  time", "0.05 s"]);
    }

    #[test]
    fn columns_never_shrink() {
        let mut widths = Vec::new();
        grid(&[("steps", "1,000,000".to_owned())], 80, &mut widths);
        assert_eq!(grid(&[("steps", "1".to_owned())], 80, &mut widths), ["    steps", "        1"]);
    }
}
