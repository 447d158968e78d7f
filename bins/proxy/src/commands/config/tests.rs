use std::path::{Path, PathBuf};

use heimdall_finalizer::settings::{Node, NodeKind};
use heimdall_finalizer::yaml;
use heimdall_pipeline::{Config, Mode, Relaxed, Source};
use serde_json::{Map, Value};

use super::{CONFIGURATION, EXAMPLE, RULE_SET};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn parsed(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap()
}

fn json(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Bool(flag) => (*flag).into(),
        NodeKind::Int(number) => (*number).into(),
        NodeKind::Float(number) => (*number).into(),
        NodeKind::Text(text) => text.clone().into(),
        NodeKind::List(items) => items.iter().map(json).collect(),
        NodeKind::Map(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), json(member)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// What a schema of ours has against a value; keywords that we do not use are unknown here.
fn against(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let known = root.pointer(name.trim_start_matches('#')).unwrap();
        return against(root, known, value, at);
    }
    let mut wrong = Vec::new();
    let kinds = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.clone(),
        Some(kind) => vec![kind.clone()],
        None => Vec::new(),
    };
    let fits = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        _ => value.is_i64(),
    };
    if !kinds.is_empty() && !kinds.iter().any(fits) {
        return vec![format!("{at}: {value} is no {kinds:?}")];
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        wrong.push(format!("{at}: {value} is not {}", schema["const"]));
    }
    if schema
        .get("enum")
        .and_then(Value::as_array)
        .is_some_and(|words| !words.contains(value))
    {
        wrong.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if value.get(name.as_str().unwrap()).is_none() {
            wrong.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let inner = schema
            .pointer(&format!("/properties/{name}"))
            .or_else(|| schema.get("additionalProperties"));
        match inner {
            Some(Value::Bool(false)) => wrong.push(format!("{at}.{name} is unknown")),
            Some(inner) => wrong.extend(against(root, inner, member, &format!("{at}.{name}"))),
            None => {}
        }
    }
    if let (Some(items), Some(inner)) = (value.as_array(), schema.get("items")) {
        for (index, item) in items.iter().enumerate() {
            wrong.extend(against(root, inner, item, &format!("{at}[{index}]")));
        }
    }
    if let Some(ways) = schema.get("oneOf").and_then(Value::as_array) {
        let failures: Vec<_> = ways
            .iter()
            .map(|way| against(root, way, value, at))
            .collect();
        if failures.iter().filter(|failure| failure.is_empty()).count() != 1 {
            // Of the ways, the one that is least wrong tells what is meant.
            wrong.extend(
                failures
                    .into_iter()
                    .min_by_key(Vec::len)
                    .into_iter()
                    .flatten(),
            );
        }
    }
    wrong
}

fn problems(schema: &Value, text: &str) -> Vec<String> {
    let tree = json(&yaml::parse(text).unwrap());
    if tree.is_null() {
        Vec::new()
    } else {
        against(schema, schema, &tree, "")
    }
}

#[test]
fn every_file_of_the_tables_that_loads_fits_the_schema() {
    let tables = root().join("tests/vectors/proxy");
    let (configuration, rules) = (parsed(CONFIGURATION), parsed(RULE_SET));
    let mut looked = 0;
    for line in std::fs::read_to_string(tables.join("load.jsonl"))
        .unwrap()
        .lines()
    {
        let case: Value = serde_json::from_str(line).unwrap();
        if case["accept"] != true {
            continue;
        }
        let schema = if case["kind"] == "config" {
            &configuration
        } else {
            &rules
        };
        let text =
            std::fs::read_to_string(tables.join("load").join(case["file"].as_str().unwrap()))
                .unwrap();
        assert_eq!(
            problems(schema, &text),
            Vec::<String>::new(),
            "{}",
            case["id"]
        );
        looked += 1;
    }
    for entry in std::fs::read_dir(tables.join("scenarios")).unwrap() {
        let folder = entry.unwrap().path();
        let config = std::fs::read_to_string(folder.join("config.yaml")).unwrap();
        // Ports stand in these files as `${SERVICE_PORT}`.
        let config = config
            .replace("${SERVICE_PORT}", "1")
            .replace("${MANAGEMENT_PORT}", "2");
        if folder.ends_with("090-environment") {
            continue; // variables stand where numbers are wanted
        }
        assert_eq!(
            problems(&configuration, &config),
            Vec::<String>::new(),
            "{}",
            folder.display()
        );
        looked += 1;
    }
    assert!(looked > 100);
}

#[test]
fn the_example_loads_and_names_every_key_of_the_schema() {
    let keys = root().join("tests/vectors/proxy/load/es256.pem");
    let chain = root().join("tests/vectors/proxy/load/chain.pem");
    let text = EXAMPLE
        .replace("/etc/heimdall/signer.pem", keys.to_str().unwrap())
        .replace("/etc/heimdall/tls.pem", chain.to_str().unwrap())
        .replace(
            "/etc/heimdall/authorities.pem",
            root()
                .join("tests/vectors/proxy/load/ca.pem")
                .to_str()
                .unwrap(),
        );
    let schema = parsed(CONFIGURATION);
    assert_eq!(problems(&schema, &text), Vec::<String>::new());
    let source = Source {
        name: "example".to_owned(),
        text,
    };
    let config = Config::parse(&source, &|_| None, &[], "HEIMDALLCFG_").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    crate::compile(
        &config,
        Mode::Proxy,
        Relaxed::default(),
        &crate::Deps::system().unwrap(),
    )
    .unwrap();
    let mut missing = Vec::new();
    names(&schema, &mut |name| {
        if !EXAMPLE.contains(&format!("{name}:")) {
            missing.push(name.to_owned());
        }
    });
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "keys that the example does not show"
    );
}

fn names(schema: &Value, tell: &mut dyn FnMut(&str)) {
    match schema {
        Value::Object(members) => {
            for (name, inner) in members {
                if let ("properties", Value::Object(properties)) = (name.as_str(), inner) {
                    properties.keys().for_each(|name| tell(name));
                }
                names(inner, tell);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, tell)),
        _ => {}
    }
}
