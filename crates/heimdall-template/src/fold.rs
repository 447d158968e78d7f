//! What can be known before rendering: constant pipelines and literal patterns.

use crate::context::compile;
use crate::engine::Settings;
use crate::fmt::Format;
use crate::functions::{self, Body, FunctionId};
use crate::program::{Command, ExprKind, Folded, Form, FormatId, Pipe, Program, StrId};
use crate::render;
use crate::{Limits, Value};

/// Computes what does not depend on data, and tells the shapes of the other pipelines. What would be an error stays as
/// it is, to be one while rendering.
pub(crate) fn fold(settings: &Settings, program: &mut Program) {
    compile_literals(settings, program);
    shape(program);
    let constants: Vec<usize> = (0..program.pipes.len())
        .filter(|index| {
            program.pipes.get(*index).is_some_and(|pipe| {
                pipe.decl.first.is_none()
                    && calls_something(program, pipe)
                    && is_constant(program, pipe)
            })
        })
        .collect();
    if constants.is_empty() {
        return;
    }
    let without_world = Settings {
        limits: constant_limits(settings.limits),
        environment: None,
        ..settings.clone()
    };
    for index in constants {
        let source = source_of(program, index);
        let value = render::constant(&without_world, program, source, index).and_then(detach);
        let folded = match value {
            None => continue,
            Some(Constant::Known(folded)) => folded,
            Some(Constant::Text(bytes)) => {
                program.strings.push(bytes);
                Folded::Str(StrId(program.strings.len() as u32 - 1))
            }
        };
        if let Some(pipe) = program.pipes.get_mut(index) {
            pipe.form = Form::Folded(folded);
        }
    }
}

/// Finds the pipelines of one operand, and those that end in a function that writes.
fn shape(program: &mut Program) {
    let Program {
        pipes,
        commands,
        exprs,
        ..
    } = program;
    for pipe in pipes {
        let Some((last, before)) = pipe.commands.of(commands.as_slice()).split_last() else {
            continue;
        };
        let Some(head) = exprs.get(last.head.0 as usize) else {
            continue;
        };
        pipe.form = match head.kind {
            ExprKind::Function(FunctionId::Builtin(index)) => {
                match functions::builtin(index).map(|builtin| builtin.body) {
                    Some(Body::Text(_)) => Form::Written(index),
                    _ => Form::Commands,
                }
            }
            ExprKind::Function(_) | ExprKind::Nil => Form::Commands,
            _ if before.is_empty() && last.args.is_empty() => Form::Operand(last.head),
            _ => Form::Commands,
        };
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

/// Compiles the patterns and cuts the formats that stand as literals before the functions that take them.
fn compile_literals(settings: &Settings, program: &mut Program) {
    let mut regexes: Vec<(Box<str>, regex::bytes::Regex)> = Vec::new();
    let mut formats: Vec<(usize, Format)> = Vec::new();
    for (index, pipe) in program.pipes.iter().enumerate() {
        for (stage, command) in commands(program, pipe).iter().enumerate() {
            let Some(ExprKind::Function(FunctionId::Builtin(function))) =
                program.expr(command.head).map(|head| head.kind)
            else {
                continue;
            };
            let name = functions::builtin(function).map_or("", |builtin| builtin.name);
            let takes_pattern = name.starts_with("regex") || name.starts_with("mustRegex");
            if !takes_pattern && name != "printf" {
                continue;
            }
            let Some(literal) = first_literal(program, index, command) else {
                continue;
            };
            if name == "printf" {
                let args = command.args.len() - 1 + usize::from(stage > 0);
                let place = pipe.commands.start as usize + stage;
                formats.extend(Format::prepare(literal, args).map(|format| (place, format)));
            } else if regexes.len() < MOST_PATTERNS
                && !regexes.iter().any(|(known, _)| **known == *literal)
                && let Ok(regex) = compile(literal, settings.limits.regex)
            {
                regexes.push((literal.into(), regex));
            }
        }
    }
    program.regexes = regexes;
    for (place, format) in formats {
        let id = FormatId(program.formats.len() as u32);
        program.formats.push(format);
        if let Some(command) = program.commands.get_mut(place) {
            command.format = Some(id);
        }
    }
}

/// The first argument, when it is a string literal.
fn first_literal<'p>(program: &'p Program, pipe: usize, command: &Command) -> Option<&'p str> {
    let first = command.args.of(&program.args).first()?;
    match program.expr(*first)?.kind {
        ExprKind::Literal(span) => program
            .sources
            .get(source_of(program, pipe))?
            .text
            .get(span.start as usize..span.end as usize),
        ExprKind::Escaped(id) => std::str::from_utf8(program.string(id)).ok(),
        _ => None,
    }
}

/// A template of many patterns compiles the others while rendering, at the cost of fuel.
const MOST_PATTERNS: usize = 64;
