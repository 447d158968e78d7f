//! What can be known before rendering: constant pipelines and literal patterns.

use crate::context::compile;
use crate::engine::Settings;
use crate::functions::{self, FunctionId};
use crate::program::{Command, ExprKind, Folded, Pipe, Program, StrId};
use crate::render;
use crate::{Limits, Value};

/// Computes what does not depend on data. What would be an error stays as it is, to be one while rendering.
pub(crate) fn fold(settings: &Settings, program: &mut Program) {
    compile_patterns(settings, program);
    let constant = Settings {
        limits: constant_limits(settings.limits),
        environment: None,
        ..settings.clone()
    };
    let mut folded = Vec::new();
    for (index, pipe) in program.pipes.iter().enumerate() {
        let source = source_of(program, index);
        if pipe.decl.first.is_none() && calls_something(program, pipe) && is_constant(program, pipe)
        {
            let value = render::constant(&constant, program, source, index);
            folded.extend(value.and_then(detach).map(|value| (index, value)));
        }
    }
    for (index, value) in folded {
        let value = match value {
            Constant::Known(folded) => folded,
            Constant::Text(bytes) => {
                program.strings.push(bytes);
                Folded::Str(StrId(program.strings.len() as u32 - 1))
            }
        };
        if let Some(pipe) = program.pipes.get_mut(index) {
            pipe.folded = Some(value);
        }
    }
}

/// A parser must not be made to work by what it parses.
fn constant_limits(limits: Limits) -> Limits {
    Limits {
        fuel: limits.fuel.min(1_000),
        built: limits.built.min(4_096),
        ..limits
    }
}

enum Constant {
    Known(Folded),
    Text(Box<[u8]>),
}

fn detach(value: Value<'_>) -> Option<Constant> {
    Some(match value {
        Value::Bool(b) => Constant::Known(Folded::Bool(b)),
        Value::Int(n, kind) => Constant::Known(Folded::Int(n, kind)),
        Value::Float(f) => Constant::Known(Folded::Float(f)),
        Value::Str(text) => Constant::Text(text.as_bytes().into()),
        _ => return None,
    })
}

fn source_of(program: &Program, pipe: usize) -> usize {
    program
        .pipe_sources
        .partition_point(|first| *first as usize <= pipe)
        .saturating_sub(1)
}

fn commands<'p>(program: &'p Program, pipe: &Pipe) -> &'p [Command] {
    pipe.commands.of(&program.commands)
}

fn calls_something(program: &Program, pipe: &Pipe) -> bool {
    commands(program, pipe).iter().any(|command| {
        let head = program.expr(command.head).map(|head| head.kind);
        matches!(head, Some(ExprKind::Function(_)))
    })
}

fn is_constant(program: &Program, pipe: &Pipe) -> bool {
    commands(program, pipe).iter().all(|command| {
        let operands = command.args.of(&program.args).iter();
        std::iter::once(&command.head).chain(operands).all(|id| {
            match program.expr(*id).map(|expr| expr.kind) {
                Some(ExprKind::Function(FunctionId::Builtin(index))) => {
                    functions::builtin(index).is_some_and(|builtin| builtin.pure)
                }
                Some(
                    ExprKind::Bool(_)
                    | ExprKind::Number(_)
                    | ExprKind::Literal(_)
                    | ExprKind::Escaped(_)
                    | ExprKind::Nil,
                ) => true,
                Some(ExprKind::Pipe(inner)) => program
                    .pipe(inner)
                    .is_some_and(|inner| inner.decl.first.is_none() && is_constant(program, inner)),
                _ => false,
            }
        })
    })
}

/// Compiles the patterns that stand as literals before a function of regular expressions.
fn compile_patterns(settings: &Settings, program: &mut Program) {
    let mut found: Vec<(Box<str>, regex::bytes::Regex)> = Vec::new();
    for (index, pipe) in program.pipes.iter().enumerate() {
        let Some(source) = program.sources.get(source_of(program, index)) else {
            continue;
        };
        for command in commands(program, pipe) {
            let takes_pattern = match program.expr(command.head).map(|head| head.kind) {
                Some(ExprKind::Function(FunctionId::Builtin(index))) => functions::builtin(index)
                    .is_some_and(|builtin| builtin.name.to_ascii_lowercase().contains("regex")),
                _ => false,
            };
            let first = command
                .args
                .of(&program.args)
                .first()
                .and_then(|first| program.expr(*first));
            let pattern = match first.map(|first| first.kind) {
                Some(ExprKind::Literal(span)) => {
                    source.text.get(span.start as usize..span.end as usize)
                }
                Some(ExprKind::Escaped(id)) => std::str::from_utf8(program.string(id)).ok(),
                _ => None,
            };
            let Some(pattern) = pattern.filter(|_| takes_pattern && found.len() < MOST_PATTERNS)
            else {
                continue;
            };
            if !found.iter().any(|(known, _)| **known == *pattern)
                && let Ok(regex) = compile(pattern, settings.limits.regex)
            {
                found.push((pattern.into(), regex));
            }
        }
    }
    program.regexes = found;
}

/// A template of many patterns compiles the others while rendering, at the cost of fuel.
const MOST_PATTERNS: usize = 64;
