//! CEL expressions: compiled and checked at load, evaluated over data that is only looked at where it is named.

mod check;
mod data;
mod functions;
mod rewrite;

use std::sync::atomic::AtomicU64;

use cel::common::ast::IdedExpr;
use cel::{Context, Value};

pub(crate) use data::Facts;

/// A boolean expression.
#[derive(Clone)]
pub(crate) struct Expression {
    source: String,
    tree: IdedExpr,
    reads_body: bool,
}

/// A longer text is no condition.
const LONGEST: usize = 16 * 1024;

impl Expression {
    /// Parses, checks names, functions and types, and that the result is a boolean.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        if source.trim().is_empty() {
            return Err("is empty".to_owned());
        }
        if source.len() > LONGEST {
            return Err("is too long".to_owned());
        }
        let tree = functions::environment()
            .parser()
            .parse(source)
            .map_err(|errors| {
                errors
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })?;
        check::boolean(&tree)?;
        let expression = Self {
            source: source.to_owned(),
            tree: rewrite::flatten(tree),
            reads_body: source.contains("Body"),
        };
        if !check::VARIABLES.iter().any(|name| source.contains(name)) {
            // What depends on nothing fails now or never.
            expression.holds(&Facts::default())?;
        }
        Ok(expression)
    }

    /// The text as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it may look at the body of the request.
    pub(crate) fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// What went wrong: a missing attribute, a value of the wrong kind.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let fuel = AtomicU64::new(data::FUEL);
        let facts = Facts {
            fuel: Some(&fuel),
            ..*facts
        };
        let mut context = Context::with_env(functions::environment().clone());
        context.set_variable_resolver(&facts);
        match Value::resolve(&self.tree, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("result is no boolean".to_owned()),
            Err(error) => Err(rewrite::readable(&error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use heimdall_finalizer::{Body, Failure, Kind, Outputs, Scene, Subject};
    use serde_json::json;

    use super::*;
    use crate::{Gate, RawHead};

    fn holds(expression: &str) -> Result<bool, String> {
        let headers = vec![
            ("x-flag".to_owned(), "on".to_owned()),
            ("cookie".to_owned(), "c=v1; d=2".to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let raw = RawHead {
            method: "GET",
            target: "/cel/path?a=1&a=2",
            authority: Some("app.example"),
            tls: false,
            peer: IpAddr::from([127, 0, 0, 1]),
            headers: &headers,
        };
        let request = Gate::default().admit(raw).unwrap();
        let body = Body::new(&request, Some(br#"{"amount": 12.5}"#));
        let captures = vec![("id".to_owned(), "42".to_owned())];
        let scene = Scene {
            request: &request,
            captures: &captures,
            body: &body,
            path_decoded: false,
        };
        let mut subject = Subject::named("ann");
        subject.attributes = json!({"groups": ["ops", "sre"], "level": 7, "address": {"city": "Ghent"}, "none": null})
            .as_object()
            .cloned()
            .unwrap();
        let outputs: Outputs = json!({"facts": {"plan": "pro", "who": "ann"}})
            .as_object()
            .cloned()
            .unwrap();
        let failure = Failure::new(Kind::Authentication, "x")
            .and(Kind::Argument)
            .by(&"login".into(), &"step".into());
        let facts = Facts {
            scene: Some(&scene),
            subject: Some(&subject),
            outputs: Some(&outputs),
            failure: Some(&failure),
            ..Facts::default()
        };
        Expression::compile(expression)?.holds(&facts)
    }

    #[test]
    fn what_the_documentation_shows_works() {
        for expression in [
            r#""ops" in Subject.Attributes.groups"#,
            r#"has(Subject.Attributes.groups) && Subject.Attributes.groups.exists(g, g == "sre")"#,
            "!has(Subject.Attributes.absent)",
            "!has(Subject.Attributes.address.zip)",
            "Subject.Attributes.level >= 7 && Subject.Attributes.level >= 7.0 && Subject.Attributes.level == 7",
            r#"Subject.Attributes.address.city == "Ghent""#,
            r#"Subject.Attributes["address"]["city"] == "Ghent""#,
            r#"Request.Header("X-Flag") == "on" && Request.Header("Nope") == """#,
            r#"Request.Cookie("c").startsWith("v")"#,
            r#"Request.URL.Path.split("/").last() == "path""#,
            r#""a" in Request.URL.Query() && Request.URL.Query()["a"][0] == "1""#,
            r#"Request.URL.Query().exists(k, k == "a")"#,
            r#"Request.URL.Captures.id.matches("^[0-9]+$")"#,
            r#"Request.ClientIPAddresses.all(ip, ip in networks(["127.0.0.0/8", "10.0.0.0/8"]))"#,
            r#"!(Request.ClientIPAddresses[0] in networks("10.0.0.0/8"))"#,
            r#"Request.ClientIPAddresses in networks("127.0.0.0/8")"#,
            r#"Request.URL.Hostname() == "app.example" && Request.URL.Port() == """#,
            r#"Request.URL.String() == "http://app.example/cel/path?a=1&a=2""#,
            "Request.Body().amount < 100.0",
            r#""abc123def456".regexFind("[0-9]+") == "123" && size("a1b2".regexFindAll("[0-9]")) == 2"#,
            r#"[1, 2, 3].at(-1) == 3 && [1, 2].last() == 2 && "a,b".split(",").size() == 2"#,
            r#""Hello".lowerAscii() == "hello" && "a-b".replace("-", "_") == "a_b" && " x ".trim() == "x""#,
            "math.greatest(1, 5, 3) == 5",
            "sets.contains([1, 2, 3], [2]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 2], [2, 1])",
            r#"base64.decode("aGk=") == b"hi""#,
            r#"timestamp("2024-01-01T00:00:00Z") < timestamp("2025-01-01T00:00:00Z") && duration("1h") > duration("59m")"#,
            "type(Subject.ID) == string",
            r#"Subject.ID == "ann" ? true : false"#,
            r#"Subject.Attributes.groups.map(g, g + "!").filter(g, g.startsWith("o")).size() == 1"#,
            r#"Outputs.facts.plan == "pro" && Outputs["facts"].who == Subject.ID"#,
            r#"Request.Method in ["GET", "HEAD"]"#,
            "type(Error) == authentication_error && type(Error) == precondition_error",
            "type(Error) != internal_error",
            "type(Error) in [authorization_error, authentication_error]",
            r#"Error.Source == "login" && Error.StepID == "step""#,
            "Subject.Attributes.none == null",
        ] {
            assert_eq!(holds(expression), Ok(true), "{expression}");
        }
    }

    #[test]
    fn what_is_missing_is_an_error_when_evaluated() {
        for expression in [
            r#"Subject.Attributes.absent == "x""#,
            r#"Request.URL.Captures["nope"] == "x""#,
            r#"Outputs.nope.x == "y""#,
            r#"Values.x == "y""#,
            r#"Subject.Attributes.groups.x == "y""#,
        ] {
            assert!(Expression::compile(expression).is_ok(), "{expression}");
            assert!(holds(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn nested_macros_over_large_data_end_in_an_error() {
        let items: Vec<u32> = (0..5_000).collect();
        let payload = json!({ "items": items });
        let facts = Facts {
            payload: Some(&payload),
            ..Facts::default()
        };
        let expression = "Payload.items.exists(a, Payload.items.exists(b, b < 0.0))";
        assert!(
            Expression::compile(expression)
                .unwrap()
                .holds(&facts)
                .is_err()
        );
        let once = Expression::compile("Payload.items.exists(a, a == 4999.0)").unwrap();
        assert_eq!(once.holds(&facts), Ok(true));
        let deep = "[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))";
        assert!(Expression::compile(deep).is_err());
        assert!(Expression::compile("[1].all(a, size(lists.range(1000000)) > 0)").is_err());
    }

    #[test]
    fn what_is_wrong_is_seen_at_load() {
        for expression in [
            "",
            "a ==",
            "1 + 1",
            "Subject.ID",
            "Subject.Attributes.flag",
            r#"User.ID == "a""#,
            "frob(Subject)",
            "Payload",
            r#"Request.Header("x")"#,
            r#"Request.Header("x") == 1"#,
            r#"1 + "a" == 2"#,
            "1 && true",
            "type(Error) == teapot_error",
            "Values.some_key == foo",
            "true ? 1 : 2",
            "!1",
            "[1].frob()",
        ] {
            assert!(Expression::compile(expression).is_err(), "{expression}");
        }
    }
}
