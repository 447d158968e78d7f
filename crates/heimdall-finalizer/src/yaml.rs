//! YAML (and so JSON) into a tree with lines.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Options, Spanned};

use crate::settings::{Issue, Node, NodeKind};

/// Reads one document. An empty text is [`NodeKind::Null`].
///
/// # Errors
/// The first thing that is no YAML, with its line.
pub fn parse(text: &str) -> Result<Node, Issue> {
    let mut options = Options::default();
    // rule sets of a hundred thousand rules are legal; the texts come from the operator
    options.budget = None;
    // `on` and `off` are words, as in YAML 1.2 and in Go
    options.strict_booleans = true;
    options.with_snippet = false;
    let parsed: Result<Option<Lined>, _> = serde_saphyr::from_str_with_options(text, options);
    match parsed {
        Ok(node) => Ok(node.map(|lined| lined.0).unwrap_or_default()),
        Err(error) => {
            let line = error
                .location()
                .and_then(|at| usize::try_from(at.line()).ok())
                .unwrap_or_default();
            let message = error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            Err(Issue {
                line,
                key: String::new(),
                message,
                nearest: None,
            })
        }
    }
}

struct Lined(Node);

impl<'de> Deserialize<'de> for Lined {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Bare>::deserialize(deserializer)?;
        let line = usize::try_from(spanned.referenced.line()).unwrap_or_default();
        Ok(Self(Node {
            line,
            kind: spanned.value.0,
        }))
    }
}

struct Bare(NodeKind);

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BareVisitor).map(Self)
    }
}

struct BareVisitor;

impl<'de> Visitor<'de> for BareVisitor {
    type Value = NodeKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<NodeKind, E> {
        Ok(NodeKind::Null)
    }

    fn visit_none<E>(self) -> Result<NodeKind, E> {
        Ok(NodeKind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<NodeKind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<NodeKind, E> {
        Ok(NodeKind::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<NodeKind, E> {
        Ok(NodeKind::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<NodeKind, E> {
        Ok(i64::try_from(number).map_or(NodeKind::Float(number as f64), NodeKind::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<NodeKind, E> {
        Ok(NodeKind::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<NodeKind, E> {
        Ok(NodeKind::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<NodeKind, E> {
        Ok(NodeKind::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NodeKind, A::Error> {
        let mut list = Vec::new();
        while let Some(Lined(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(NodeKind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<NodeKind, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            let Lined(value) = members.next_value()?;
            map.push((key, value));
        }
        Ok(NodeKind::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_kinds_and_lines() {
        let node =
            parse("a: 7\nb: \"7\"\nc:\n  - true\n  - on\n  - ~\nd: {e: 1.5, f: x}\n").unwrap();
        assert_eq!(node.get("a").unwrap().kind, NodeKind::Int(7));
        assert_eq!(node.get("b").unwrap().kind, NodeKind::Text("7".into()));
        assert_eq!(node.get("b").unwrap().line, 2);
        let NodeKind::List(items) = &node.get("c").unwrap().kind else {
            panic!("no list")
        };
        assert_eq!(items[0].kind, NodeKind::Bool(true));
        assert_eq!(items[1].kind, NodeKind::Text("on".into()));
        assert_eq!((items[2].line, items[2].kind.clone()), (6, NodeKind::Null));
        assert_eq!(
            node.get("d").unwrap().get("e").unwrap().kind,
            NodeKind::Float(1.5)
        );
    }

    #[test]
    fn an_empty_text_is_nothing_and_json_is_yaml() {
        assert!(parse("").unwrap().is_null());
        assert!(parse("# nothing\n").unwrap().is_null());
        assert_eq!(
            parse("{\"a\": [1, \"x\"]}").unwrap().get("a").unwrap().line,
            1
        );
    }

    #[test]
    fn a_key_twice_is_refused_with_its_line() {
        assert_eq!(parse("a: 1\nb: 2\na: 3\n").unwrap_err().line, 3);
        assert!(parse("a: [1\n").is_err());
    }
}
