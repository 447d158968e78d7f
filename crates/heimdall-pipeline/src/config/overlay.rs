//! Environment variables that override keys of the file.

use heimdall_finalizer::settings::{Node, NodeKind};
use heimdall_finalizer::yaml;

/// Deeper lists than this are nobody's configuration.
const LONGEST_LIST: usize = 1_000;

/// `PREFIX_SERVE_RESPOND_WITH_NO__RULE__ERROR_CODE=421` sets `serve.respond.with.no_rule_error.code`; a number in a
/// name is a place in a list.
pub(super) fn apply(tree: &mut Node, overlay: &[(String, String)], prefix: &str) {
    for (name, value) in overlay {
        let Some(name) = name.strip_prefix(prefix) else {
            continue;
        };
        let key = name
            .to_lowercase()
            .replace("__", "\u{0}")
            .replace('_', ".")
            .replace('\u{0}', "_");
        let path: Vec<&str> = key.split('.').filter(|part| !part.is_empty()).collect();
        if !path.is_empty() {
            set(tree, &path, typed(value));
        }
    }
}

/// The kind that YAML sees in a text.
fn typed(value: &str) -> Node {
    let read = yaml::parse(&format!("val: {value}"))
        .ok()
        .and_then(|node| node.get("val").cloned());
    let kind = read.map_or_else(|| NodeKind::Text(value.to_owned()), |node| node.kind);
    Node { line: 0, kind }
}

fn set(node: &mut Node, path: &[&str], value: Node) {
    let Some((first, rest)) = path.split_first() else {
        *node = value;
        return;
    };
    match first
        .parse::<usize>()
        .ok()
        .filter(|index| *index < LONGEST_LIST)
    {
        Some(index) => {
            if !matches!(node.kind, NodeKind::List(_)) {
                node.kind = NodeKind::List(Vec::new());
            }
            if let NodeKind::List(items) = &mut node.kind {
                if items.len() <= index {
                    items.resize_with(index + 1, Node::default);
                }
                if let Some(item) = items.get_mut(index) {
                    set(item, rest, value);
                }
            }
        }
        None => {
            if !matches!(node.kind, NodeKind::Map(_)) {
                node.kind = NodeKind::Map(Vec::new());
            }
            if let NodeKind::Map(members) = &mut node.kind {
                match members.iter_mut().find(|(known, _)| known == first) {
                    Some((_, member)) => set(member, rest, value),
                    None => {
                        let mut member = Node::default();
                        set(&mut member, rest, value);
                        members.push(((*first).to_owned(), member));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_keys_and_places() {
        let mut tree = yaml::parse("serve: {port: 1}\nlist: [{a: b}]\n").unwrap();
        let overlay = [
            ("X_SERVE_PORT", "2"),
            ("X_SERVE_NO__RULE_CODE", "421"),
            ("X_LIST_1_ID", "c"),
            ("Y_SERVE_PORT", "9"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        apply(&mut tree, &overlay, "X_");
        assert_eq!(
            tree.get("serve").unwrap().get("port").unwrap().kind,
            NodeKind::Int(2)
        );
        assert_eq!(
            tree.get("serve")
                .unwrap()
                .get("no_rule")
                .unwrap()
                .get("code")
                .unwrap()
                .kind,
            NodeKind::Int(421)
        );
        let NodeKind::List(items) = &tree.get("list").unwrap().kind else {
            panic!("no list")
        };
        assert_eq!(items[1].get("id").unwrap().kind, NodeKind::Text("c".into()));
        assert_eq!(items[0].get("a").unwrap().kind, NodeKind::Text("b".into()));
    }
}
