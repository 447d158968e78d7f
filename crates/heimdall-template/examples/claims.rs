//! A claims template over a subject, as a finalizer renders it.
//!
//! `cargo run -p heimdall-template --example claims`; with `-- lines DATA.json` it answers JSON lines from standard
//! input over the data sets of the file.

#![allow(clippy::disallowed_methods)]

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};

use heimdall_template::{Batch, Document, Engine};
use serde_json::json;

const CLAIMS: &str = r#"{
  "email": {{ quote .Subject.Attributes.email }},
  "groups": [{{ range $i, $g := .Subject.Attributes.groups }}{{ if $i }}, {{ end }}{{ quote $g }}{{ end }}]
}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("lines") {
        let file = args.next().ok_or("which data file?")?;
        let batch = Batch::new(
            Engine::default(),
            serde_json::from_str(&std::fs::read_to_string(file)?)?,
        )?;
        for line in io::stdin().lock().lines() {
            writeln!(out, "{}", batch.answer(&line?))?;
        }
        return Ok(());
    }
    let engine = Engine::default();
    let template = engine.parse("claims", CLAIMS)?;
    let data = Document::new(json!({
        "Subject": {"ID": "alice", "Attributes": {"email": "alice@example.com", "groups": ["admins", "ops"]}}
    }))?;
    write!(out, "{}", template.render_to_string(&data)?)?;
    Ok(())
}
