//! `range` over lists, maps and integers.

use super::{Flow, Frame, Renderer};
use crate::program::{Pipe, PipeId, Run};
use crate::{CallError, Error, Value};

impl<'r> Renderer<'r, '_> {
    pub(super) fn range(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        id: PipeId,
        body: Run,
        otherwise: Run,
    ) -> Result<Flow, Error> {
        let value = self.pipe(frame, dot, id)?;
        let Some(pipe) = self.program.pipe(id) else {
            return Ok(Flow::Next);
        };
        let fail = |frame: &Frame<'r>, message: String| {
            Err(frame.error(pipe.span, CallError::new(message)))
        };
        let ran = match value {
            Value::Missing | Value::Nil => false,
            Value::List(list) => {
                for index in 0..list.len() {
                    let element = list.get(index).unwrap_or_default();
                    if self.iteration(frame, pipe, body, Value::int(index as i64), element)?
                        == Flow::Break
                    {
                        break;
                    }
                }
                !list.is_empty()
            }
            Value::Map(map) => {
                let entries = self.cx.current(map).entries();
                let ran = !entries.is_empty();
                for (key, element) in entries {
                    if self.iteration(frame, pipe, body, Value::Str(key), element)? == Flow::Break {
                        break;
                    }
                }
                ran
            }
            Value::Int(..) | Value::Uint(..) if pipe.decl.second.is_some() => {
                return fail(
                    frame,
                    "can't iterate over an integer with more than one variable".into(),
                );
            }
            Value::Int(end, kind) => {
                for n in 0..end {
                    if self.iteration(frame, pipe, body, Value::Missing, Value::Int(n, kind))?
                        == Flow::Break
                    {
                        break;
                    }
                }
                end > 0
            }
            Value::Uint(end, kind) => {
                for n in 0..end {
                    if self.iteration(frame, pipe, body, Value::Missing, Value::Uint(n, kind))?
                        == Flow::Break
                    {
                        break;
                    }
                }
                end > 0
            }
            value => {
                return fail(
                    frame,
                    format!("range can't iterate over {}", value.type_name()),
                );
            }
        };
        if ran {
            Ok(Flow::Next)
        } else {
            self.nested(frame, dot, otherwise)
        }
    }

    fn iteration(
        &mut self,
        frame: &mut Frame<'r>,
        pipe: &Pipe,
        body: Run,
        index: Value<'r>,
        element: Value<'r>,
    ) -> Result<Flow, Error> {
        self.charge(frame, pipe.span)?;
        match (pipe.decl.first, pipe.decl.second) {
            (Some(first), Some(second)) => {
                frame.set(first.slot, index);
                frame.set(second.slot, element.clone());
            }
            (Some(first), None) => frame.set(first.slot, element.clone()),
            _ => {}
        }
        self.nested(frame, &element, body)
    }
}
