//! `basic_auth`: one user and one password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use heimdall_finalizer::settings::Fields;
use heimdall_finalizer::{Failure, Files, Kind, Scene, Subject, read_secret};
use heimdall_types::Secret;

use crate::authenticators::Identity;

#[derive(Clone)]
pub(crate) struct BasicAuth {
    user: Secret,
    password: Secret,
}

impl BasicAuth {
    pub(super) fn build(mut fields: Fields<'_>, files: &dyn Files) -> Option<Self> {
        let user = fields.required_text("user_id");
        let password = fields
            .required_text("password")
            .and_then(|_| read_secret(&mut fields, "password", files));
        fields.flag("allow_fallback_on_error");
        fields.close();
        Some(Self {
            user: user?.into(),
            password: password?,
        })
    }

    pub(super) fn overridden(&self, mut fields: Fields<'_>) -> Option<Self> {
        let mut changed = self.clone();
        if let Some(user) = fields.text("user_id").filter(|user| !user.is_empty()) {
            changed.user = user.into();
        }
        if let Some(password) = fields
            .text("password")
            .filter(|password| !password.is_empty())
        {
            changed.password = password.into();
        }
        fields.flag("allow_fallback_on_error");
        fields.close();
        Some(changed)
    }

    pub(super) fn authenticate(&self, scene: &Scene<'_>) -> Result<Identity, Failure> {
        let refused = |message: &str| Failure::new(Kind::Authentication, message);
        let header = scene.request.header("authorization");
        let absent = header.is_empty();
        let encoded = header
            .strip_prefix("Basic ")
            .map(str::trim)
            .ok_or_else(|| {
                let failure = refused("expected header not present in request").and(Kind::Argument);
                if absent {
                    failure.for_absent_credential()
                } else {
                    failure
                }
            })?;
        let decoded = STANDARD
            .decode(encoded)
            .map_err(|_| refused("failed to decode received credentials value"))?;
        let text = String::from_utf8_lossy(&decoded);
        let (user, password) = text
            .split_once(':')
            .ok_or_else(|| refused("malformed user-id - password scheme"))?;
        if password.contains(':') {
            return Err(refused("malformed user-id - password scheme"));
        }
        // both are compared always, so that a wrong user takes no less time than a wrong password
        let (user_fits, password_fits) = (self.user.matches(user), self.password.matches(password));
        if !(user_fits & password_fits) {
            return Err(refused("invalid user credentials"));
        }
        Ok(Identity::of(Subject::named(user)))
    }
}
