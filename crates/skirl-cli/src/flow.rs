//! Pieces of text on as few lines as fit.

/// The pieces behind each other with `separator` between them; a piece that does not fit into `width` characters begins a
/// line of its own under the first one, `indent` characters in.
pub(crate) fn flow(pieces: &[String], separator: &str, indent: usize, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        let fits =
            |line: &String| line.chars().count() + separator.chars().count() + piece.chars().count() <= width;
        match lines.pop() {
            None => lines.push(piece.clone()),
            Some(line) if fits(&line) => lines.push(line + separator + piece),
            Some(line) => lines.extend([line, format!("{:indent$}{piece}", "")]),
        }
    }
    lines
}

/// A line broken at spaces so that it fits into `width` characters, what follows `indent` characters in. Words that are
/// longer stay whole.
pub(crate) fn wrap(line: &str, indent: usize, width: usize) -> Vec<String> {
    let chars = |text: &str| text.chars().count();
    let mut lines = Vec::new();
    let mut rest = line.to_owned();
    while chars(&rest) > width {
        let fits = |at: &usize| chars(rest[..*at].trim_end()) <= width && chars(&rest[..*at]) > indent;
        let spaces = || rest.match_indices(' ').map(|(at, _)| at);
        let words = |at: &usize| !rest[..*at].trim().is_empty() && chars(&rest[..*at]) > indent;
        let Some(at) = spaces().filter(fits).next_back().or_else(|| spaces().find(words)) else { break };
        lines.push(rest[..at].trim_end().to_owned());
        rest = format!("{:indent$}{}", "", rest[at..].trim_start());
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_share_a_line_while_they_fit() {
        let pieces = ["one: a", "bb", "ccc"].map(str::to_owned);
        assert_eq!(flow(&pieces, ", ", 5, 20), ["one: a, bb, ccc"]);
        assert_eq!(flow(&pieces, ", ", 5, 10), ["one: a, bb", "     ccc"]);
        assert_eq!(flow(&pieces, ", ", 5, 3), ["one: a", "     bb", "     ccc"]);
    }

    #[test]
    fn long_lines_are_broken_under_their_second_column() {
        let line = "batch    8 environments × 64 steps = 512 rows";
        assert_eq!(wrap(line, 9, 80), [line]);
        assert_eq!(
            wrap(line, 9, 26),
            ["batch    8 environments ×", "         64 steps = 512", "         rows"]
        );
        let path = format!("  help  {}", "x".repeat(40));
        assert_eq!(wrap(&path, 8, 20), [path.clone()]);
        for width in 1..60 {
            let words: Vec<String> = wrap(line, 9, width);
            assert_eq!(words.join(" ").split_whitespace().collect::<String>(), line.replace(' ', ""));
        }
    }
}
