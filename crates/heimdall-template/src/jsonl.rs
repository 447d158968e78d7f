//! Many renders by lines of JSON: what `heimdall template render --jsonl` answers.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::{Document, DocumentError, Engine, Error, ErrorKind};

/// Data sets by name, and the engine that renders over them.
pub struct Batch {
    engine: Engine,
    sets: BTreeMap<String, Document>,
}

impl Batch {
    /// The members of `data` are the data sets.
    ///
    /// # Errors
    /// When `data` or a member of it is no JSON object that makes a [`Document`].
    pub fn new(engine: Engine, data: Json) -> Result<Self, DocumentError> {
        let Json::Object(sets) = data else {
            return Err(DocumentError("the data are no JSON object".into()));
        };
        let sets = sets
            .into_iter()
            .map(|(name, json)| Ok((name, Document::new(json)?)));
        Ok(Self {
            engine,
            sets: sets.collect::<Result<_, DocumentError>>()?,
        })
    }

    /// Answers one line, `{"id","template","data"}`, with `{"id","output"}` or `{"id","error","message"}`.
    pub fn answer(&self, line: &str) -> String {
        let request: Json = match serde_json::from_str(line) {
            Ok(request) => request,
            Err(error) => {
                return json!({"id": null, "error": "exec", "message": error.to_string()})
                    .to_string();
            }
        };
        let id = request.get("id").cloned().unwrap_or_default();
        let text = |name: &str| request.get(name).and_then(Json::as_str);
        let Some(template) = text("template") else {
            return json!({"id": id, "error": "exec", "message": "`template` is missing"})
                .to_string();
        };
        let Some(data) = self.sets.get(text("data").unwrap_or_default()) else {
            return json!({"id": id, "error": "exec", "message": "`data` names no data set"})
                .to_string();
        };
        let rendered = self
            .engine
            .parse("t", template)
            .and_then(|template| template.render_to_string(data));
        match rendered {
            Ok(output) => json!({"id": id, "output": output}).to_string(),
            Err(error) => {
                json!({"id": id, "error": phase(&error), "message": error.to_string()}).to_string()
            }
        }
    }
}

fn phase(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Parse => "parse",
        ErrorKind::Exec => "exec",
        ErrorKind::Limit(_) => "limit",
    }
}
