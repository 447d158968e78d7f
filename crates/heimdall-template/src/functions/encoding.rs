//! Base64, base32, and sums.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::digest;

use super::convert;
use crate::context::Context;
use crate::sink::Sink;
use crate::{CallError, Text, Value};

/// Go demands the padding and looks over bits that are left at the end.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

pub(super) fn b64enc<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let bytes = convert::bytes(args, 0);
    cx.charge(bytes.len() / 64)?;
    out.put(&base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// The error's text when it is no base64, as sprig has it.
pub(super) fn b64dec<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let bytes = convert::bytes(args, 0);
    cx.charge(bytes.len() / 64)?;
    let given: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|b| !matches!(b, b'\r' | b'\n'))
        .collect();
    match DECODER.decode(&given) {
        Ok(decoded) => Ok(Value::Str(Text::from(decoded))),
        Err(_) => Ok(Value::from(format!(
            "illegal base64 data at input byte {}",
            illegal_base64(bytes)
        ))),
    }
}

/// Where Go's decoder stops: the counting is its own.
fn illegal_base64(bytes: &[u8]) -> usize {
    let mut quantum = 0;
    let mut position = 0;
    while let Some(byte) = bytes.get(position).copied() {
        position += 1;
        match byte {
            b'\r' | b'\n' => continue,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => quantum = (quantum + 1) % 4,
            b'=' if quantum >= 2 => {
                let skip = |from: usize| {
                    let rest = bytes.get(from..).unwrap_or_default();
                    from + rest
                        .iter()
                        .take_while(|b| matches!(b, b'\r' | b'\n'))
                        .count()
                };
                if quantum == 2 {
                    position = skip(position);
                    match bytes.get(position) {
                        None => return bytes.len(),
                        Some(b'=') => position += 1,
                        Some(_) => return position,
                    }
                }
                return skip(position);
            }
            _ => return position - 1,
        }
    }
    bytes.len() - quantum.min(bytes.len())
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(super) fn b32enc<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let bytes = convert::bytes(args, 0);
    cx.charge(bytes.len() / 64)?;
    for chunk in bytes.chunks(5) {
        let mut padded = [0; 8];
        for (place, byte) in padded.iter_mut().skip(3).zip(chunk) {
            *place = *byte;
        }
        let bits = u64::from_be_bytes(padded);
        let shown = (chunk.len() * 8).div_ceil(5);
        let text: String = (0..8)
            .map(|i| match BASE32.get((bits >> (35 - 5 * i)) as usize & 31) {
                Some(byte) if i < shown => char::from(*byte),
                _ => '=',
            })
            .collect();
        out.put(&text)?;
    }
    Ok(())
}

pub(super) fn b32dec<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let bytes = convert::bytes(args, 0);
    cx.charge(bytes.len() / 64)?;
    let given: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(|b| !matches!(b, b'\r' | b'\n'))
        .collect();
    Ok(match base32_decoded(&given) {
        Ok(decoded) => Value::Str(Text::from(decoded)),
        Err(at) => Value::from(format!("illegal base32 data at input byte {at}")),
    })
}

/// The bytes, or where it is no base32.
fn base32_decoded(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut decoded = Vec::with_capacity(text.len() * 5 / 8);
    for (start, chunk) in text.chunks(8).enumerate().map(|(i, chunk)| (i * 8, chunk)) {
        let digits = chunk.iter().position(|b| *b == b'=').unwrap_or(chunk.len());
        let mut bits: u64 = 0;
        for (i, byte) in chunk.iter().take(digits).enumerate() {
            let value = BASE32
                .iter()
                .position(|known| known == byte)
                .ok_or(start + i)?;
            bits |= (value as u64) << (35 - 5 * i);
        }
        if chunk.len() < 8 {
            // Go reports a text that ends too early at its end, without the digits it has read.
            return Err(if digits < chunk.len() {
                start + chunk.len()
            } else {
                start
            });
        }
        if let Some(wrong) = chunk.iter().skip(digits).position(|b| *b != b'=') {
            return Err(start + digits + wrong);
        }
        let length = match digits {
            8 => 5,
            7 => 4,
            5 => 3,
            4 => 2,
            2 => 1,
            _ => return Err(start + digits),
        };
        decoded.extend(bits.to_be_bytes().iter().skip(3).take(length));
        if digits < 8 && text.len() > start + 8 {
            return Err(start + 8);
        }
    }
    Ok(decoded)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sum<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    algorithm: &'static digest::Algorithm,
) -> Result<Value<'a>, CallError> {
    let bytes = convert::bytes(args, 0);
    cx.charge(bytes.len() / 16)?;
    Ok(Value::from(hex(digest::digest(algorithm, bytes).as_ref())))
}

pub(super) fn sha1sum<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    sum(cx, args, &digest::SHA1_FOR_LEGACY_USE_ONLY)
}

pub(super) fn sha256sum<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    sum(cx, args, &digest::SHA256)
}

pub(super) fn sha512sum<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    sum(cx, args, &digest::SHA512)
}

pub(super) fn adler32sum<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let bytes = convert::bytes(args, 0);
    cx.charge(bytes.len() / 16)?;
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    Ok(Value::from((b << 16 | a).to_string()))
}
