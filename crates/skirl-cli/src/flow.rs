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
}
