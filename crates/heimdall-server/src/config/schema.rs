use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

/// The JSON Schema (2020-12) of a settings struct, with the doc comments as descriptions.
pub fn schema<T: utoipa::ToSchema>() -> Value {
    let mut all: Vec<(String, RefOr<Schema>)> = Vec::new();
    T::schemas(&mut all);
    let mut root = serde_json::to_value(T::schema()).unwrap_or_default();
    let definitions: Map<String, Value> = all
        .into_iter()
        .filter_map(|(name, one)| Some((name, serde_json::to_value(one).ok()?)))
        .collect();
    if let Value::Object(members) = &mut root {
        members.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        members.insert("$defs".to_owned(), Value::Object(definitions));
    }
    redirect(&mut root);
    root
}

// utoipa points into an OpenAPI document; a schema file has its definitions beside itself.
fn redirect(value: &mut Value) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(name, member)| match member {
            Value::String(target) if name == "$ref" => {
                *target = target.replace("#/components/schemas/", "#/$defs/")
            }
            other => redirect(other),
        }),
        Value::Array(items) => items.iter_mut().for_each(redirect),
        _ => {}
    }
}

/// A commented YAML file: every key of the schema with its description and its default, commented out.
pub fn example(schema: &Value, defaults: &Value) -> String {
    let mut out = String::new();
    write_object(&mut out, schema, schema, defaults, 0);
    out
}

fn write_object(out: &mut String, root: &Value, node: &Value, defaults: &Value, depth: usize) {
    let node = resolve(root, node);
    let Some(Value::Object(properties)) = node.get("properties") else {
        return;
    };
    let indent = "  ".repeat(depth);
    for (name, property) in properties {
        let target = resolve(root, property);
        let said = property
            .get("description")
            .or_else(|| target.get("description"))
            .and_then(Value::as_str);
        for line in said.unwrap_or_default().lines().filter(|l| !l.is_empty()) {
            out.push_str(&format!("# {indent}# {line}\n"));
        }
        let default = defaults.get(name).unwrap_or(&Value::Null);
        if target.get("properties").is_some() && default.is_null() {
            // Left out by default, and some of its keys have no default at all: shown, but not to be switched on whole.
            out.push_str(&format!("# {indent}{name}: null\n"));
            let mut keys = String::new();
            write_object(&mut keys, root, target, default, depth + 1);
            let inner = format!("# {indent}");
            for line in keys.lines() {
                let line = line.strip_prefix(&inner).unwrap_or(line);
                out.push_str(&format!("# {indent}# {}\n", line.replace(": null", ": …")));
            }
        } else if target.get("properties").is_some() {
            out.push_str(&format!("# {indent}{name}:\n"));
            write_object(out, root, target, default, depth + 1);
        } else {
            out.push_str(&format!("# {indent}{name}: {default}\n"));
        }
    }
}

fn resolve<'a>(root: &'a Value, node: &'a Value) -> &'a Value {
    let alternatives = ["oneOf", "anyOf", "allOf"]
        .iter()
        .find_map(|k| node.get(k)?.as_array());
    let node = alternatives
        .and_then(|all| {
            all.iter()
                .find(|one| one.get("type") != Some(&json!("null")))
        })
        .unwrap_or(node);
    let Some(target) = node.get("$ref").and_then(Value::as_str) else {
        return node;
    };
    target
        .strip_prefix("#/$defs/")
        .and_then(|name| root.get("$defs")?.get(name))
        .unwrap_or(node)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::LimitSettings;

    #[derive(Serialize, Deserialize, Default, utoipa::ToSchema)]
    struct Settings {
        /// How often who may ask.
        limits: LimitSettings,
        /// A name.
        name: Option<String>,
        /// Key and certificate.
        tls: Option<crate::tls::TlsSettings>,
    }

    #[test]
    fn schema_and_example_follow_from_the_struct() {
        let schema = schema::<Settings>();
        assert!(
            schema["$defs"]["LimitSettings"]["properties"]["burst"].is_object(),
            "{schema}"
        );
        let example = example(&schema, &serde_json::to_value(Settings::default()).unwrap());
        assert!(example.contains("# limits:\n"), "{example}");
        assert!(example.contains("#   burst: 200\n"), "{example}");
        assert!(
            example.contains("# tls: null\n# #   # PEM file"),
            "{example}"
        );
        let switched_on = example.replace("# ", "");
        let lines = switched_on
            .lines()
            .filter(|line| !line.contains('…') && (line.contains(':') || line.is_empty()));
        let text = lines.collect::<Vec<_>>().join("\n");
        assert_eq!(
            serde_saphyr::from_str::<Value>(&text).unwrap()["limits"]["burst"],
            200
        );
    }
}
