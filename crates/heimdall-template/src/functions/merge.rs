//! `merge` and `mergeOverwrite`, with the rules of the library behind sprig's.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::context::Context;
use crate::fmt::DEEPEST;
use crate::value::{Dict, MapType};
use crate::{CallError, Map, Value};

pub(super) fn merge<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    merge_all(cx, args, false)
}

pub(super) fn merge_overwrite<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    merge_all(cx, args, true)
}

/// Merges the others into the first, which changes.
fn merge_all<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    overwrite: bool,
) -> Result<Value<'a>, CallError> {
    let Some((Value::Map(first), sources)) = args.split_first() else {
        return Err("nothing to merge into".into());
    };
    let mut target = first.clone();
    for source in sources {
        let Value::Map(source) = source else { continue };
        if target.is_nil() && !source.is_nil() {
            target = Map::Owned(Rc::new(Dict::new(MapType::Any, BTreeMap::new())));
        }
        if !source.is_nil() {
            target = Map::Owned(merge_into(cx, &target, source, overwrite, 0)?);
        }
    }
    Ok(Value::Map(target))
}

fn merge_into<'a>(
    cx: &mut Context<'a>,
    target: &Map<'a>,
    source: &Map<'a>,
    overwrite: bool,
    depth: usize,
) -> Result<Rc<Dict<'a>>, CallError> {
    if depth > DEEPEST {
        return Err("maps are nested too deep to merge".into());
    }
    let dict = cx.writable(target)?;
    let whole = Map::Owned(Rc::clone(&dict));
    for (key, value) in cx.current(source.clone()).entries() {
        cx.reserve_items(1)?;
        let present = whole.get_text(&key);
        if value.is_nil() {
            if overwrite {
                cx.set(&dict, key, Value::Nil);
            }
            continue;
        }
        if let (Some(Value::Map(inner)), Value::Map(value)) = (&present, &value) {
            if !inner.is_nil() {
                let merged = merge_into(cx, inner, value, overwrite, depth + 1)?;
                let merged = Map::Owned(merged);
                let stays = !merged.is_empty();
                // A borrowed map was copied to be written: the copy takes its place.
                cx.set(&dict, key.clone(), Value::Map(merged));
                if stays {
                    continue;
                }
            }
            cx.set(&dict, key, Value::Map(value.clone()));
            continue;
        }
        if overwrite || present.as_ref().is_none_or(is_empty) {
            cx.set(&dict, key, value);
        }
    }
    Ok(dict)
}

/// What the library holds for empty: structures and complex numbers never are.
fn is_empty(value: &Value<'_>) -> bool {
    !matches!(value, Value::Complex(..)) && !value.truth()
}
