//! UTF-8 as Go decodes it: each byte that belongs to no character is one U+FFFD.

/// The first character of `bytes` and its width; `None` at the end. A broken byte gives `None` as the character.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let first = *bytes.first()?;
    if first.is_ascii() {
        return Some((Some(char::from(first)), 1));
    }
    let window = bytes.get(..bytes.len().min(4)).unwrap_or(bytes);
    let valid = match std::str::from_utf8(window) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(window.get(..error.valid_up_to()).unwrap_or_default())
            .unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(c) => Some((Some(c), c.len_utf8())),
        None => Some((None, 1)),
    }
}

/// Characters with the offset of each; `None` for a broken byte.
pub(crate) fn chars(bytes: &[u8]) -> impl Iterator<Item = (usize, Option<char>)> + '_ {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let (c, width) = decode(bytes.get(offset..)?)?;
        let at = offset;
        offset += width;
        Some((at, c))
    })
}

/// The text with U+FFFD for each broken byte.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    chars(bytes)
        .map(|(_, c)| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
