/// The name among `known` that `given` most probably meant: at most a third of its characters differ.
///
/// ```
/// assert_eq!(heimdall_types::nearest("heders", ["headers", "cookies"]), Some("headers"));
/// assert_eq!(heimdall_types::nearest("xyz", ["headers", "cookies"]), None);
/// ```
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = given.chars().count().min(64);
    let allowed = (length / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(given, name), name))
        .filter(|(far, _)| *far <= allowed)
        .min_by_key(|(far, _)| *far)
        .map(|(_, name)| name)
}

// Levenshtein over the first 64 characters: names are short, and input of any length must stay cheap.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = *cell;
            left = cost.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}
