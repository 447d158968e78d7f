//! Every operation, one a line.

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Admin keys.
    Operator,
    /// Users of the App for what is their own, tokens that hold this permission, and admin keys.
    Own(&'static str),
    /// Tokens that hold this permission, and admin keys.
    Holds(&'static str),
    /// API keys that have this privilege, and tokens that hold the permission for it.
    Key(&'static str),
    /// Applications, by a token that they sign.
    Application,
    /// Whoever got the mail, by its token.
    Mail,
    /// A person: a user's token, or the cookie of a session.
    Person,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) auth: Auth,
    pub(crate) query: &'static [&'static str],
    pub(crate) body: Option<&'static str>,
    pub(crate) status: u16,
    pub(crate) answer: Option<&'static str>,
    /// Refusals beside those that follow from the shape of the operation.
    pub(crate) also: &'static [u16],
}

impl Operation {
    /// Whether a repetition under the same key is answered by the first answer.
    pub(crate) fn is_once(&self) -> bool {
        self.method == "POST" && !matches!(self.auth, Auth::Mail) && !self.path.ends_with("/votes")
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.path.ends_with("/events")
    }

    pub(crate) fn tag(&self) -> &'static str {
        let below = ["/v1/apps/{app}/", "/webapi/v2/", "/v1/", "/api/"]
            .iter()
            .find_map(|prefix| self.path.strip_prefix(prefix));
        below
            .and_then(|rest| rest.split('/').next())
            .unwrap_or("service")
    }
}

macro_rules! operations {
    ($($method:ident $path:literal $auth:expr, [$($query:literal),*], $body:expr => $status:literal $answer:expr, [$($also:literal),*], $summary:literal;)*) => {
        pub(crate) const OPERATIONS: &[Operation] = &[$(Operation {
            method: stringify!($method), path: $path, summary: $summary, auth: $auth, query: &[$($query),*],
            body: $body, status: $status, answer: $answer, also: &[$($also),*],
        }),*];
    };
}

use Auth::{Application, Holds, Key, Mail, Operator, Own, Person};

const SETTINGS: Auth = Holds("settings:write");
const READ: Auth = Key("approvals:read");
const WRITE: Auth = Key("approvals:write");
const LINKS: Auth = Key("approvals:links");

operations! {
    POST "/v1/apps/{app}/requests" Own("a user's token"), [], Some("NewRequest") => 201 Some("Request"), [403], "Asks for roles, for a while";
    GET "/v1/apps/{app}/requests" Own("approvals:read"), ["state", "limit", "cursor"], None => 200 Some("Requests"), [403], "Lists own requests, or all";
    GET "/v1/apps/{app}/requests/{id}" Own("approvals:read"), [], None => 200 Some("Request"), [], "Shows a request";
    POST "/v1/apps/{app}/requests/{id}/cancel" Own("approvals:write"), [], None => 200 Some("Request"), [403, 409], "Withdraws a request";
    POST "/v1/apps/{app}/requests/{id}/terminate" Own("approvals:write"), [], None => 200 Some("Request"), [403, 409], "Ends what a request gave";
    POST "/v1/apps/{app}/requests/{id}/extend" Own("a user's token"), [], Some("Extension") => 201 Some("Request"), [403, 409], "Asks for longer";
    GET "/v1/apps/{app}/requests/{id}/events" Person, [], None => 200 None, [], "Streams each state of a request once, in order";

    GET "/v1/apps/{app}/grants" Own("approvals:read"), ["user", "active", "limit", "cursor"], None => 200 Some("Grants"), [403], "Lists grants";
    POST "/v1/apps/{app}/grants/{id}/revoke" Own("approvals:write"), [], None => 200 Some("Grant"), [403], "Takes a grant away";

    GET "/api/pending-approvals" Mail, [], None => 200 Some("Pending"), [403], "Shows what the mail asks";
    POST "/api/pending-approvals/{sessionId}/approve" Mail, [], None => 200 Some("Decided"), [403, 409], "Approves";
    POST "/api/pending-approvals/deny" Mail, [], Some("Denial") => 200 Some("Decided"), [403, 404, 409], "Denies, with a reason";

    GET "/v1/apps/{app}/settings/portal" SETTINGS, [], None => 200 Some("Portal"), [], "Shows the portal's settings";
    PUT "/v1/apps/{app}/settings/portal" SETTINGS, [], Some("PortalSettings") => 200 Some("Portal"), [], "Changes gate, host and signature key";
    POST "/v1/apps/{app}/settings/portal/signature-key/generate" SETTINGS, [], None => 200 Some("Portal"), [], "Makes a signature key; earlier ones still verify";
    GET "/v1/settings/smtp" Operator, [], None => 200 Some("MailServer"), [], "Shows the mail server";
    PUT "/v1/settings/smtp" Operator, [], Some("NewMailServer") => 200 Some("MailServer"), [], "Sets the mail server";
    POST "/v1/settings/smtp/test" Operator, [], Some("TestMail") => 200 Some("TestedMail"), [502], "Sends a test mail; 202 when it was queued";

    POST "/v1/apps/{app}/notification-configs" SETTINGS, [], Some("NewNotificationConfig") => 201 Some("NotificationConfig"), [], "Makes a notification config";
    GET "/v1/apps/{app}/notification-configs" SETTINGS, ["limit", "cursor"], None => 200 Some("NotificationConfigs"), [], "Lists notification configs";
    GET "/v1/apps/{app}/notification-configs/{id}" SETTINGS, [], None => 200 Some("NotificationConfig"), [], "Shows one";
    PATCH "/v1/apps/{app}/notification-configs/{id}" SETTINGS, [], Some("NotificationConfigPatch") => 200 Some("NotificationConfig"), [], "Changes one";
    DELETE "/v1/apps/{app}/notification-configs/{id}" SETTINGS, [], None => 204 None, [], "Deletes one";

    POST "/v1/api-keys" SETTINGS, [], Some("NewApiKey") => 201 Some("NewApiKeyAnswer"), [404], "Makes an API key; it is shown once";
    GET "/v1/api-keys" SETTINGS, ["app", "limit", "cursor"], None => 200 Some("ApiKeys"), [404, 422], "Lists API keys";
    GET "/v1/api-keys/{id}" SETTINGS, [], None => 200 Some("ApiKey"), [], "Shows one";
    PATCH "/v1/api-keys/{id}" SETTINGS, [], Some("ApiKeyPatch") => 200 Some("ApiKey"), [], "Changes one";
    DELETE "/v1/api-keys/{id}" SETTINGS, [], None => 204 None, [], "Deletes one: its requests are refused from now on";

    POST "/v1/apps/{app}/groups" SETTINGS, [], Some("NewGroup") => 201 Some("Group"), [], "Makes a group";
    GET "/v1/apps/{app}/groups" SETTINGS, ["limit", "cursor"], None => 200 Some("Groups"), [], "Lists groups";
    GET "/v1/apps/{app}/groups/{id}" SETTINGS, [], None => 200 Some("Group"), [], "Shows one";
    PATCH "/v1/apps/{app}/groups/{id}" SETTINGS, [], Some("GroupPatch") => 200 Some("Group"), [], "Changes one";
    DELETE "/v1/apps/{app}/groups/{id}" SETTINGS, [], None => 204 None, [], "Deletes one";

    POST "/v1/apps/{app}/jit/templates" SETTINGS, [], Some("NewJitTemplate") => 201 Some("JitTemplate"), [], "Makes a just-in-time template";
    GET "/v1/apps/{app}/jit/templates" SETTINGS, ["limit", "cursor"], None => 200 Some("JitTemplates"), [], "Lists templates";
    GET "/v1/apps/{app}/jit/templates/{key}" SETTINGS, [], None => 200 Some("JitTemplate"), [], "Shows one";
    PATCH "/v1/apps/{app}/jit/templates/{key}" SETTINGS, [], Some("JitTemplatePatch") => 200 Some("JitTemplate"), [], "Changes or disables one";
    DELETE "/v1/apps/{app}/jit/templates/{key}" SETTINGS, [], None => 204 None, [], "Deletes one";
    POST "/v1/apps/{app}/jit/applications" SETTINGS, [], Some("NewApplication") => 201 Some("ApplicationKeyAnswer"), [], "Makes an application; its signing key is shown once";
    GET "/v1/apps/{app}/jit/applications" SETTINGS, ["limit", "cursor"], None => 200 Some("Applications"), [], "Lists applications";
    DELETE "/v1/apps/{app}/jit/applications/{iss}" SETTINGS, [], None => 204 None, [], "Ends an application: its tokens are refused from now on";
    POST "/v1/apps/{app}/jit/applications/{iss}/keys" SETTINGS, [], None => 201 Some("ApplicationKeyAnswer"), [], "Makes a further signing key; the one before stays good";
    GET "/v1/apps/{app}/jit/applications/{iss}/keys" SETTINGS, [], None => 200 Some("ApplicationKeys"), [], "Lists the signing keys, without their values";
    DELETE "/v1/apps/{app}/jit/applications/{iss}/keys/{key}" SETTINGS, [], None => 204 None, [], "Ends a signing key";

    POST "/v1/jit/requests" Application, [], Some("NewJitRequest") => 202 Some("JitRequest"), [], "Asks by a template";
    GET "/v1/jit/requests/{id}" Application, [], None => 200 Some("JitRequest"), [], "Shows how it stands";
    GET "/v1/jit/requests/{id}/events" Application, [], None => 200 None, [], "Streams each state once, in order";
    POST "/v1/jit/requests/{id}/cancel" Application, [], None => 200 Some("JitRequest"), [409], "Withdraws it";

    POST "/webapi/v2/definitions" WRITE, [], Some("NewDefinition") => 201 Some("Definition"), [], "Keeps a definition; the same name again makes its next version";
    GET "/webapi/v2/definitions" READ, ["limit", "cursor"], None => 200 Some("Definitions"), [], "Lists definitions";
    GET "/webapi/v2/definitions/{id}" READ, [], None => 200 Some("Definition"), [], "Shows a definition, by id or name";
    POST "/webapi/v2/approvals" WRITE, [], Some("NewApproval") => 201 Some("Approval"), [], "Opens an approval";
    GET "/webapi/v2/approvals" READ, ["state", "limit", "cursor"], None => 200 Some("Approvals"), [], "Lists approvals";
    GET "/webapi/v2/approvals/{id}" READ, [], None => 200 Some("Approval"), [], "Shows an approval with its history";
    POST "/webapi/v2/approvals/{id}/cancel" WRITE, [], None => 200 Some("Approval"), [409], "Cancels an approval";
    POST "/webapi/v2/approvals/{id}/reset" WRITE, [], None => 200 Some("Approval"), [409], "Begins an approval anew";
    GET "/webapi/v2/approvals/{id}/events" READ, [], None => 200 None, [], "Streams the history of an approval";
    GET "/webapi/v2/approvals/{id}/links" LINKS, ["ttlHours"], None => 200 Some("Links"), [409], "Gives a link for every action of every active step";
    POST "/webapi/v2/approvals/{id}/links/{link}/revoke" LINKS, [], None => 204 None, [], "Revokes a link";
    GET "/webapi/v2/approvals/{id}/steps" READ, [], None => 200 Some("Steps"), [], "Lists the steps of an approval";
    GET "/webapi/v2/approvals/{id}/steps/{stepId}" READ, [], None => 200 Some("Step"), [], "Shows a step";
    GET "/webapi/v2/approvals/{id}/steps/{stepId}/links" LINKS, ["ttlHours"], None => 200 Some("Links"), [409], "Gives a link for every action of this step";
    POST "/webapi/v2/approvals/{id}/steps/{stepId}/answer" WRITE, [], Some("HookAnswer") => 200 Some("Approval"), [409], "Answers for a hook, or lets in or skips a held step";
    GET "/webapi/v2/approvals/{id}/steps/{stepId}/votes" READ, [], None => 200 Some("Votes"), [], "Lists the votes of a step";
    POST "/webapi/v2/approvals/{id}/steps/{stepId}/votes" Person, [], Some("NewVote") => 201 Some("Approval"), [403, 409], "Votes";
    POST "/webapi/v2/delegations" Key("delegations:write"), [], Some("NewDelegation") => 201 Some("Delegation"), [], "Lets somebody stand in";
    GET "/webapi/v2/delegations" READ, ["limit", "cursor"], None => 200 Some("Delegations"), [], "Lists delegations";
    DELETE "/webapi/v2/delegations/{id}" Key("delegations:write"), [], None => 204 None, [], "Ends a delegation";
}
