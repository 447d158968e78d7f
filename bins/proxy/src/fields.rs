use heimdall_pipeline::HeaderView;
use http::HeaderMap;

/// The header fields of a request, where they lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a HeaderMap);

impl HeaderView for Fields<'_> {
    fn values<'a>(&'a self, name: &str) -> Vec<&'a [u8]> {
        self.0
            .get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
            .collect()
    }

    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.0.get(name).map(http::HeaderValue::as_bytes)
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in self.0 {
            visit(name.as_str(), value.as_bytes());
        }
    }
}
