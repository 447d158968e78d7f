//! The schemas of bodies and answers. A `*` behind a name: always there.

mod kinds;

use serde_json::{Map, Value, json};

pub(crate) use kinds::input as kind;

pub(crate) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    for (name, fields) in INPUTS {
        all.insert((*name).to_owned(), object(fields, true));
    }
    for (name, fields) in ANSWERS {
        all.insert((*name).to_owned(), object(fields, false));
    }
    for (name, row) in LISTS {
        all.insert((*name).to_owned(), list_of(row));
    }
    all.insert("Problem".to_owned(), problem());
    all.insert(
        "OAuthError".to_owned(),
        object(&[("error*", "text"), ("error_description", "text")], false),
    );
    for free in ["Metadata", "Introspection"] {
        all.insert(
            free.to_owned(),
            json!({ "type": "object", "additionalProperties": true }),
        );
    }
    all
}

/// A page of a list of `row`.
pub fn list_of(row: &str) -> Value {
    json!({
        "type": "object", "required": ["data", "pagination"],
        "properties": {
            "data": { "type": "array", "items": { "$ref": format!("#/components/schemas/{row}") } },
            "pagination": { "$ref": "#/components/schemas/Pagination" },
        },
    })
}

/// An object of named fields, each with its kind in a word or two; `closed` refuses members of other names.
pub fn object(fields: &[(&str, &str)], closed: bool) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, kind) in fields {
        let plain = name.trim_end_matches('*');
        if plain.len() != name.len() {
            required.push(plain);
        }
        properties.insert(plain.to_owned(), field(kind, closed));
    }
    let mut out = json!({ "type": "object", "properties": properties, "required": required });
    if let (true, Value::Object(members)) = (closed, &mut out) {
        members.insert("additionalProperties".to_owned(), false.into());
    }
    out
}

fn field(kind: &str, input: bool) -> Value {
    if let Some(inner) = kind.strip_prefix("list of ") {
        return json!({ "type": "array", "items": field(inner, input) });
    }
    if let Some(inner) = kind.strip_suffix('?') {
        let inner = field(inner, input);
        return match inner.get("type") {
            Some(Value::String(plain)) => {
                let mut both = inner.clone();
                if let Value::Object(members) = &mut both {
                    members.insert("type".to_owned(), json!([plain, "null"]));
                }
                both
            }
            _ => json!({ "anyOf": [inner, { "type": "null" }] }),
        };
    }
    if let Some(known) = kinds::input(kind).filter(|_| input) {
        return known;
    }
    match kind {
        "text" => json!({ "type": "string" }),
        "secret" => json!({ "type": "string", "format": "password" }),
        "time" => json!({ "type": "string", "format": "date-time" }),
        "email" => json!({ "type": "string", "format": "email" }),
        "number" => json!({ "type": "integer" }),
        "flag" => json!({ "type": "boolean" }),
        "any" => json!({}),
        "object" => json!({ "type": "object", "additionalProperties": true }),
        name => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}

/// A problem document.
pub fn problem() -> Value {
    json!({
        "type": "object", "required": ["type", "title", "status", "detail", "error"],
        "properties": {
            "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" },
            "detail": { "type": "string" },
            "mfa_token": { "type": "string", "description": "With the code `mfa_required`: goes with the second step." },
            "mfa_methods": { "type": "array", "items": { "enum": ["totp", "passkey", "recovery_code"] } },
            "expires_in": { "type": "integer", "description": "With the code `mfa_required`: seconds for the second step." },
            "passkey": { "type": ["object", "null"], "description": "With the code `mfa_required`: options for `navigator.credentials.get`." },
            "error": {
                "type": "object", "required": ["code", "message", "details"],
                "properties": {
                    "code": { "type": "string" }, "message": { "type": "string" },
                    "details": { "type": "array", "items": {
                        "type": "object", "required": ["field", "reason"],
                        "properties": { "field": { "type": "string" }, "reason": { "type": "string" } },
                    } },
                },
            },
        },
    })
}

type Fields = &'static [(&'static str, &'static str)];

const INPUTS: &[(&str, Fields)] = &[
    ("NewApp", &[("name*", "app name"), ("display_name", "line")]),
    ("AppPatch", &[("display_name", "line")]),
    (
        "Requestable",
        &[("max_minutes*", "1..525600"), ("approval", "object")],
    ),
    (
        "NewRole",
        &[
            ("name*", "role name"),
            ("display_name", "line"),
            ("description", "description"),
            ("permissions", "list of grant"),
            ("includes", "list of text"),
            ("requestable", "Requestable?"),
            ("notification_configs", "list of text"),
        ],
    ),
    (
        "RolePatch",
        &[
            ("display_name", "line"),
            ("description", "description"),
            ("permissions", "list of grant"),
            ("includes", "list of text"),
            ("requestable", "Requestable?"),
            ("notification_configs", "list of text"),
        ],
    ),
    ("RolePermissions", &[("permissions*", "list of grant")]),
    (
        "NewPermission",
        &[
            ("permission*", "permission"),
            ("description", "description"),
        ],
    ),
    (
        "NewUser",
        &[
            ("email*", "email"),
            ("display_name", "line"),
            ("password", "password"),
            ("role", "text"),
            ("roles", "list of text"),
        ],
    ),
    (
        "UserPatch",
        &[
            ("email", "email"),
            ("display_name", "line"),
            ("password", "password"),
        ],
    ),
    ("RoleName", &[("role*", "text")]),
    (
        "Import",
        &[
            ("email*", "email"),
            ("display_name", "text"),
            ("password_hash", "text"),
            ("roles", "list of text"),
        ],
    ),
    (
        "NewCredential",
        &[
            ("name*", "line"),
            ("roles", "list of text"),
            ("roles_only", "flag"),
            ("jwks", "object"),
            ("jwks_uri", "url"),
        ],
    ),
    (
        "CredentialPatch",
        &[
            ("name", "line"),
            ("roles", "list of text"),
            ("roles_only", "flag"),
            ("jwks", "object?"),
            ("jwks_uri", "url?"),
        ],
    ),
    ("Login", &[("email*", "text"), ("password*", "secret")]),
    (
        "SecondProof",
        &[
            ("mfa_token*", "secret"),
            ("code", "secret"),
            ("recovery_code", "secret"),
            ("passkey", "object"),
        ],
    ),
    ("PresentPassword", &[("password*", "secret")]),
    (
        "OwnPassword",
        &[("present_password*", "secret"), ("password*", "secret")],
    ),
    ("Code", &[("code*", "secret")]),
    (
        "NewPasskey",
        &[
            ("name*", "text"),
            ("passkey_token*", "secret"),
            ("passkey*", "object"),
        ],
    ),
    ("ResetQuestion", &[("email*", "text")]),
    (
        "ResetPassword",
        &[("token*", "secret"), ("password*", "secret")],
    ),
    (
        "Question",
        &[
            ("permission", "permission"),
            ("permissions", "list of permission"),
            ("token", "secret"),
        ],
    ),
    (
        "Questions",
        &[("permissions*", "list of permission"), ("token", "secret")],
    ),
    ("TokenBody", &[("token*", "secret")]),
    (
        "NewInvite",
        &[
            ("email", "email"),
            ("role", "text"),
            ("roles", "list of text"),
            ("expires_in_hours", "1..8760"),
            ("max_uses", "1..10000"),
            ("send_email", "flag"),
        ],
    ),
    (
        "Acceptance",
        &[
            ("display_name*", "line"),
            ("password*", "password"),
            ("email", "email"),
        ],
    ),
    (
        "NewWebhook",
        &[("url*", "url"), ("events", "list of event")],
    ),
    (
        "WebhookPatch",
        &[
            ("url", "url"),
            ("events", "list of event"),
            ("enabled", "flag"),
        ],
    ),
    (
        "SettingsPatch",
        &[
            ("lifetimes", "Lifetimes"),
            ("password", "PasswordPolicy"),
            ("lockout", "LockoutPolicy"),
            ("invites_enabled", "flag"),
            ("algorithm", "text?"),
        ],
    ),
    (
        "Lifetimes",
        &[
            ("user_token_seconds", "60..86400"),
            ("machine_token_seconds", "60..86400"),
            ("session_seconds", "300..31536000"),
        ],
    ),
    ("PasswordPolicy", &[("min_length", "8..128")]),
    (
        "LockoutPolicy",
        &[("attempts", "3..1000"), ("seconds", "10..86400")],
    ),
    ("Rotation", &[("algorithm", "text")]),
    ("KeyImport", &[("key*", "text"), ("algorithm", "text")]),
    ("NewAdminKey", &[("name*", "line")]),
    ("Replay", &[("since*", "time")]),
];

const ANSWERS: &[(&str, Fields)] = &[
    (
        "TokenRequest",
        &[
            ("grant_type*", "text"),
            ("client_id", "text"),
            ("client_secret", "secret"),
            ("client_assertion_type", "text"),
            ("client_assertion", "secret"),
            ("scope", "text"),
            ("resource", "text"),
            ("audience", "text"),
            ("refresh_token", "secret"),
            ("assertion", "secret"),
            ("subject_token", "secret"),
            ("subject_token_type", "text"),
            ("actor_token", "secret"),
            ("actor_token_type", "text"),
            ("requested_token_type", "text"),
            ("user_id", "text"),
        ],
    ),
    (
        "TokenQuestion",
        &[
            ("token*", "secret"),
            ("token_type_hint", "text"),
            ("client_id", "text"),
            ("client_secret", "secret"),
        ],
    ),
    (
        "Factors",
        &[
            ("totp*", "flag"),
            ("totp_since*", "time?"),
            ("passkeys*", "list of Passkey"),
            ("recovery_codes_left*", "number"),
        ],
    ),
    (
        "Passkey",
        &[
            ("id*", "text"),
            ("name*", "text"),
            ("synced*", "flag"),
            ("created_at*", "time"),
            ("last_used_at*", "time?"),
        ],
    ),
    (
        "NewPasskeyAnswer",
        &[
            ("id*", "text"),
            ("name*", "text"),
            ("synced*", "flag"),
            ("created_at*", "time"),
            ("last_used_at*", "time?"),
            ("recovery_codes*", "list of secret"),
        ],
    ),
    (
        "TotpOffer",
        &[
            ("secret*", "secret"),
            ("otpauth_uri*", "secret"),
            ("qr_svg*", "text?"),
        ],
    ),
    (
        "PasskeyOffer",
        &[("passkey_token*", "secret"), ("options*", "object")],
    ),
    ("RecoveryCodes", &[("recovery_codes*", "list of secret")]),
    (
        "TokenAnswer",
        &[
            ("access_token*", "text"),
            ("token_type*", "text"),
            ("expires_in*", "number"),
            ("refresh_token", "text"),
            ("scope", "text"),
            ("issued_token_type", "text"),
        ],
    ),
    (
        "Pagination",
        &[("next_cursor*", "text?"), ("has_more*", "flag")],
    ),
    (
        "App",
        &[
            ("id*", "text"),
            ("name*", "text"),
            ("display_name*", "text"),
            ("state*", "text"),
            ("created_at*", "time"),
            ("updated_at*", "time"),
        ],
    ),
    (
        "Role",
        &[
            ("id*", "text"),
            ("name*", "text"),
            ("display_name*", "text"),
            ("description*", "text"),
            ("permissions*", "list of text"),
            ("includes*", "list of text"),
            ("effective_permissions*", "list of text"),
            ("requestable*", "Requestable?"),
            ("notification_configs*", "list of text"),
            ("created_at*", "time"),
            ("updated_at*", "time"),
        ],
    ),
    (
        "Permission",
        &[
            ("permission*", "text"),
            ("description*", "text"),
            ("built_in*", "flag"),
        ],
    ),
    (
        "User",
        &[
            ("id*", "text"),
            ("user_id*", "text"),
            ("email*", "email"),
            ("display_name*", "text"),
            ("state*", "text"),
            ("roles*", "list of text"),
            ("has_password*", "flag"),
            ("created_at*", "time"),
            ("updated_at*", "time"),
        ],
    ),
    ("UserRoles", &[("data*", "list of text")]),
    (
        "ImportLine",
        &[("line*", "number"), ("id", "text"), ("error", "text")],
    ),
    ("ImportReport", &[("data*", "list of ImportLine")]),
    ("SecretRecord", &[("id*", "text"), ("created_at*", "time")]),
    ("Credential", CREDENTIAL),
    (
        "NewCredentialAnswer",
        &[
            ("client_id*", "text"),
            ("client_secret*", "secret"),
            ("name*", "text"),
            ("roles*", "list of text"),
            ("secrets*", "list of SecretRecord"),
            ("roles_only*", "flag"),
            ("created_at*", "time"),
            ("updated_at*", "time"),
        ],
    ),
    (
        "NewSecret",
        &[("id*", "text"), ("client_secret*", "secret")],
    ),
    (
        "Session",
        &[
            ("id*", "text"),
            ("user_id*", "text"),
            ("created_at*", "time"),
            ("refreshed_at*", "time"),
            ("expires_at*", "time"),
            ("user_agent*", "text?"),
            ("current*", "flag"),
        ],
    ),
    (
        "Decision",
        &[
            ("authorized*", "flag"),
            ("missing_permissions*", "list of text"),
        ],
    ),
    (
        "PermissionDecision",
        &[("permission*", "text"), ("authorized*", "flag")],
    ),
    ("Decisions", &[("data*", "list of PermissionDecision")]),
    ("Invite", INVITE),
    (
        "NewInviteAnswer",
        &[
            ("id*", "text"),
            ("invite_url*", "text"),
            ("token*", "secret"),
            ("email*", "email?"),
            ("roles*", "list of text"),
            ("state*", "text"),
            ("max_uses*", "number"),
            ("uses*", "number"),
            ("expires_at*", "time"),
            ("created_at*", "time"),
        ],
    ),
    (
        "InvitePreview",
        &[
            ("app*", "text"),
            ("app_display_name*", "text"),
            ("email*", "email?"),
            ("roles*", "list of text"),
            ("expires_at*", "time"),
        ],
    ),
    (
        "Accepted",
        &[
            ("user*", "User"),
            ("access_token*", "text"),
            ("refresh_token", "text"),
            ("token_type*", "text"),
            ("expires_in*", "number"),
        ],
    ),
    ("Webhook", WEBHOOK),
    (
        "NewWebhookAnswer",
        &[
            ("id*", "text"),
            ("secret*", "secret"),
            ("url*", "text"),
            ("events*", "list of text"),
            ("enabled*", "flag"),
            ("created_at*", "time"),
            ("updated_at*", "time"),
        ],
    ),
    (
        "Event",
        &[
            ("position*", "number"),
            ("id*", "text"),
            ("type*", "text"),
            ("at*", "time"),
            ("data*", "object"),
        ],
    ),
    (
        "Events",
        &[
            ("data*", "list of Event"),
            ("pagination*", "Pagination"),
            ("after*", "number"),
        ],
    ),
    (
        "AuditRow",
        &[
            ("seq*", "number?"),
            ("at*", "time"),
            ("actor*", "object"),
            ("action*", "text"),
            ("target*", "text"),
            ("data*", "any"),
            ("app_id*", "text?"),
            ("content_hash*", "text"),
            ("chain_hash*", "text?"),
        ],
    ),
    (
        "Settings",
        &[
            ("lifetimes*", "Lifetimes"),
            ("password*", "PasswordPolicy"),
            ("lockout*", "LockoutPolicy"),
            ("invites_enabled*", "flag"),
            ("algorithm*", "text?"),
        ],
    ),
    (
        "Key",
        &[
            ("kid*", "text"),
            ("algorithm*", "text"),
            ("state*", "text"),
            ("created_at*", "time"),
            ("activates_at*", "time"),
            ("retired_at*", "time?"),
            ("removes_at*", "time?"),
        ],
    ),
    ("Keys", &[("data*", "list of Key")]),
    (
        "Revocation",
        &[
            ("seq*", "number"),
            ("at*", "time"),
            ("kind*", "text"),
            ("id*", "text"),
            ("status*", "text"),
            ("roles*", "list of text"),
            ("permissions*", "list of text"),
            ("until*", "time?"),
        ],
    ),
    (
        "RequestableRole",
        &[("role*", "text"), ("permissions*", "list of text")],
    ),
    (
        "Revocations",
        &[
            ("seq*", "number"),
            ("has_more*", "flag"),
            ("data*", "list of Revocation"),
            ("requestable*", "list of RequestableRole"),
            ("portal_host*", "text?"),
        ],
    ),
    (
        "AdminKey",
        &[
            ("id*", "text"),
            ("name*", "text"),
            ("created_at*", "time"),
            ("revoked_at*", "time?"),
        ],
    ),
    (
        "NewAdminKeyAnswer",
        &[
            ("id*", "text"),
            ("key*", "secret"),
            ("name*", "text"),
            ("created_at*", "time"),
        ],
    ),
    ("Jwks", &[("keys*", "list of object")]),
    ("Queued", &[("id*", "text")]),
    ("Replayed", &[("count*", "number")]),
    (
        "Attempt",
        &[
            ("at*", "time"),
            ("status*", "number?"),
            ("error*", "text?"),
            ("took_ms*", "number"),
        ],
    ),
    (
        "Delivery",
        &[
            ("id*", "text"),
            ("event_id*", "text"),
            ("type*", "text?"),
            ("state*", "text"),
            ("attempts*", "number"),
            ("first_due*", "time"),
            ("next_attempt*", "time?"),
            ("history*", "list of Attempt"),
        ],
    ),
];

const CREDENTIAL: Fields = &[
    ("client_id*", "text"),
    ("name*", "text"),
    ("roles*", "list of text"),
    ("secrets*", "list of SecretRecord"),
    ("roles_only*", "flag"),
    ("jwks*", "any"),
    ("jwks_uri*", "text?"),
    ("created_at*", "time"),
    ("updated_at*", "time"),
];

const INVITE: Fields = &[
    ("id*", "text"),
    ("email*", "email?"),
    ("roles*", "list of text"),
    ("state*", "text"),
    ("max_uses*", "number"),
    ("uses*", "number"),
    ("expires_at*", "time"),
    ("created_at*", "time"),
];

const WEBHOOK: Fields = &[
    ("id*", "text"),
    ("url*", "text"),
    ("events*", "list of text"),
    ("enabled*", "flag"),
    ("disabled_reason*", "text?"),
    ("created_at*", "time"),
    ("updated_at*", "time"),
];

const LISTS: &[(&str, &str)] = &[
    ("Apps", "App"),
    ("Roles", "Role"),
    ("Permissions", "Permission"),
    ("Users", "User"),
    ("Credentials", "Credential"),
    ("Sessions", "Session"),
    ("Invites", "Invite"),
    ("Webhooks", "Webhook"),
    ("AdminKeys", "AdminKey"),
    ("Audit", "AuditRow"),
    ("Deliveries", "Delivery"),
];
