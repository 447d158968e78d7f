//! `oauth2_client_credentials`: an access token from elsewhere.

use std::sync::Arc;

use crate::finalizers::{Effects, Workshop};
use crate::oauth2::Flow;
use crate::settings::Fields;
use crate::{Failure, is_token};

/// Fetches an access token and sets it.
#[derive(Clone)]
pub struct ClientCredentials {
    flow: Flow,
    header: TokenHeader,
}

/// Which header an access token goes into, and behind which scheme.
#[derive(Debug, Clone)]
pub struct TokenHeader {
    /// Name of the header.
    pub name: Arc<str>,
    /// Scheme; `None` takes the token's own type, empty sends the bare token.
    pub scheme: Option<String>,
}

impl Default for TokenHeader {
    fn default() -> Self {
        Self {
            name: "Authorization".into(),
            scheme: None,
        }
    }
}

impl TokenHeader {
    /// Reads a `header` member.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut section = fields.section("header")?;
        let name = section.required_text("name");
        if name.is_some_and(|name| !is_token(name)) {
            section.wrong("name", "is no legal header name");
        }
        let scheme = section.text("scheme").unwrap_or_default().to_owned();
        section.close();
        Some(Self {
            name: name?.into(),
            scheme: Some(scheme),
        })
    }

    /// The value of the header for a token.
    pub fn value(&self, token_scheme: &str, token: &str) -> String {
        match self.scheme.as_deref().unwrap_or(token_scheme) {
            "" => token.to_owned(),
            scheme => format!("{scheme} {token}"),
        }
    }
}

impl ClientCredentials {
    pub(super) fn build(mut fields: Fields<'_>, workshop: &Workshop) -> Option<Self> {
        let flow = Flow::read(&mut fields, workshop.tls_required, &*workshop.files);
        let header = TokenHeader::read(&mut fields).unwrap_or_default();
        fields.close();
        Some(Self {
            flow: flow?,
            header,
        })
    }

    pub(super) fn overridden(&self, mut fields: Fields<'_>) -> Option<Self> {
        let mut changed = self.clone();
        if let Some(scopes) = fields.texts("scopes") {
            changed.flow.scopes = scopes;
        }
        if let Some(ttl) = fields.duration("cache_ttl") {
            changed.flow.cache_ttl = Some(ttl);
        }
        if let Some(header) = TokenHeader::read(&mut fields) {
            changed.header = header;
        }
        fields.close();
        Some(changed)
    }

    pub(super) fn header_name(&self) -> &str {
        &self.header.name
    }

    pub(super) async fn apply(
        &self,
        workshop: &Workshop,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        let token = workshop.token_client.token(&self.flow).await?;
        effects.add_header(
            &self.header.name,
            self.header.value(&token.scheme, &token.token),
        );
        Ok(())
    }
}
