//! `base`, `dir`, `clean`, `ext`, `isAbs`, and the same for files: Unix paths.

use super::convert;
use crate::context::Context;
use crate::{CallError, Text, Value};

type Answer<'a> = Result<Value<'a>, CallError>;

fn cleaned(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match parts.last() {
                Some(last) if *last != b".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(part),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/".as_slice(), &joined].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// `filepath.Ext` and `path.Ext` agree on Unix, as all of these do.
fn after_slash(path: &[u8]) -> usize {
    memchr::memrchr(b'/', path).map_or(0, |at| at + 1)
}

pub(super) fn base<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let path = convert::bytes(args, 0);
    if path.is_empty() {
        return Ok(Value::from("."));
    }
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
    let path = path.get(..end).unwrap_or_default();
    let name = path.get(after_slash(path)..).unwrap_or_default();
    Ok(if name.is_empty() {
        Value::from("/")
    } else {
        Value::Str(Text::from_bytes(name))
    })
}

pub(super) fn dir<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let path = convert::bytes(args, 0);
    Ok(Value::Str(Text::from(cleaned(
        path.get(..after_slash(path)).unwrap_or_default(),
    ))))
}

pub(super) fn clean<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Str(Text::from(cleaned(convert::bytes(args, 0)))))
}

pub(super) fn ext<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let path = convert::bytes(args, 0);
    let name = path.get(after_slash(path)..).unwrap_or_default();
    let ext = memchr::memrchr(b'.', name)
        .and_then(|at| name.get(at..))
        .unwrap_or_default();
    Ok(Value::Str(Text::from_bytes(ext)))
}

pub(super) fn is_abs<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Bool(convert::bytes(args, 0).first() == Some(&b'/')))
}
