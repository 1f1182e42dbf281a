//! TensorFlow's record framing and the few protocol-buffer fields of an event, written by hand.
//!
//! A record is `len: u64 LE | masked CRC-32C of len: u32 LE | data | masked CRC-32C of data: u32 LE`
//! (tensorflow/core/lib/io/record_writer.h). The fields come from tensorflow/core/util/event.proto and summary.proto.

use crc::{CRC_32_ISCSI, Crc};

static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Bytes around the data of a record.
const FRAME_LEN: usize = 16;
/// Longest record that is read back; ours have a few kilobytes.
const MAX_RECORD_LEN: u64 = 1 << 26;

/// One event: a time, a step, and a file version or scalars.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event<'a> {
    /// Seconds since the epoch.
    pub(super) wall_time: f64,
    /// Position on the x-axis.
    pub(super) step: u64,
    /// What it says.
    pub(super) what: What<'a>,
}

/// Content of an [`Event`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What<'a> {
    /// First event of every file.
    FileVersion(&'a str),
    /// Tags and values.
    Scalars(&'a [(String, f32)]),
}

/// Encodes an event as one framed record.
pub(super) fn encode(event: &Event<'_>) -> Vec<u8> {
    let mut data = Vec::new();
    put_fixed64(&mut data, 1, event.wall_time.to_bits());
    put_varint_field(&mut data, 2, event.step);
    match event.what {
        What::FileVersion(version) => put_bytes(&mut data, 3, version.as_bytes()),
        What::Scalars(scalars) => put_bytes(&mut data, 5, &summary(scalars)),
    }
    frame(&data)
}

/// `Summary { repeated Value value = 1 }`, `Value { string tag = 1; float simple_value = 2 }`.
fn summary(scalars: &[(String, f32)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, scalar) in scalars {
        let mut value = Vec::new();
        put_bytes(&mut value, 1, tag.as_bytes());
        put_varint(&mut value, 2 << 3 | 5);
        value.extend_from_slice(&scalar.to_le_bytes());
        put_bytes(&mut summary, 1, &value);
    }
    summary
}

fn frame(data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + FRAME_LEN);
    record.extend_from_slice(&len);
    record.extend_from_slice(&masked_crc(&len).to_le_bytes());
    record.extend_from_slice(data);
    record.extend_from_slice(&masked_crc(data).to_le_bytes());
    record
}

/// The mask keeps a CRC of data that contains CRCs from being trivial.
fn masked_crc(bytes: &[u8]) -> u32 {
    CRC32C.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Total length of the leading sound records whose step is at most `last_step`.
pub(super) fn len_up_to(bytes: &[u8], last_step: u64) -> usize {
    let mut len = 0;
    while let Some(data) = record_at(&bytes[len..]) {
        if step_of(data).is_none_or(|step| step > last_step) {
            break;
        }
        len += data.len() + FRAME_LEN;
    }
    len
}

/// The data of the first record; `None` when it is incomplete or damaged.
fn record_at(bytes: &[u8]) -> Option<&[u8]> {
    let (header, rest) = bytes.split_at_checked(12)?;
    let (len, header_crc) = header.split_at_checked(8)?;
    if masked_crc(len).to_le_bytes() != *header_crc {
        return None;
    }
    let len = u64::from_le_bytes(len.try_into().ok()?);
    if len > MAX_RECORD_LEN {
        return None;
    }
    let (data, rest) = rest.split_at_checked(len as usize)?;
    (masked_crc(data).to_le_bytes() == rest[..rest.len().min(4)]).then_some(data)
}

/// The step of an event that [`encode`] wrote: field 1 (9 bytes), then field 2.
fn step_of(data: &[u8]) -> Option<u64> {
    let (key, varint) = data.get(9..)?.split_first()?;
    if *key != 2 << 3 {
        return None;
    }
    let mut step = 0;
    for (i, byte) in varint.iter().take(10).enumerate() {
        step |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            return Some(step);
        }
    }
    None
}

fn put_varint(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.push(value as u8);
}

fn put_varint_field(buffer: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(buffer, field << 3);
    put_varint(buffer, value);
}

fn put_fixed64(buffer: &mut Vec<u8>, field: u64, bits: u64) {
    put_varint(buffer, field << 3 | 1);
    buffer.extend_from_slice(&bits.to_le_bytes());
}

fn put_bytes(buffer: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(buffer, field << 3 | 2);
    put_varint(buffer, bytes.len() as u64);
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_published_vectors() {
        // RFC 3720, B.4: 32 bytes of zeros, and 32 bytes of ones.
        assert_eq!(CRC32C.checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(CRC32C.checksum(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn the_first_record_is_tensorflows() {
        // An event file that TensorFlow wrote starts so: length 24, its CRC, wall time, `brain.Event:2`.
        let event = Event { wall_time: 1_500_000_000.0, step: 0, what: What::FileVersion("brain.Event:2") };
        let record = encode(&event);
        assert_eq!(record[..8], [26, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&record[record.len() - 17..record.len() - 4], b"brain.Event:2");
    }

    #[test]
    fn records_are_cut_by_step_and_at_damage() {
        let scalars = [("a".to_string(), 1.0)];
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for step in [0, 127, 128, 300_000_000_000, u64::MAX] {
            bytes.extend(encode(&Event { wall_time: 1.0, step, what: What::Scalars(&scalars) }));
            ends.push(bytes.len());
        }
        assert_eq!(len_up_to(&bytes, 128), ends[2]);
        assert_eq!(len_up_to(&bytes, 300_000_000_000), ends[3]);
        assert_eq!(len_up_to(&bytes, u64::MAX), ends[4]);
        for len in 0..bytes.len() {
            let whole = ends.iter().rev().find(|end| **end <= len).copied().unwrap_or(0);
            assert_eq!(len_up_to(&bytes[..len], u64::MAX), whole);
        }
        for at in ends[1]..ends[2] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(len_up_to(&damaged, u64::MAX), ends[1], "byte {at}");
        }
    }
}
