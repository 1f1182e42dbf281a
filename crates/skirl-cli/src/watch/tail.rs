//! First and last result of a run's `result.jsonl`, which may be growing, torn, cut back or replaced meanwhile.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use skirl::report::TrainResult;

/// Bytes of the end that are read first: dozens of results.
const WINDOW: u64 = 1 << 16;

/// What a file of results says at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// The first result: what progress is measured against.
    pub(crate) first: TrainResult,
    /// The last whole one.
    pub(crate) last: TrainResult,
    /// When the file was last written.
    pub(crate) written: SystemTime,
}

/// Reads both ends; `None` without a whole result. Every call starts anew, so that a file that was cut back or replaced
/// by a resumed run is seen as it is now.
pub(crate) fn read(path: &Path) -> Option<Ends> {
    let mut file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    let first = first_line(&file)?;
    let last = last_line(&mut file, metadata.len())?;
    Some(Ends { first, last, written: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH) })
}

fn first_line(file: &File) -> Option<TrainResult> {
    let mut line = Vec::new();
    BufReader::new(file).read_until(b'\n', &mut line).ok()?;
    parse(line.strip_suffix(b"\n")?)
}

/// The last line that is whole, looked for in a window that grows until it holds one.
fn last_line(file: &mut File, len: u64) -> Option<TrainResult> {
    let mut window = WINDOW;
    loop {
        let start = len.saturating_sub(window);
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut bytes = Vec::new();
        file.take(len - start).read_to_end(&mut bytes).ok()?;
        if let Some(result) = last_in(&bytes) {
            return Some(result);
        }
        if start == 0 {
            return None;
        }
        window *= 8;
    }
}

/// The last whole line that is a result. What follows the last line break is still being written; the head of the window
/// may be the tail of a line, which is no JSON map.
fn last_in(bytes: &[u8]) -> Option<TrainResult> {
    let whole = &bytes[..bytes.iter().rposition(|&byte| byte == b'\n')?];
    whole.rsplit(|&byte| byte == b'\n').find_map(parse)
}

fn parse(line: &[u8]) -> Option<TrainResult> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    value.is_object().then(|| TrainResult::from_value(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Iterations of the first and the last result of a file with this text.
    fn ends(text: &[u8]) -> Option<(u64, u64)> {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("result.jsonl");
        std::fs::write(&path, text).expect("written");
        let ends = read(&path)?;
        let iteration = |result: &TrainResult| result.get_count("training_iteration");
        Some((iteration(&ends.first)?, iteration(&ends.last)?))
    }

    #[test]
    fn a_torn_last_line_is_left_for_later() {
        assert_eq!(ends(b""), None);
        assert_eq!(ends(b"{\"training_iteration\":1"), None);
        let two = b"{\"training_iteration\":1}\n{\"training_iteration\":2}\n".to_vec();
        assert_eq!(ends(&two), Some((1, 2)));
        for torn in [&b"{\"training_iteration\":3}"[..], b"{\"trai", b"\0\0\0", b"\xff\xfe\n"] {
            assert_eq!(ends(&[&two, torn].concat()), Some((1, 2)), "{torn:?}");
        }
    }

    #[test]
    fn lines_longer_than_the_window_are_found() {
        let line = |iteration: u64, len: u64| {
            format!(
                "{{\"training_iteration\":{iteration},\"info\":\"{}\"}}\n",
                "x".repeat(usize::try_from(len).expect("size"))
            )
        };
        let text = line(1, 10) + &line(2, 3 * WINDOW) + &line(3, 20 * WINDOW);
        assert_eq!(ends(text.as_bytes()), Some((1, 3)));
        assert_eq!(ends(&[text.as_bytes(), &b"y".repeat(70_000)].concat()), Some((1, 3)));
    }
}
