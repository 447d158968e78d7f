use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// The line of a key such as `api.listen` or `rules[1].id` in a YAML text; of the nearest enclosing key if it is not
/// there itself.
pub(super) fn line(text: &str, key: &str) -> Option<u64> {
    let root: Node = serde_saphyr::from_str(text).ok()?;
    let mut line = None;
    let mut node = &root;
    for part in key
        .replace('[', ".")
        .replace(']', "")
        .split('.')
        .filter(|p| !p.is_empty())
    {
        let found = match node {
            Node::Map(members) => members
                .iter()
                .find(|(name, _, _)| name == part)
                .map(|(_, at, inner)| (*at, inner)),
            Node::Seq(items) => part
                .parse::<usize>()
                .ok()
                .and_then(|i| items.get(i))
                .map(|(at, inner)| (*at, inner)),
            Node::Leaf => None,
        };
        let Some((at, inner)) = found else { break };
        line = Some(at);
        node = inner;
    }
    line
}

enum Node {
    Map(Vec<(String, u64, Node)>),
    Seq(Vec<(u64, Node)>),
    Leaf,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

macro_rules! leaves {
    ($($name:ident: $kind:ty),*) => {$(
        fn $name<E>(self, _: $kind) -> Result<Node, E> {
            Ok(Node::Leaf)
        }
    )*};
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    leaves!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Node>>()? {
            all.push((item.referenced.line(), item.value));
        }
        Ok(Node::Seq(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(key) = members.next_key::<Spanned<String>>()? {
            all.push((key.value, key.referenced.line(), members.next_value()?));
        }
        Ok(Node::Map(all))
    }
}
