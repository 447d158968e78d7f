//! Member chains become single names, so that an evaluation looks at nothing else.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// Between the members of a place. No member can hold it: JSON escapes control characters, and paths may not hold them.
pub(super) const SEPARATOR: char = '\u{1f}';

const ROOTS: [&str; 6] = [
    "Request", "Subject", "Outputs", "Values", "Payload", "Error",
];

/// The tree with the chains in it flattened, and our own functions spelt as globals.
pub(super) fn flatten(tree: IdedExpr) -> IdedExpr {
    walk(tree, &mut Vec::new())
}

/// An error's text with places spelt as they were written.
pub(super) fn readable(text: &str) -> String {
    text.replace(SEPARATOR, ".").replace("'@", "'")
}

fn walk(node: IdedExpr, bound: &mut Vec<String>) -> IdedExpr {
    let id = node.id;
    let ident = |name: String| IdedExpr {
        id,
        expr: Expr::Ident(name),
    };
    if let Some(place) = place(&node.expr, bound)
        && place.contains(SEPARATOR)
    {
        return ident(format!("@{place}"));
    }
    let expr = match node.expr {
        Expr::Select(mut select) => {
            if select.test
                && let Some(parent) = place(&select.operand.expr, bound)
            {
                return ident(format!("@has {parent}{SEPARATOR}{}", select.field));
            }
            select.operand = Box::new(walk(*select.operand, bound));
            Expr::Select(select)
        }
        Expr::Call(call) => return walk_call(id, call, bound),
        Expr::List(mut list) => {
            list.elements = list
                .elements
                .into_iter()
                .map(|element| walk(element, bound))
                .collect();
            Expr::List(list)
        }
        Expr::Map(mut map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    entry.key = walk(std::mem::take(&mut entry.key), bound);
                    entry.value = walk(std::mem::take(&mut entry.value), bound);
                }
            }
            Expr::Map(map)
        }
        Expr::Comprehension(mut all) => {
            all.iter_range = walk(all.iter_range, bound);
            all.accu_init = walk(all.accu_init, bound);
            let outer = bound.len();
            bound.extend([all.iter_var.clone(), all.accu_var.clone()]);
            bound.extend(all.iter_var2.clone());
            all.loop_cond = walk(all.loop_cond, bound);
            all.loop_step = walk(all.loop_step, bound);
            all.result = walk(all.result, bound);
            bound.truncate(outer);
            Expr::Comprehension(all)
        }
        other => other,
    };
    IdedExpr { id, expr }
}

/// The place that a chain of members spells: `Subject.Attributes["groups"]`, `Request.Header("X")`.
fn place(expr: &Expr, bound: &[String]) -> Option<String> {
    chain(expr, bound).filter(|place| !inside_call(place))
}

fn chain(expr: &Expr, bound: &[String]) -> Option<String> {
    match expr {
        Expr::Ident(name) => {
            (ROOTS.contains(&name.as_str()) && !bound.contains(name)).then(|| name.clone())
        }
        Expr::Select(select) if !select.test => Some(format!(
            "{}{SEPARATOR}{}",
            place(&select.operand.expr, bound)?,
            select.field
        )),
        Expr::Call(call) => match (
            call.func_name.as_str(),
            call.target.as_deref(),
            call.args.as_slice(),
        ) {
            (operators::INDEX, None, [on, by]) => {
                let Expr::Literal(LiteralValue::String(name)) = &by.expr else {
                    return None;
                };
                (!name.inner().contains(SEPARATOR)).then_some(())?;
                Some(format!(
                    "{}{SEPARATOR}{}",
                    place(&on.expr, bound)?,
                    name.inner()
                ))
            }
            ("Header" | "Cookie", Some(on), [by]) if is_request(on, bound) => {
                let Expr::Literal(LiteralValue::String(name)) = &by.expr else {
                    return None;
                };
                Some(format!(
                    "Request{SEPARATOR}{} {}",
                    call.func_name,
                    name.inner()
                ))
            }
            ("Body", Some(on), []) if is_request(on, bound) => {
                Some(format!("Request{SEPARATOR}Body"))
            }
            ("String" | "Query" | "Hostname" | "Port", Some(on), []) if is_url(on, bound) => Some(
                format!("Request{SEPARATOR}URL{SEPARATOR}{}", call.func_name),
            ),
            _ => None,
        },
        _ => None,
    }
}

/// Members behind a call are the engine's: `Request.Body().amount` selects on what `Body` gives.
fn inside_call(place: &str) -> bool {
    let calls = [
        "Body",
        "URL\u{1f}String",
        "URL\u{1f}Query",
        "URL\u{1f}Hostname",
        "URL\u{1f}Port",
    ];
    let rest = place.strip_prefix("Request\u{1f}").unwrap_or_default();
    calls.iter().any(|call| {
        rest.strip_prefix(call)
            .is_some_and(|behind| behind.starts_with(SEPARATOR))
    }) || (rest.starts_with("Header ") || rest.starts_with("Cookie ")) && rest.contains(SEPARATOR)
}

fn is_request(node: &IdedExpr, bound: &[String]) -> bool {
    place(&node.expr, bound).is_some_and(|place| place == "Request")
}

fn is_url(node: &IdedExpr, bound: &[String]) -> bool {
    place(&node.expr, bound).is_some_and(|place| place == "Request\u{1f}URL")
}

fn is_error_type(node: &IdedExpr) -> bool {
    matches!(&node.expr, Expr::Call(call) if call.func_name == "type" && call.target.is_none()
        && matches!(call.args.as_slice(), [IdedExpr { expr: Expr::Ident(name), .. }] if name == "Error"))
}

fn walk_call(id: u64, mut call: CallExpr, bound: &mut Vec<String>) -> IdedExpr {
    let node = |expr| IdedExpr { id, expr };
    let ident = |name: &str| IdedExpr {
        id,
        expr: Expr::Ident(name.to_owned()),
    };
    let global = |name: &str, args: Vec<IdedExpr>| IdedExpr {
        id,
        expr: Expr::Call(CallExpr {
            func_name: name.to_owned(),
            target: None,
            args,
        }),
    };
    // an error is of several kinds at once: comparing its type asks whether it is of that kind, too
    if let (operators::EQUALS | operators::NOT_EQUALS | operators::IN, [left, right]) =
        (call.func_name.as_str(), call.args.as_slice())
    {
        let other = if is_error_type(left) {
            Some(right)
        } else {
            is_error_type(right).then_some(left)
        };
        if let Some(other) = other {
            let (other, kinds) = (other.clone(), ident("@kinds"));
            return match call.func_name.as_str() {
                operators::EQUALS => global(operators::IN, vec![other, kinds]),
                operators::NOT_EQUALS => global(
                    operators::LOGICAL_NOT,
                    vec![global(operators::IN, vec![other, kinds])],
                ),
                _ => global("@overlap", vec![other, kinds]),
            };
        }
        if let (operators::IN, Expr::Call(networks)) = (call.func_name.as_str(), &right.expr)
            && networks.func_name == "networks"
            && networks.target.is_none()
        {
            let args = [left.clone()].into_iter().chain(networks.args.clone());
            let args = args.map(|arg| walk(arg, bound)).collect();
            return global("@in_networks", args);
        }
    }
    let target = call.target.take();
    let mut args: Vec<IdedExpr> = call.args.into_iter().map(|arg| walk(arg, bound)).collect();
    let Some(target) = target else {
        return node(Expr::Call(CallExpr {
            func_name: call.func_name,
            target: None,
            args,
        }));
    };
    match call.func_name.as_str() {
        "Header" if is_request(&target, bound) => {
            args.insert(0, ident(&format!("@Request{SEPARATOR}Headers")));
            global("@pick", args)
        }
        "last" | "at" | "regexFind" | "regexFindAll" => {
            args.insert(0, walk(*target, bound));
            global(&format!("@{}", call.func_name), args)
        }
        _ => {
            // `sets.contains(…)` and the like: the target is a namespace, not a value
            let target = if matches!(&target.expr, Expr::Ident(_)) {
                target
            } else {
                Box::new(walk(*target, bound))
            };
            node(Expr::Call(CallExpr {
                func_name: call.func_name,
                target: Some(target),
                args,
            }))
        }
    }
}
