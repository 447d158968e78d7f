//! sprig's dictionary functions.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{arg, convert};
use crate::context::Context;
use crate::fmt::DEEPEST;
use crate::value::{Dict, Elem, MapType};
use crate::{CallError, List, Map, Text, Value};

pub(super) fn any_map<'a>(entries: BTreeMap<Text<'a>, Value<'a>>) -> Value<'a> {
    Value::Map(Map::Owned(Rc::new(Dict::new(MapType::Any, entries))))
}

/// The map at a place; the signature saw to its type.
fn map<'v, 'a>(args: &'v [Value<'a>], index: usize) -> &'v Map<'a> {
    match args.get(index) {
        Some(Value::Map(map)) => map,
        _ => &Map::Nil,
    }
}

/// All maps from a place on.
fn maps<'v, 'a>(args: &'v [Value<'a>], from: usize) -> impl Iterator<Item = &'v Map<'a>> {
    args.iter().skip(from).filter_map(|arg| {
        if let Value::Map(map) = arg {
            Some(map)
        } else {
            None
        }
    })
}

pub(super) fn dict<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    cx.reserve_items(args.len())?;
    let mut entries = BTreeMap::new();
    for pair in args.chunks(2) {
        let key = convert::strval(cx, arg(pair, 0))?;
        entries.insert(key, pair.get(1).cloned().unwrap_or_else(|| Value::from("")));
    }
    Ok(any_map(entries))
}

pub(super) fn get<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(map(args, 0)
        .get_text(convert::text(args, 1))
        .unwrap_or_else(|| Value::from("")))
}

pub(super) fn set<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    cx.reserve_items(1)?;
    let dict = cx.writable(map(args, 0))?;
    cx.set(&dict, convert::text(args, 1).clone(), arg(args, 2).clone());
    Ok(Value::Map(Map::Owned(dict)))
}

pub(super) fn unset<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    // Deleting from a nil map does nothing.
    if map(args, 0).is_nil() {
        return Ok(Value::Map(Map::Nil));
    }
    let dict = cx.writable(map(args, 0))?;
    dict.remove(convert::bytes(args, 1));
    Ok(Value::Map(Map::Owned(dict)))
}

pub(super) fn has_key<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(Value::Bool(
        map(args, 0).get_text(convert::text(args, 1)).is_some(),
    ))
}

/// `pluck key dict…`
pub(super) fn pluck<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    cx.reserve_items(args.len())?;
    let key = convert::text(args, 0);
    let found = maps(args, 1).filter_map(|map| map.get_text(key)).collect();
    Ok(Value::List(List::owned(found, Elem::Any)))
}

/// Go's order of keys is random; here it is sorted.
pub(super) fn keys<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let mut keys = Vec::new();
    for map in maps(args, 0) {
        cx.reserve_items(map.len())?;
        keys.extend(map.entries().into_iter().map(|(key, _)| key));
    }
    Ok(Value::List(List::texts(keys)))
}

/// In the order of the keys; Go's is random.
pub(super) fn values<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    cx.reserve_items(map(args, 0).len())?;
    let values = map(args, 0)
        .entries()
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    Ok(Value::List(List::owned(values, Elem::Any)))
}

pub(super) fn pick<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    cx.reserve_items(args.len())?;
    let map = map(args, 0);
    let picked = args.iter().skip(1).filter_map(|key| match key {
        Value::Str(key) => map.get_text(key).map(|value| (key.clone(), value)),
        _ => None,
    });
    Ok(any_map(picked.collect()))
}

pub(super) fn omit<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let map = map(args, 0);
    cx.reserve_items(map.len())?;
    let mut kept: BTreeMap<Text<'a>, Value<'a>> = map.entries().into_iter().collect();
    for index in 1..args.len() {
        kept.remove(convert::bytes(args, index));
    }
    Ok(any_map(kept))
}

/// `dig key… default dict`
pub(super) fn dig<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let [keys @ .., default, dict] = args else {
        return Err("dig needs at least three arguments".into());
    };
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    if let Some(wrong) = keys.iter().find(|key| !matches!(key, Value::Str(_))) {
        return Err(CallError::new(format!(
            "interface conversion: interface {{}} is {}, not string",
            wrong.type_name()
        )));
    }
    let mut value = dict.clone();
    for key in keys {
        let next = match (&value, key) {
            (Value::Map(map), Value::Str(key)) if map.is_any() => map.get_text(key),
            _ => {
                let name = value.type_name();
                return Err(CallError::new(format!(
                    "interface conversion: interface {{}} is {name}, not map[string]interface {{}}"
                )));
            }
        };
        match next {
            Some(next) => value = next,
            None => return Ok(default.clone()),
        }
    }
    Ok(value)
}

pub(super) fn deep_copy<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    if arg(args, 0).is_nil() {
        return Err("deepCopy error: nothing to copy".into());
    }
    copy(cx, arg(args, 0), 0)
}

fn copy<'a>(cx: &mut Context<'a>, value: &Value<'a>, depth: usize) -> Result<Value<'a>, CallError> {
    if depth > DEEPEST {
        return Err("value is nested too deep to copy".into());
    }
    cx.reserve_items(1)?;
    Ok(match value {
        Value::Missing => Value::Nil,
        Value::List(list) if !list.is_nil() => {
            let mut items = Vec::new();
            for item in list.iter() {
                items.push(copy(cx, &item, depth + 1)?);
            }
            Value::List(List::owned(items, list.elem()))
        }
        Value::Map(map) if !map.is_nil() => {
            let mut entries = BTreeMap::new();
            for (key, value) in cx.current(map.clone()).entries() {
                entries.insert(key, copy(cx, &value, depth + 1)?);
            }
            Value::Map(Map::Owned(Rc::new(Dict::new(
                MapType::of(map.type_name()),
                entries,
            ))))
        }
        value => value.clone(),
    })
}
