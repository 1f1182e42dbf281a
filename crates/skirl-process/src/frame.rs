//! Frames on the socket between the two processes: a number, a header of JSON, and bytes.
//!
//! A reply carries the number of its request. A reply to an earlier request (one that was given up) is passed over, so it
//! can never be taken for the answer to a new one.

use std::io::{self, ErrorKind, Read, Write};

const MAGIC: u32 = 0x31_6b_73_72;
const START: usize = 24;
/// Longest header and longest bytes beside it: enough for anything sound, and a bound on what a broken peer can ask for.
const MAX_HEADER: u32 = 1 << 28;
const MAX_BYTES: u64 = 1 << 36;
/// Memory for announced bytes grows with what has really come.
const PIECE: usize = 1 << 20;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Number of the request that this is or answers.
    pub number: u64,
    /// JSON.
    pub header: Vec<u8>,
    /// Whatever the header says.
    pub bytes: Vec<u8>,
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other end is closed.
    #[error("the connection was closed")]
    Closed,
    /// What came is no frame.
    #[error("not a message of skirl: {0}")]
    Malformed(String),
    /// The system's.
    #[error(transparent)]
    Io(io::Error),
    /// The caller had enough of waiting.
    #[error("gave up waiting")]
    GaveUp,
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// Writes a frame.
///
/// # Errors
/// The system's; a closed connection.
pub fn send(stream: &mut impl Write, number: u64, header: &[u8], bytes: &[u8]) -> Result<(), FrameError> {
    let mut start = [0; START];
    start[..4].copy_from_slice(&MAGIC.to_le_bytes());
    start[4..8].copy_from_slice(&(header.len() as u32).to_le_bytes());
    start[8..16].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    start[16..].copy_from_slice(&number.to_le_bytes());
    let mut message = start.to_vec();
    message.extend_from_slice(header);
    stream.write_all(&message)?;
    stream.write_all(bytes)?;
    Ok(stream.flush()?)
}

/// Reads the next frame. `goes_on` is asked whenever the stream's read timeout has passed.
///
/// # Errors
/// A closed connection, bytes that are no frame, or [`FrameError::GaveUp`] when `goes_on` says no.
pub fn receive(stream: &mut impl Read, goes_on: &mut dyn FnMut() -> bool) -> Result<Frame, FrameError> {
    let start = read(stream, START, goes_on)?;
    let word = |range: std::ops::Range<usize>| {
        start[range].iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte))
    };
    let (magic, header, bytes, number) = (word(0..4), word(4..8), word(8..16), word(16..24));
    if magic != u64::from(MAGIC) {
        return Err(FrameError::Malformed(format!("it starts with {magic:#010x}")));
    }
    if header > u64::from(MAX_HEADER) || bytes > MAX_BYTES {
        return Err(FrameError::Malformed(format!("it announces {header} + {bytes} bytes")));
    }
    let header = read(stream, header as usize, goes_on)?;
    let bytes = read(stream, bytes as usize, goes_on)?;
    Ok(Frame { number, header, bytes })
}

/// Reads the reply to request `number`; late replies to earlier ones are passed over.
///
/// # Errors
/// As [`receive`]; a reply to a request that was not made yet.
pub fn receive_reply(
    stream: &mut impl Read,
    number: u64,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Frame, FrameError> {
    loop {
        let frame = receive(stream, goes_on)?;
        if frame.number == number {
            return Ok(frame);
        }
        if frame.number > number {
            return Err(FrameError::Malformed(format!("reply {} to request {number}", frame.number)));
        }
    }
}

fn read(
    stream: &mut impl Read,
    len: usize,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::new();
    let mut filled = 0;
    while filled < len {
        if filled == bytes.len() {
            bytes.resize(len.min(filled + PIECE), 0);
        }
        match stream.read(&mut bytes[filled..]) {
            Ok(0) => return Err(FrameError::Closed),
            Ok(read) => filled += read,
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut if goes_on() => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(FrameError::GaveUp),
                _ => return Err(error.into()),
            },
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Cursor;

    use super::*;

    fn frames(numbers: &[u64]) -> Cursor<Vec<u8>> {
        let mut stream = Vec::new();
        for &number in numbers {
            send(&mut stream, number, format!("\"{number}\"").as_bytes(), &[number as u8; 3]).unwrap();
        }
        Cursor::new(stream)
    }

    #[test]
    fn a_late_reply_is_never_taken_for_a_new_one() {
        let mut stream = frames(&[3, 4, 4, 5]);
        let reply = receive_reply(&mut stream, 4, &mut || true).unwrap();
        assert_eq!((reply.header, reply.bytes), (b"\"4\"".to_vec(), vec![4; 3]));
        // The second reply to request 4 is late when request 5 is answered.
        assert_eq!(receive_reply(&mut stream, 5, &mut || true).unwrap().number, 5);
        assert!(matches!(receive_reply(&mut stream, 6, &mut || true), Err(FrameError::Closed)));
        let early = receive_reply(&mut frames(&[9]), 6, &mut || true);
        assert!(matches!(early, Err(FrameError::Malformed(_))));
    }

    #[test]
    fn whatever_bytes_come_are_refused_without_taking_memory() {
        let mut sound = Vec::new();
        send(&mut sound, 1, b"{}", b"abc").unwrap();
        for cut in 0..sound.len() {
            assert!(matches!(
                receive(&mut Cursor::new(&sound[..cut]), &mut || true),
                Err(FrameError::Closed)
            ));
        }
        let mut huge = sound.clone();
        huge[8..16].copy_from_slice(&(MAX_BYTES).to_le_bytes());
        assert!(matches!(receive(&mut Cursor::new(&huge), &mut || true), Err(FrameError::Closed)));
        huge[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(receive(&mut Cursor::new(&huge), &mut || true), Err(FrameError::Malformed(_))));
        sound[0] ^= 1;
        assert!(matches!(receive(&mut Cursor::new(&sound), &mut || true), Err(FrameError::Malformed(_))));
    }
}
