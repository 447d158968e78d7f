//! The schemas of bodies and answers. A `*` behind a name: always there.

use heimdall_api::openapi::schemas::{list_of, object, problem};
use serde_json::{Map, Value, json};

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
    for (name, row) in WHOLE {
        let data =
            json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{row}") } });
        all.insert(
            (*name).to_owned(),
            json!({ "type": "object", "required": ["data"], "properties": { "data": data } }),
        );
    }
    for (name, words) in WORDS {
        all.insert(
            (*name).to_owned(),
            json!({ "type": "string", "enum": words }),
        );
    }
    all.insert("Problem".to_owned(), problem());
    all.insert("Approver".to_owned(), approver());
    all.insert(
        "Threshold".to_owned(),
        json!({
            "description": "A number of votes, `all`, or a percentage such as `51%`.",
            "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": "^(all|[0-9]{1,3}%)$" }],
        }),
    );
    all.insert(
        "SignatureKey".to_owned(),
        json!({ "anyOf": [
            { "type": "string", "format": "password", "pattern": "^[A-Za-z0-9_-]{342,}$" },
            { "$ref": "#/components/schemas/NamedSecret" },
        ] }),
    );
    all.insert(
        "SessionId".to_owned(),
        json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[0-9]+$" }] }),
    );
    all
}

fn approver() -> Value {
    let one = |name: &str, format: Option<&str>| {
        let mut kind = json!({ "type": "string" });
        if let (Some(format), Some(members)) = (format, kind.as_object_mut()) {
            members.insert("format".to_owned(), format.into());
        }
        json!({ "type": "object", "required": [name], "properties": { name: kind }, "additionalProperties": false })
    };
    json!({ "oneOf": [one("email", Some("email")), one("account", None), one("group", None)] })
}

type Fields = &'static [(&'static str, &'static str)];

const WORDS: &[(&str, &[&str])] = &[
    (
        "RequestState",
        &[
            "CREATED",
            "APPROVED",
            "DENIED",
            "CANCELED",
            "TERMINATED",
            "EXPIRED",
        ],
    ),
    (
        "ApprovalState",
        &["Open", "Approved", "Rejected", "Expired", "Cancelled"],
    ),
    (
        "JitState",
        &["pending", "approved", "rejected", "expired", "cancelled"],
    ),
    (
        "StepType",
        &[
            "single", "group", "parallel", "sequence", "vote", "notify", "hook",
        ],
    ),
    ("Verb", &["approval", "consent"]),
    (
        "Action",
        &["approve", "consent", "reject", "abstain", "vote"],
    ),
    ("TemplateType", &["approve", "sign_and_approve"]),
    ("CommentRule", &["off", "optional", "required"]),
    ("AbstainMode", &["silent", "recuse", "presence"]),
    ("OnTimeout", &["expire", "reject", "escalate", "approve"]),
    (
        "Privilege",
        &[
            "approvals:read",
            "approvals:write",
            "approvals:links",
            "delegations:write",
        ],
    ),
];

const INPUTS: &[(&str, Fields)] = &[
    (
        "NewRequest",
        &[
            ("roles*", "list of text"),
            ("justification*", "text"),
            ("duration_minutes*", "number"),
            ("start", "text"),
            ("resource", "text?"),
        ],
    ),
    (
        "Extension",
        &[("duration_minutes*", "number"), ("justification", "text?")],
    ),
    (
        "Denial",
        &[("sessionId*", "SessionId"), ("denialReason*", "text")],
    ),
    (
        "NamedSecret",
        &[("username*", "text"), ("password*", "secret")],
    ),
    (
        "PortalSettings",
        &[
            ("enabled", "flag"),
            ("portal_host", "text"),
            ("signature_key", "SignatureKey"),
        ],
    ),
    (
        "NewMailServer",
        &[
            ("url*", "secret"),
            ("from*", "text"),
            ("username", "text?"),
            ("password", "secret?"),
        ],
    ),
    ("TestMail", &[("to*", "email")]),
    (
        "NewNotificationConfig",
        &[
            ("name*", "text"),
            ("recipients*", "list of email"),
            ("use_for_external_approvals", "flag"),
        ],
    ),
    (
        "NotificationConfigPatch",
        &[
            ("name", "text"),
            ("recipients", "list of email"),
            ("use_for_external_approvals", "flag"),
        ],
    ),
    (
        "NewApiKey",
        &[
            ("app", "text"),
            ("name*", "text"),
            ("privileges*", "list of Privilege"),
            ("not_before", "time?"),
            ("not_after", "time?"),
            ("addresses", "list of text"),
        ],
    ),
    (
        "ApiKeyPatch",
        &[
            ("name", "text"),
            ("privileges", "list of Privilege"),
            ("not_before", "time?"),
            ("not_after", "time?"),
            ("addresses", "list of text"),
        ],
    ),
    (
        "NewGroup",
        &[("name*", "text"), ("members*", "list of Approver")],
    ),
    (
        "GroupPatch",
        &[("name", "text"), ("members", "list of Approver")],
    ),
    (
        "NewJitTemplate",
        &[
            ("key*", "text"),
            ("name*", "text"),
            ("title*", "text"),
            ("type*", "TemplateType"),
            ("data_schema", "object?"),
            ("metadata", "any"),
            ("approvers*", "list of Approver"),
            ("pass", "number?"),
            ("fail", "number?"),
            ("deadline_hours", "number?"),
            ("enabled", "flag"),
        ],
    ),
    (
        "JitTemplatePatch",
        &[
            ("name", "text"),
            ("title", "text"),
            ("type", "TemplateType"),
            ("data_schema", "object?"),
            ("metadata", "any"),
            ("approvers", "list of Approver"),
            ("pass", "number?"),
            ("fail", "number?"),
            ("deadline_hours", "number?"),
            ("enabled", "flag"),
        ],
    ),
    ("NewApplication", &[("iss*", "text")]),
    (
        "NewJitRequest",
        &[
            ("key*", "text"),
            ("data", "object?"),
            ("metadata", "any"),
            ("user", "text?"),
        ],
    ),
    (
        "NewDefinition",
        &[("name*", "text"), ("root*", "StepDefinition")],
    ),
    (
        "CommentRules",
        &[("approve", "CommentRule"), ("reject", "CommentRule")],
    ),
    (
        "StepDefinition",
        &[
            ("name*", "text"),
            ("type*", "StepType"),
            ("verb", "Verb"),
            ("approvers", "list of Approver"),
            ("pass", "Threshold?"),
            ("fail", "Threshold?"),
            ("abstain", "AbstainMode?"),
            ("min_explicit", "number?"),
            ("presence", "number?"),
            ("comment", "CommentRules"),
            ("signature", "flag"),
            ("deadline_hours", "number?"),
            ("on_timeout", "OnTimeout"),
            ("escalate_to", "list of Approver"),
            ("remind_hours", "number?"),
            ("remind_at_most", "number?"),
            ("condition", "text?"),
            ("options", "list of text"),
            ("moderator", "Approver?"),
            ("required", "flag"),
            ("requester_may_vote", "flag"),
            ("auto_approve", "flag"),
            ("children", "list of StepDefinition"),
        ],
    ),
    (
        "NewApproval",
        &[
            ("definition", "text?"),
            ("root", "StepDefinition?"),
            ("title*", "text"),
            ("requester", "email?"),
            ("external_url", "text?"),
            ("data", "any"),
        ],
    ),
    ("HookAnswer", &[("pass*", "flag")]),
    (
        "NewVote",
        &[
            ("action*", "Action"),
            ("comment", "text?"),
            ("options", "list of number"),
            ("signature", "object?"),
        ],
    ),
    (
        "NewDelegation",
        &[
            ("from*", "Approver"),
            ("to*", "Approver"),
            ("scope", "text?"),
            ("starts_at*", "time"),
            ("ends_at*", "time"),
        ],
    ),
];

const ANSWERS: &[(&str, Fields)] = &[
    (
        "Pagination",
        &[("next_cursor*", "text?"), ("has_more*", "flag")],
    ),
    (
        "RequestedRole",
        &[("name*", "text"), ("state*", "RequestState")],
    ),
    (
        "Requester",
        &[("id*", "text"), ("email*", "email"), ("name*", "text")],
    ),
    (
        "Request",
        &[
            ("id*", "text"),
            ("session_id*", "number"),
            ("state*", "RequestState"),
            ("roles*", "list of RequestedRole"),
            ("approval_id*", "text"),
            ("expires_at*", "time"),
            ("created_at*", "time"),
            ("justification*", "text"),
            ("duration_minutes*", "number"),
            ("start*", "text"),
            ("resource", "text?"),
            ("requester*", "Requester"),
            ("denial_reason", "text?"),
            ("extends", "text"),
        ],
    ),
    (
        "Grant",
        &[
            ("id*", "text"),
            ("user_id*", "text"),
            ("role*", "text"),
            ("state*", "text"),
            ("starts_at*", "time"),
            ("ends_at*", "time"),
            ("request_id*", "text"),
        ],
    ),
    (
        "PendingRole",
        &[
            ("name*", "text"),
            ("description", "text?"),
            ("state*", "RequestState"),
        ],
    ),
    (
        "PendingRequester",
        &[("name*", "text"), ("email*", "email")],
    ),
    (
        "PendingApproval",
        &[
            ("sessionId*", "number"),
            ("state*", "RequestState"),
            ("requester*", "PendingRequester"),
            ("roles*", "list of PendingRole"),
            ("justification*", "text"),
            ("durationMinutes*", "number"),
            ("resource", "text?"),
            ("createdAt*", "time"),
            ("expiresAt*", "time"),
        ],
    ),
    (
        "Decided",
        &[("sessionId*", "number"), ("state*", "RequestState")],
    ),
    (
        "KeyOfRing",
        &[
            ("id*", "text"),
            ("created_at*", "time"),
            ("signs*", "flag"),
            ("fingerprint*", "text"),
        ],
    ),
    (
        "Portal",
        &[
            ("enabled*", "flag"),
            ("portal_host", "text?"),
            ("signature_keys*", "list of KeyOfRing"),
        ],
    ),
    (
        "MailServer",
        &[
            ("url", "text?"),
            ("from", "text?"),
            ("username", "text?"),
            ("password_set*", "flag"),
        ],
    ),
    ("TestedMail", &[("accepted*", "flag"), ("queued", "flag")]),
    (
        "NotificationConfig",
        &[
            ("id*", "text"),
            ("name*", "text"),
            ("recipients*", "list of email"),
            ("use_for_external_approvals*", "flag"),
        ],
    ),
    (
        "ApiKey",
        &[
            ("id*", "text"),
            ("app*", "text"),
            ("name*", "text"),
            ("privileges*", "list of Privilege"),
            ("not_before", "time?"),
            ("not_after", "time?"),
            ("addresses*", "list of text"),
            ("created_at*", "time"),
        ],
    ),
    (
        "NewApiKeyAnswer",
        &[
            ("id*", "text"),
            ("key*", "secret"),
            ("app*", "text"),
            ("name*", "text"),
            ("privileges*", "list of Privilege"),
        ],
    ),
    (
        "Group",
        &[
            ("id*", "text"),
            ("name*", "text"),
            ("members*", "list of Approver"),
        ],
    ),
    (
        "JitTemplate",
        &[
            ("id*", "text"),
            ("key*", "text"),
            ("name*", "text"),
            ("title*", "text"),
            ("type*", "TemplateType"),
            ("data_schema", "object?"),
            ("metadata", "any"),
            ("approvers*", "list of Approver"),
            ("pass", "number?"),
            ("fail", "number?"),
            ("deadline_hours", "number?"),
            ("enabled*", "flag"),
            ("version*", "number"),
        ],
    ),
    (
        "ApplicationKey",
        &[("id*", "text"), ("created_at*", "time")],
    ),
    (
        "Application",
        &[("iss*", "text"), ("keys*", "list of ApplicationKey")],
    ),
    (
        "ApplicationKeyAnswer",
        &[("iss*", "text"), ("id*", "text"), ("key*", "secret")],
    ),
    (
        "JitDecision",
        &[
            ("by*", "text"),
            ("action*", "Action"),
            ("comment", "text?"),
            ("signature", "object?"),
            ("at*", "time"),
        ],
    ),
    (
        "JitRequest",
        &[
            ("requestId*", "text"),
            ("state*", "JitState"),
            ("key*", "text"),
            ("user*", "text"),
            ("metadata", "any"),
            ("dig*", "text"),
            ("data", "any"),
            ("decision", "JitDecision?"),
        ],
    ),
    (
        "Definition",
        &[
            ("id*", "text"),
            ("name*", "text"),
            ("version*", "number"),
            ("root*", "StepDefinition"),
            ("earlier", "list of StepDefinition"),
        ],
    ),
    (
        "Vote",
        &[
            ("approver", "any"),
            ("actor", "any"),
            ("name", "text"),
            ("on_behalf", "any"),
            ("action*", "Action"),
            ("comment", "text?"),
            ("options", "list of number"),
            ("signature", "object?"),
            ("channel*", "text"),
            ("level*", "text"),
            ("link", "text?"),
            ("dig*", "text"),
            ("at*", "time"),
        ],
    ),
    (
        "Step",
        &[
            ("id*", "text"),
            ("parent", "text?"),
            ("name*", "text"),
            ("type*", "StepType"),
            ("verb*", "Verb"),
            ("state*", "text"),
            ("reason", "text?"),
            ("activation*", "number"),
            ("required*", "flag"),
            ("pass", "any"),
            ("fail", "any"),
            ("options", "list of text"),
            ("deadline", "time?"),
            ("ended_at", "time?"),
            ("actions*", "list of Action"),
            ("waiting_for*", "list of any"),
            ("votes*", "list of Vote"),
        ],
    ),
    (
        "Approval",
        &[
            ("id*", "text"),
            ("state*", "ApprovalState"),
            ("epoch*", "number"),
            ("title*", "text"),
            ("requester", "text?"),
            ("external_url", "text?"),
            ("data", "any"),
            ("definition", "text?"),
            ("dig*", "text"),
            ("created_at*", "time"),
            ("ended_at", "time?"),
            ("steps*", "list of Step"),
            ("history", "list of object"),
        ],
    ),
    (
        "Link",
        &[
            ("stepId*", "text"),
            ("action*", "Action"),
            ("url*", "text"),
            ("expiresAt*", "time"),
        ],
    ),
    ("Links", &[("links*", "list of Link")]),
    (
        "Delegation",
        &[
            ("id*", "text"),
            ("from*", "any"),
            ("to*", "any"),
            ("scope", "text?"),
            ("starts_at*", "time"),
            ("ends_at*", "time"),
        ],
    ),
];

const LISTS: &[(&str, &str)] = &[
    ("Requests", "Request"),
    ("Grants", "Grant"),
    ("Pending", "PendingApproval"),
    ("NotificationConfigs", "NotificationConfig"),
    ("ApiKeys", "ApiKey"),
    ("Groups", "Group"),
    ("JitTemplates", "JitTemplate"),
    ("Applications", "Application"),
    ("Definitions", "Definition"),
    ("Approvals", "Approval"),
    ("Delegations", "Delegation"),
];

const WHOLE: &[(&str, &str)] = &[
    ("Steps", "Step"),
    ("Votes", "Vote"),
    ("ApplicationKeys", "ApplicationKey"),
];
