//! A tree of path segments.

use std::collections::HashMap;

use crate::matching::{Accept, Found};

/// Why a path expression can not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("path expression does not begin with a slash")]
    NoSlash,
    #[error("a free wildcard must stand at the end")]
    FreeWildcardInside,
    #[error("wildcards at this place are named differently elsewhere ({0})")]
    NamesDiffer(String),
}

#[derive(Default)]
pub(crate) struct PathTree {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    children: Children,
    single: Option<usize>,
    free: Option<usize>,
    entries: Vec<usize>,
    names: Box<[Box<str>]>,
}

/// Few children lie in a list, many in a map: a node costs little, and a wide one is fast.
enum Children {
    Few(Vec<(Box<str>, usize)>),
    Many(HashMap<Box<str>, usize>),
}

impl Default for Children {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

const FEW: usize = 8;

impl Children {
    fn get(&self, segment: &str) -> Option<usize> {
        match self {
            Self::Few(list) => list
                .iter()
                .find(|(known, _)| &**known == segment)
                .map(|(_, node)| *node),
            Self::Many(map) => map.get(segment).copied(),
        }
    }

    fn put(&mut self, segment: &str, node: usize) {
        match self {
            Self::Few(list) if list.len() < FEW => list.push((segment.into(), node)),
            Self::Few(list) => {
                let mut map: HashMap<_, _> = list.drain(..).collect();
                map.insert(segment.into(), node);
                *self = Self::Many(map);
            }
            Self::Many(map) => {
                map.insert(segment.into(), node);
            }
        }
    }
}

/// A segment of a path expression.
enum Segment<'p> {
    Static(&'p str),
    Single(&'p str),
    Free(&'p str),
}

fn segments(path: &str) -> Result<Vec<Segment<'_>>, PathError> {
    let rest = path.strip_prefix('/').ok_or(PathError::NoSlash)?;
    let mut all = Vec::new();
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        all.push(match part.as_bytes() {
            [b'*', ..] if parts.peek().is_some() => return Err(PathError::FreeWildcardInside),
            [b'*', ..] => Segment::Free(part.strip_prefix('*').unwrap_or_default()),
            [b':', ..] => Segment::Single(part.strip_prefix(':').unwrap_or_default()),
            [b'\\', b'*' | b':' | b'\\', ..] => {
                Segment::Static(part.strip_prefix('\\').unwrap_or_default())
            }
            _ => Segment::Static(part),
        });
    }
    Ok(all)
}

/// Whether a path expression can be used, and the names of its wildcards.
pub(crate) fn check_path(path: &str) -> Result<Vec<String>, PathError> {
    Ok(segments(path)?
        .into_iter()
        .filter_map(|segment| match segment {
            Segment::Static(_) => None,
            Segment::Single(name) | Segment::Free(name) => Some(name.to_owned()),
        })
        .collect())
}

impl PathTree {
    pub(crate) fn insert(&mut self, path: &str, entry: usize) -> Result<(), PathError> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut names: Vec<Box<str>> = Vec::new();
        let mut at = 0;
        for segment in segments(path)? {
            at = match segment {
                Segment::Static(text) => {
                    let known = self.nodes.get(at).and_then(|node| node.children.get(text));
                    known.unwrap_or_else(|| self.grow(at, |node, new| node.children.put(text, new)))
                }
                Segment::Single(name) => {
                    names.push(name.into());
                    let known = self.nodes.get(at).and_then(|node| node.single);
                    known.unwrap_or_else(|| self.grow(at, |node, new| node.single = Some(new)))
                }
                Segment::Free(name) => {
                    names.push(name.into());
                    let known = self.nodes.get(at).and_then(|node| node.free);
                    known.unwrap_or_else(|| self.grow(at, |node, new| node.free = Some(new)))
                }
            };
        }
        if let Some(node) = self.nodes.get_mut(at) {
            if node.entries.is_empty() {
                node.names = names.into();
            } else if *node.names != *names {
                return Err(PathError::NamesDiffer(node.names.join(", ")));
            }
            node.entries.push(entry);
        }
        Ok(())
    }

    fn grow(&mut self, at: usize, link: impl FnOnce(&mut Node, usize)) -> usize {
        let new = self.nodes.len();
        self.nodes.push(Node::default());
        if let Some(node) = self.nodes.get_mut(at) {
            link(node, new);
        }
        new
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &[usize]> {
        self.nodes
            .iter()
            .map(|node| node.entries.as_slice())
            .filter(|entries| !entries.is_empty())
    }

    pub(crate) fn find(&self, path: &str, accept: &mut Accept<'_>) -> Option<Found> {
        let rest = path.strip_prefix('/')?;
        self.descend(self.nodes.first()?, Some(rest), &mut Vec::new(), accept)
    }

    /// `rest` is what is left of the path; `None` behind its last segment.
    fn descend<'p>(
        &self,
        node: &Node,
        rest: Option<&'p str>,
        values: &mut Vec<&'p str>,
        accept: &mut Accept<'_>,
    ) -> Option<Found> {
        let Some(rest) = rest else {
            return take(node, values, accept);
        };
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        let down = |number: usize| self.nodes.get(number);
        if let Some(child) = node.children.get(segment).and_then(down)
            && let Some(found) = self.descend(child, after, values, accept)
        {
            return Some(found);
        }
        if let (false, Some(child)) = (segment.is_empty(), node.single.and_then(down)) {
            values.push(segment);
            let found = self.descend(child, after, values, accept);
            if found.is_some() {
                return found;
            }
            values.pop();
        }
        if let (false, Some(child)) = (rest.is_empty(), node.free.and_then(down)) {
            values.push(rest);
            let found = take(child, values, accept);
            if found.is_some() {
                return found;
            }
            values.pop();
        }
        None
    }
}

fn take(node: &Node, values: &[&str], accept: &mut Accept<'_>) -> Option<Found> {
    let entry = node
        .entries
        .iter()
        .copied()
        .find(|entry| accept(*entry, &node.names, values))?;
    let named = node
        .names
        .iter()
        .zip(values)
        .filter(|(name, _)| &***name != "*");
    Some(Found {
        entry,
        captures: named
            .map(|(name, value)| (name.to_string(), (*value).to_owned()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(paths: &[&str]) -> PathTree {
        let mut tree = PathTree::default();
        for (number, path) in paths.iter().enumerate() {
            tree.insert(path, number).unwrap();
        }
        tree
    }

    fn find(tree: &PathTree, path: &str) -> Option<(usize, Vec<(String, String)>)> {
        tree.find(path, &mut |_, _, _| true)
            .map(|found| (found.entry, found.captures))
    }

    #[test]
    fn static_beats_single_beats_free() {
        let tree = tree(&[
            "/files/readme",
            "/files/:name",
            "/files/*rest",
            "/files/:name/edit",
            "/dir/",
            "/",
            "/esc/\\:x",
        ]);
        let names = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(find(&tree, "/files/readme"), Some((0, vec![])));
        assert_eq!(find(&tree, "/files/x"), Some((1, names(&[("name", "x")]))));
        assert_eq!(
            find(&tree, "/files/x/edit"),
            Some((3, names(&[("name", "x")])))
        );
        assert_eq!(
            find(&tree, "/files/x/y"),
            Some((2, names(&[("rest", "x/y")])))
        );
        assert_eq!(
            find(&tree, "/files/x/"),
            Some((2, names(&[("rest", "x/")])))
        );
        assert_eq!(find(&tree, "/files/"), None);
        assert_eq!(find(&tree, "/dir"), None);
        assert_eq!(find(&tree, "/dir/"), Some((4, vec![])));
        assert_eq!(find(&tree, "/"), Some((5, vec![])));
        assert_eq!(find(&tree, "/esc/:x"), Some((6, vec![])));
    }

    #[test]
    fn the_search_goes_back_and_keeps_captures() {
        let tree = tree(&["/lost/:one/*more", "/lost/:one/list/all", "/lost/a/b/c"]);
        let names = |one: &str, more: &str| {
            vec![
                ("one".to_owned(), one.to_owned()),
                ("more".to_owned(), more.to_owned()),
            ]
        };
        assert_eq!(
            find(&tree, "/lost/x/list/other"),
            Some((0, names("x", "list/other")))
        );
        assert_eq!(find(&tree, "/lost/a/b/d"), Some((0, names("a", "b/d"))));
        let refused = tree
            .find("/lost/x/list/all", &mut |entry, _, _| entry != 1)
            .unwrap();
        assert_eq!(
            (refused.entry, refused.captures),
            (0, names("x", "list/all"))
        );
    }

    #[test]
    fn misplaced_and_misnamed_wildcards_are_refused() {
        let mut tree = tree(&["/a/:x/b"]);
        assert_eq!(
            tree.insert("/a/**/b", 1),
            Err(PathError::FreeWildcardInside)
        );
        assert!(matches!(
            tree.insert("/a/:y/b", 1),
            Err(PathError::NamesDiffer(_))
        ));
        assert_eq!(tree.insert("/a/:y/c", 1), Ok(()));
        assert_eq!(tree.insert("a", 1), Err(PathError::NoSlash));
    }

    proptest! {
        #[test]
        fn a_static_path_finds_itself_among_many(paths in prop::collection::btree_set("(/[a-d]{1,2}){1,4}/?", 1..40)) {
            let paths: Vec<String> = paths.into_iter().collect();
            let tree = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
            for (number, path) in paths.iter().enumerate() {
                prop_assert_eq!(find(&tree, path), Some((number, vec![])));
            }
        }

        #[test]
        fn no_path_makes_the_search_fail(path in ".*") {
            let tree = tree(&["/a/:x/b", "/a/*y", "/:z"]);
            let _ = find(&tree, &path);
        }
    }
}
