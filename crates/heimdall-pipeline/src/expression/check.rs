//! A small static check over the syntax tree: declared names and functions, operands that can fit, a boolean result.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators as op};
use heimdall_types::nearest;
use regex::Regex;

use crate::expression::data::KINDS;
use crate::expression::functions::OWN;

/// What is known about a value before it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Type {
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Null,
    List(Box<Type>),
    Map,
    Time,
    Span,
    Kind,
    Networks,
}

pub(super) const VARIABLES: [&str; 6] = [
    "Request", "Subject", "Outputs", "Values", "Payload", "Error",
];
const TYPES: [&str; 10] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];

/// Functions and what they give. Several give what depends on their arguments: those are `Dyn`.
fn gives(name: &str) -> Option<Type> {
    Some(match name {
        "contains" | "endsWith" | "startsWith" | "matches" | "bool" | "sets.contains"
        | "sets.intersects" | "sets.equivalent" | "math.isInf" | "math.isNaN" | "math.isFinite" => {
            Type::Bool
        }
        "size" | "int" | "indexOf" | "lastIndexOf" | "getHours" | "getMinutes" | "getSeconds"
        | "getMilliseconds" | "getFullYear" | "getMonth" | "getDate" | "getDayOfMonth"
        | "getDayOfWeek" | "getDayOfYear" => Type::Int,
        "uint" => Type::Uint,
        "double" | "math.ceil" | "math.floor" | "math.round" | "math.trunc" | "math.sqrt" => {
            Type::Double
        }
        "string" | "charAt" | "lowerAscii" | "upperAscii" | "trim" | "replace" | "substring"
        | "join" | "format" | "strings.quote" | "base64.encode" | "regexFind" | "Header"
        | "Cookie" | "String" | "Hostname" | "Port" => Type::Text,
        "bytes" | "base64.decode" => Type::Bytes,
        "timestamp" => Type::Time,
        "duration" => Type::Span,
        "type" => Type::Kind,
        "networks" => Type::Networks,
        "split" | "regexFindAll" => Type::List(Box::new(Type::Text)),
        "lists.range" => Type::List(Box::new(Type::Int)),
        "slice" | "flatten" | "distinct" | "sort" | "sortBy" | "@sortByAssociatedKeys" => {
            Type::List(Box::new(Type::Dyn))
        }
        "Query" => Type::Map,
        "dyn"
        | "last"
        | "at"
        | "reverse"
        | "Body"
        | "math.greatest"
        | "math.least"
        | "math.abs"
        | "math.sign"
        | "math.bitAnd"
        | "math.bitOr"
        | "math.bitXor"
        | "math.bitNot"
        | "math.bitShiftLeft"
        | "math.bitShiftRight"
        | "math.@max"
        | "math.@min"
        | op::NOT_STRICTLY_FALSE => Type::Dyn,
        _ => return OWN.iter().any(|(own, _)| *own == name).then_some(Type::Dyn),
    })
}

const KNOWN: [&str; 24] = [
    "contains",
    "endsWith",
    "startsWith",
    "matches",
    "size",
    "split",
    "replace",
    "lowerAscii",
    "upperAscii",
    "trim",
    "regexFind",
    "regexFindAll",
    "last",
    "at",
    "networks",
    "timestamp",
    "duration",
    "int",
    "double",
    "string",
    "exists",
    "all",
    "filter",
    "map",
];

/// Deeper nesting multiplies the sizes of lists beyond any use.
const DEEPEST: usize = 3;

/// Whether the expression is a boolean over what is declared.
pub(super) fn boolean(tree: &IdedExpr) -> Result<(), String> {
    match infer(tree, &mut Vec::new())? {
        Type::Bool => Ok(()),
        other => Err(format!("result is {}, a boolean is wanted", name(&other))),
    }
}

fn name(kind: &Type) -> &'static str {
    match kind {
        Type::Dyn => "of unknown type",
        Type::Bool => "a boolean",
        Type::Int => "an int",
        Type::Uint => "a uint",
        Type::Double => "a double",
        Type::Text => "a string",
        Type::Bytes => "bytes",
        Type::Null => "null",
        Type::List(_) => "a list",
        Type::Map => "a map",
        Type::Time => "a timestamp",
        Type::Span => "a duration",
        Type::Kind => "a type",
        Type::Networks => "networks",
    }
}

fn infer(node: &IdedExpr, bound: &mut Vec<(String, Type)>) -> Result<Type, String> {
    match &node.expr {
        Expr::Unspecified => Err("is incomplete".to_owned()),
        Expr::Ident(ident) => identifier(ident, bound),
        Expr::Literal(literal) => Ok(match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Bytes(_) => Type::Bytes,
            LiteralValue::Double(_) => Type::Double,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::Null => Type::Null,
            LiteralValue::String(_) => Type::Text,
            LiteralValue::UInt(_) => Type::Uint,
        }),
        Expr::Select(select) => {
            let on = infer(&select.operand, bound)?;
            if !matches!(on, Type::Dyn | Type::Map) {
                return Err(format!(
                    "`.{}` can not be taken from {}",
                    select.field,
                    name(&on)
                ));
            }
            Ok(if select.test { Type::Bool } else { Type::Dyn })
        }
        Expr::List(list) => {
            let mut items: Option<Type> = None;
            for element in &list.elements {
                let item = infer(element, bound)?;
                items =
                    Some(items.map_or(
                        item.clone(),
                        |known| if known == item { known } else { Type::Dyn },
                    ));
            }
            Ok(Type::List(Box::new(items.unwrap_or(Type::Dyn))))
        }
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    infer(&entry.key, bound)?;
                    infer(&entry.value, bound)?;
                }
            }
            Ok(Type::Map)
        }
        Expr::Struct(made) => Err(format!("unknown type `{}`", made.type_name)),
        Expr::Call(call) => infer_call(call, bound),
        Expr::Comprehension(all) => {
            let item = match infer(&all.iter_range, bound)? {
                Type::List(item) => *item,
                Type::Dyn | Type::Map => Type::Dyn,
                other => return Err(format!("{} can not be gone through", name(&other))),
            };
            let accumulated = infer(&all.accu_init, bound)?;
            if bound.len() >= DEEPEST * 2 {
                return Err(format!("macros are nested more than {DEEPEST} deep"));
            }
            let outer = bound.len();
            bound.push((all.iter_var.clone(), item));
            bound.extend(all.iter_var2.clone().map(|name| (name, Type::Dyn)));
            let held = if matches!(accumulated, Type::List(_)) {
                Type::List(Box::new(Type::Dyn))
            } else {
                accumulated
            };
            bound.push((all.accu_var.clone(), held));
            infer(&all.loop_cond, bound)?;
            infer(&all.loop_step, bound)?;
            let result = infer(&all.result, bound);
            bound.truncate(outer);
            result
        }
    }
}

fn identifier(ident: &str, bound: &[(String, Type)]) -> Result<Type, String> {
    if let Some((_, kind)) = bound.iter().rev().find(|(name, _)| name == ident) {
        return Ok(kind.clone());
    }
    if VARIABLES.contains(&ident) || KINDS.iter().any(|(name, _)| *name == ident) {
        return Ok(Type::Dyn);
    }
    if TYPES.contains(&ident) {
        return Ok(Type::Kind);
    }
    let known = VARIABLES
        .iter()
        .copied()
        .chain(KINDS.iter().map(|(name, _)| *name));
    Err(match nearest(ident, known) {
        Some(near) => format!("undeclared reference to `{ident}`; did you mean `{near}`?"),
        None => format!("undeclared reference to `{ident}`"),
    })
}

fn infer_call(call: &CallExpr, bound: &mut Vec<(String, Type)>) -> Result<Type, String> {
    if let Some(namespaced) = namespaced(call, bound) {
        if namespaced == "lists.range" && !bound.is_empty() {
            return Err("`lists.range` may not stand in a macro".to_owned());
        }
        for arg in &call.args {
            infer(arg, bound)?;
        }
        return gives(&namespaced).ok_or_else(|| unknown_function(&namespaced));
    }
    let mut kinds = Vec::with_capacity(call.args.len() + 1);
    if let Some(target) = &call.target {
        kinds.push(infer(target, bound)?);
    }
    for arg in &call.args {
        kinds.push(infer(arg, bound)?);
    }
    if matches!(
        call.func_name.as_str(),
        "matches" | "regexFind" | "regexFindAll"
    ) && let Some(Expr::Literal(LiteralValue::String(pattern))) =
        call.args.last().map(|arg| &arg.expr)
    {
        Regex::new(pattern.inner()).map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!(
                "`{}`: `{}` is no regular expression: {last}",
                call.func_name,
                pattern.inner()
            )
        })?;
    }
    operator(&call.func_name, &kinds).unwrap_or_else(|| {
        let result = gives(&call.func_name).ok_or_else(|| unknown_function(&call.func_name))?;
        receiver_fits(&call.func_name, call.target.is_some(), &kinds)?;
        Ok(result)
    })
}

/// Text functions are called on texts.
fn receiver_fits(function: &str, member: bool, kinds: &[Type]) -> Result<(), String> {
    let on_text = [
        "startsWith",
        "endsWith",
        "lowerAscii",
        "upperAscii",
        "trim",
        "replace",
        "split",
        "charAt",
        "substring",
        "regexFind",
        "regexFindAll",
    ];
    match kinds.first() {
        Some(Type::Dyn | Type::Text) | None => Ok(()),
        Some(other) if member && on_text.contains(&function) => {
            Err(format!("`{function}` can not be called on {}", name(other)))
        }
        Some(_) => Ok(()),
    }
}

/// `math.greatest`, spelt as a call on an identifier that is no variable.
fn namespaced(call: &CallExpr, bound: &[(String, Type)]) -> Option<String> {
    let Expr::Ident(space) = &call.target.as_deref()?.expr else {
        return None;
    };
    let is_space = matches!(
        space.as_str(),
        "math" | "sets" | "strings" | "lists" | "base64"
    );
    (is_space && !bound.iter().any(|(name, _)| name == space))
        .then(|| format!("{space}.{}", call.func_name))
}

fn unknown_function(function: &str) -> String {
    match nearest(function, KNOWN) {
        Some(near) => format!("undeclared function `{function}`; did you mean `{near}`?"),
        None => format!("undeclared function `{function}`"),
    }
}

/// The type an operator gives; `None` for what is no operator.
fn operator(function: &str, kinds: &[Type]) -> Option<Result<Type, String>> {
    let misfit = |symbol: &str| {
        let kinds: Vec<_> = kinds.iter().map(name).collect();
        Err(format!(
            "no matching overload for `{symbol}` over {}",
            kinds.join(" and ")
        ))
    };
    let either_dyn = |a: &Type, b: &Type| *a == Type::Dyn || *b == Type::Dyn;
    let fits = |a: &Type, b: &Type| {
        either_dyn(a, b) || a == b || matches!((a, b), (Type::List(_), Type::List(_)))
    };
    Some(match (function, kinds) {
        (op::LOGICAL_AND | op::LOGICAL_OR, all) => {
            if all
                .iter()
                .all(|kind| matches!(kind, Type::Bool | Type::Dyn))
            {
                Ok(Type::Bool)
            } else {
                misfit(function)
            }
        }
        (op::LOGICAL_NOT, [one]) => {
            if matches!(one, Type::Bool | Type::Dyn) {
                Ok(Type::Bool)
            } else {
                misfit("!")
            }
        }
        (op::EQUALS | op::NOT_EQUALS, [a, b]) => {
            if fits(a, b) {
                Ok(Type::Bool)
            } else {
                misfit("==")
            }
        }
        (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [a, b]) => {
            let ordered = |kind: &Type| {
                !matches!(
                    kind,
                    Type::List(_) | Type::Map | Type::Null | Type::Kind | Type::Networks
                )
            };
            if fits(a, b) && ordered(a) && ordered(b) {
                Ok(Type::Bool)
            } else {
                misfit("<")
            }
        }
        (op::ADD | op::SUBSTRACT, [a, b]) => match (a, b) {
            (Type::Time, Type::Span) | (Type::Span, Type::Time) => Ok(Type::Time),
            (Type::Time, Type::Time) => Ok(Type::Span),
            _ if either_dyn(a, b) => Ok(Type::Dyn),
            _ if fits(a, b) && !matches!(a, Type::Bool | Type::Null | Type::Map | Type::Kind) => {
                Ok(a.clone())
            }
            _ => misfit("+"),
        },
        (op::MULTIPLY | op::DIVIDE | op::MODULO, [a, b]) => match (a, b) {
            _ if either_dyn(a, b) => Ok(Type::Dyn),
            (Type::Int | Type::Uint | Type::Double, _) if a == b => Ok(a.clone()),
            _ => misfit("*"),
        },
        (op::NEGATE, [one]) => match one {
            Type::Int | Type::Double | Type::Dyn => Ok(one.clone()),
            _ => misfit("-"),
        },
        (op::IN, [_, on]) => match on {
            Type::List(_) | Type::Map | Type::Dyn | Type::Networks => Ok(Type::Bool),
            _ => misfit("in"),
        },
        (op::CONDITIONAL, [condition, yes, no]) => match condition {
            Type::Bool | Type::Dyn if yes == no => Ok(yes.clone()),
            Type::Bool | Type::Dyn if either_dyn(yes, no) => Ok(Type::Dyn),
            _ => misfit("?:"),
        },
        (op::INDEX, [on, _]) => match on {
            Type::List(item) => Ok((**item).clone()),
            Type::Map | Type::Dyn => Ok(Type::Dyn),
            _ => misfit("[]"),
        },
        (op::OPT_SELECT | op::OPT_INDEX, _) => {
            Err("optional access (`.?`) is not supported".to_owned())
        }
        (op::NOT_STRICTLY_FALSE, _) => Ok(Type::Bool),
        _ => return None,
    })
}
