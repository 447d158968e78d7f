use heimdall_server::Problem;

/// The fields of a posted form or of a query, in order; names may repeat.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// 400 when it is none.
    pub(super) fn read(text: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(text)
            .map_err(|_| Problem::bad_request("form", "the form is not readable"))?;
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        pairs
            .collect::<Option<Vec<_>>>()
            .map(Self)
            .ok_or_else(|| Problem::bad_request("form", "the form is not readable"))
    }

    /// The first field of this name, trimmed, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.trim())
            .find(|value| !value.is_empty())
    }

    /// Every field of this name that is not empty, trimmed.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// The first field of this name as it was typed: for passwords.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    /// What stands in this field, separated by commas, spaces or lines.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        self.all(name)
            .flat_map(|value| value.split([',', ' ', '\n', '\r', '\t']))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let pair = [bytes.next()?, bytes.next()?];
                let pair = std::str::from_utf8(&pair)
                    .ok()
                    .filter(|pair| pair.bytes().all(|c| c.is_ascii_hexdigit()))?;
                out.push(u8::from_str_radix(pair, 16).ok()?);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let fields =
            Fields::read(b"name=a+b%C3%A9&roles=x%2C+y&roles=z&empty=&password=+p+").unwrap();
        assert_eq!(fields.get("name"), Some("a bé"));
        assert_eq!(fields.words("roles"), ["x", "y", "z"]);
        assert_eq!((fields.get("empty"), fields.raw("password")), (None, " p "));
    }

    #[test]
    fn broken_escapes_are_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff"] {
            assert!(Fields::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
