//! What a member of a body may hold, so that whatever the document lets through is refused only for what is stored.

use serde_json::{Value, json};

// heimdall_tenant::name: no control and no direction-changing character.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*$";
const VISIBLE_LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*[^\s\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff][^\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*$";
const NO_NUL: &str = r"^[^\u0000]*$";
const APP_NAME: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
const ROLE_NAME: &str = "^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$";
const PERMISSION: &str = "^[a-z0-9_.-]{1,63}(:[a-z0-9_.-]{1,63}){0,3}$";
const GRANT: &str = r"^(\*|[a-z0-9_.-]{1,63}(:[a-z0-9_.-]{1,63}){0,3}|[a-z0-9_.-]{1,63}(:[a-z0-9_.-]{1,63}){0,2}:\*)$";
const EVENT: &str = r"^(\*|[a-z_]{1,40}\.(\*|[a-z_]{1,40}))$";
// heimdall_types::Email, which keeps what it takes in lower case.
const EMAIL: &str = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";
/// A cursor: characters in hexadecimal.
const CURSOR: &str = "^([2-7][0-9a-f]){1,256}$";

/// A kind of text that only bodies and queries have.
pub(crate) fn input(kind: &str) -> Option<Value> {
    let text = |pattern: &str, most: u32| json!({ "type": "string", "pattern": pattern, "maxLength": most });
    Some(match kind {
        "text" => json!({ "type": "string", "pattern": NO_NUL }),
        "secret" => json!({ "type": "string", "pattern": NO_NUL, "format": "password" }),
        "app name" => text(APP_NAME, 63),
        "role name" => text(ROLE_NAME, 63),
        "line" => text(VISIBLE_LINE, 200),
        "description" => text(LINE, 1_000),
        "permission" => text(PERMISSION, 128),
        "grant" => text(GRANT, 128),
        "event" => text(EVENT, 81),
        "email" => {
            json!({ "type": "string", "format": "email", "pattern": EMAIL, "maxLength": 254 })
        }
        "cursor" => text(CURSOR, 512),
        "password" => json!({
            "type": "string", "format": "password", "pattern": NO_NUL, "minLength": 8, "maxLength": 256,
        }),
        "url" => {
            json!({ "type": "string", "format": "uri", "pattern": NO_NUL, "maxLength": 2_000 })
        }
        other => {
            let (least, most) = other.split_once("..")?;
            let (least, most): (i64, i64) = (least.parse().ok()?, most.parse().ok()?);
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
    })
}
