//! Random bytes, identifiers and AES.

use aes::Aes256;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt as _, BlockEncrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::convert;
use crate::context::Context;
use crate::{CallError, Text, Value};

const BLOCK: usize = 16;

/// Random bytes in base64.
pub(super) fn rand_bytes<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let count = usize::try_from(convert::int(args, 0))
        .map_err(|_| "runtime error: makeslice: len out of range")?;
    cx.reserve(count.saturating_mul(2))?;
    let mut bytes = vec![0; count];
    cx.fill(&mut bytes)?;
    Ok(Value::from(STANDARD.encode(bytes)))
}

pub(super) fn uuidv4<'a>(cx: &mut Context<'a>, _: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let mut bytes = [0; 16];
    cx.fill(&mut bytes)?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) | 4 << 76;
    let number = number & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{number:032x}");
    let parts =
        [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    Ok(Value::from(parts.join("-")))
}

/// sprig's key: the password's bytes, cut or filled up with zeros.
fn cipher(password: &[u8]) -> Aes256 {
    let mut key = [0; 32];
    for (place, byte) in key.iter_mut().zip(password) {
        *place = *byte;
    }
    Aes256::new(&GenericArray::from(key))
}

fn xor(block: &mut [u8; BLOCK], with: &[u8; BLOCK]) {
    for (byte, other) in block.iter_mut().zip(with) {
        *byte ^= other;
    }
}

/// `encryptAES password text`: CBC with a random first block.
pub(super) fn encrypt_aes<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let text = convert::bytes(args, 1);
    if text.is_empty() {
        return Ok(Value::from(""));
    }
    cx.reserve(text.len().saturating_mul(2))?;
    let cipher = cipher(convert::bytes(args, 0));
    let mut previous = [0; BLOCK];
    cx.fill(&mut previous)?;
    let mut out = previous.to_vec();
    let padding = BLOCK - text.len() % BLOCK;
    let mut padded = text.to_vec();
    padded.resize(text.len() + padding, padding as u8);
    for chunk in padded.chunks(BLOCK) {
        let mut block: [u8; BLOCK] = chunk.try_into().unwrap_or_default();
        xor(&mut block, &previous);
        let mut encrypted = GenericArray::from(block);
        cipher.encrypt_block(&mut encrypted);
        previous = encrypted.into();
        out.extend_from_slice(&previous);
    }
    Ok(Value::from(STANDARD.encode(out)))
}

/// `decryptAES password text`
pub(super) fn decrypt_aes<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let text = convert::bytes(args, 1);
    if text.is_empty() {
        return Ok(Value::from(""));
    }
    cx.reserve(text.len())?;
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| CallError::new(error.to_string()))?;
    if bytes.len() <= BLOCK || bytes.len() % BLOCK != 0 {
        return Err("crypto/cipher: input not full blocks".into());
    }
    let cipher = cipher(convert::bytes(args, 0));
    let (first, rest) = bytes.split_at(BLOCK);
    let mut previous: [u8; BLOCK] = first.try_into().unwrap_or_default();
    let mut out = Vec::with_capacity(rest.len());
    for chunk in rest.chunks(BLOCK) {
        let encrypted: [u8; BLOCK] = chunk.try_into().unwrap_or_default();
        let mut block = GenericArray::from(encrypted);
        cipher.decrypt_block(&mut block);
        let mut plain: [u8; BLOCK] = block.into();
        xor(&mut plain, &previous);
        previous = encrypted;
        out.extend_from_slice(&plain);
    }
    let padding = out.last().copied().map_or(0, usize::from);
    let length = out
        .len()
        .checked_sub(padding)
        .ok_or("slice bounds out of range")?;
    out.truncate(length);
    Ok(Value::Str(Text::from(out)))
}

pub(super) fn get_host_by_name<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let host = convert::text(args, 0).to_lossy();
    cx.resolve(&host).map(Value::from)
}
