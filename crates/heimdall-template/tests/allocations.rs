//! Rendering fields and literals takes no memory. Alone in its program, since it counts for the whole of it.

#![allow(clippy::unwrap_used)]

use std::alloc::System;

use heimdall_template::Engine;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn fields_literals_conditions_and_ranges_take_no_memory() {
    let text = r#"{"sub": {{ .Subject.ID }}, "n": {{ $.n }}, {{ if .flag }}yes{{ else }}no{{ end }}{{ range .groups }}{{ . }},{{ end }}{{ with .Subject }}{{ .ID }}{{ end }}"#;
    let template = Engine::default().parse("t", text).unwrap();
    let data = json!({"Subject": {"ID": "alice"}, "n": "7", "flag": true, "groups": ["a", "b"]});
    let mut out = String::with_capacity(1024);
    template.render(&data, &mut out).unwrap();
    out.clear();
    let region = Region::new(ALLOCATOR);
    template.render(&data, &mut out).unwrap();
    assert_eq!(region.change().allocations, 0);
    assert_eq!(out, r#"{"sub": alice, "n": 7, yesa,b,alice"#);
}
