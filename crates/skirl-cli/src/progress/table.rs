//! Text in columns.

use console::style;

use super::row::{Cell, is_about_learning};

/// Spaces between two columns.
const GAP: usize = 2;

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

/// How far something is: a bar with the share in per cent, `width` characters long.
pub(super) fn bar(fraction: f64, width: usize) -> String {
    const PERCENT: usize = 5;
    let cells = width.saturating_sub(PERCENT);
    let done = (fraction * cells as f64) as usize;
    // Green is readable on a dark and on a light background; where there are no colours, the characters differ.
    let (left, right) = (style("█".repeat(done)).green().for_stderr(), "░".repeat(cells - done));
    format!("{left}{right} {:>3}%", (fraction * 100.0) as usize)
}

/// One line for each row of named values, under a header; the first two columns are text, the others numbers. Columns that
/// do not fit into `width` characters are left out, the last one first; then the first one is cut.
pub(crate) fn overview(rows: &[Vec<Cell>], names: &[&'static str], width: usize) -> Vec<String> {
    const SHORTEST_NAME: usize = 12;
    let value = |row: &[Cell], name: &str| {
        row.iter().find(|(known, _)| *known == name).map_or(String::new(), |(_, value)| value.clone())
    };
    let mut columns: Vec<Vec<String>> = Vec::new();
    for name in names {
        let column: Vec<String> = rows.iter().map(|row| value(row, name)).collect();
        if column.iter().any(|cell| !cell.is_empty()) {
            columns.push(std::iter::once((*name).to_owned()).chain(column).collect());
        }
    }
    let widest = |column: &Vec<String>| column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    let mut widths: Vec<usize> = columns.iter().map(widest).collect();
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    // The name is cut before a column goes, as long as enough of it stays.
    while widths.len() > 2 && total(&widths) > width + widths[0].saturating_sub(SHORTEST_NAME) {
        widths.pop();
    }
    let excess = total(&widths).saturating_sub(width);
    if let Some(first) = widths.first_mut() {
        *first = first.saturating_sub(excess);
    }
    let line = |at: usize| {
        let cells = widths.iter().zip(&columns).enumerate().map(|(index, (&width, column))| match index {
            0 => format!("{:width$}", cut(&column[at], width)),
            1 => format!("{:width$}", column[at]),
            _ => format!("{:>width$}", column[at]),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    (0..=rows.len()).map(line).collect()
}

/// The end of a text that is too long: names of runs begin alike.
fn cut(text: &str, width: usize) -> String {
    let len = text.chars().count();
    if len <= width {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(len + 1 - width)).collect()
}

/// Named values as pairs of lines, names over values. What does not fit into `width` characters goes on below: first what
/// is about learning, then whatever is left. `widths` remembers the widest value of each column, so that a table drawn
/// again does not jump.
pub(super) fn grid(cells: &[Cell], width: usize, widths: &mut Vec<(&'static str, usize)>) -> Vec<String> {
    let mut sizes = Vec::new();
    for (name, value) in cells {
        sizes.push(remember(widths, name, value.chars().count().max(name.chars().count())));
    }
    let fits = sizes.iter().map(|size| size + GAP).sum::<usize>() <= width + GAP;
    let learning = cells.iter().position(is_about_learning).filter(|_| !fits).unwrap_or(cells.len());
    let (progress, rest) = cells.split_at(learning);
    let mut lines = rows(progress, &sizes, width);
    lines.extend(rows(rest, &sizes[learning..], width));
    lines
}

/// As many cells beside each other as fit.
fn rows(cells: &[Cell], sizes: &[usize], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut names, mut values) = (String::new(), String::new());
    for ((name, value), &size) in cells.iter().zip(sizes) {
        let used = names.chars().count();
        if used > 0 && used + GAP + size > width {
            lines.extend([std::mem::take(&mut names), std::mem::take(&mut values)]);
        }
        let gap = if names.is_empty() { 0 } else { GAP };
        let size = gap + size;
        names = format!("{names}{name:>size$}");
        values = format!("{values}{value:>size$}");
    }
    if !names.is_empty() {
        lines.extend([names, values]);
    }
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
        let losses =
            [("steps", "1,024".to_owned()), ("time", "0.05 s".to_owned()), ("entropy", "0.6".to_owned())];
        assert_eq!(
            grid(&losses, 20, &mut Vec::new()),
            ["steps    time", "1,024  0.05 s", "entropy", "    0.6"]
        );
        let narrow = grid(&cells, 14, &mut Vec::new());
        assert_eq!(narrow, ["steps  return", "1,024    21.3", "  time", "0.05 s"]);
    }

    #[test]
    fn an_overview_fits_whatever_the_width() {
        let row = |name: &str, steps: &str| -> Vec<Cell> {
            vec![("run", name.to_owned()), ("state", "running".to_owned()), ("steps", steps.to_owned())]
        };
        let rows = [row("PPO_CartPole_1", "1,024"), row("PPO_CartPole_22", "9")];
        let names = ["run", "state", "steps", "absent"];
        let wide = overview(&rows, &names, 80);
        assert_eq!(wide[0], "run              state    steps");
        assert_eq!(wide[2], "PPO_CartPole_22  running      9");
        assert_eq!(overview(&rows, &names, 28)[2], "…CartPole_22  running      9");
        for width in 12..40 {
            let lines = overview(&rows, &names, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:?}");
        }
    }

    #[test]
    fn a_bar_is_as_long_as_asked_for() {
        for percent in 0..=100 {
            let bar = bar(f64::from(percent) / 100.0, 30);
            assert_eq!(console::measure_text_width(&bar), 30, "{bar}");
        }
        assert!(bar(1.0, 8).ends_with("███ 100%"), "{}", bar(1.0, 8));
    }

    #[test]
    fn columns_never_shrink() {
        let mut widths = Vec::new();
        grid(&[("steps", "1,000,000".to_owned())], 80, &mut widths);
        assert_eq!(grid(&[("steps", "1".to_owned())], 80, &mut widths), ["    steps", "        1"]);
    }
}
