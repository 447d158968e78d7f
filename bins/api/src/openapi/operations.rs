//! Every operation, one a line.

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Anybody.
    Open,
    /// Admin keys.
    Admin,
    /// Tokens that hold this permission, and admin keys.
    Holds(&'static str),
    /// Clients that authenticate themselves, and admin keys.
    Client,
    /// The token that is asked about, in the body or the header.
    Asked,
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
}

impl Operation {
    pub(crate) fn is_oauth(&self) -> bool {
        self.path.ends_with("/tokens") || self.path.contains("/tokens/")
    }

    /// Whether a repetition under the same key is answered by the first answer.
    pub(crate) fn is_once(&self) -> bool {
        let afresh = [
            "/sessions",
            "/sessions/mfa",
            "/authorize",
            "/authorize/batch",
            "/verify",
            "/users:import",
        ];
        !self.is_oauth() && !afresh.iter().any(|end| self.path.ends_with(end))
    }

    pub(crate) fn takes_version(&self) -> bool {
        matches!(self.method, "PATCH" | "PUT")
            || (self.method == "DELETE"
                && !self.path.contains("/roles/{role}")
                    | self.path.ends_with("/apps/{app}/roles/{role}"))
    }

    pub(crate) fn tag(&self) -> &'static str {
        let below = self
            .path
            .strip_prefix("/v1/apps/{app}/")
            .or_else(|| self.path.strip_prefix("/v1/"));
        below
            .and_then(|rest| rest.split(['/', ':']).next())
            .filter(|tag| !tag.is_empty())
            .unwrap_or("service")
    }
}

macro_rules! operations {
    ($($method:ident $path:literal $auth:expr, [$($query:literal),*], $body:expr => $status:literal $answer:expr, $summary:literal;)*) => {
        pub(crate) const OPERATIONS: &[Operation] = &[$(Operation {
            method: stringify!($method), path: $path, summary: $summary, auth: $auth, query: &[$($query),*],
            body: $body, status: $status, answer: $answer,
        }),*];
    };
}

use Auth::{Admin, Asked, Client, Holds, Open};

operations! {
    POST "/v1/apps" Admin, [], Some("NewApp") => 201 Some("App"), "Makes an App";
    GET "/v1/apps" Admin, ["limit", "cursor", "state"], None => 200 Some("Apps"), "Lists Apps";
    GET "/v1/apps/{app}" Admin, [], None => 200 Some("App"), "Shows an App";
    PATCH "/v1/apps/{app}" Admin, [], Some("AppPatch") => 200 Some("App"), "Changes an App";
    DELETE "/v1/apps/{app}" Admin, ["purge"], None => 204 None, "Archives an App, or erases it";
    POST "/v1/apps/{app}/suspend" Admin, [], None => 200 Some("App"), "Stops an App's tokens";
    POST "/v1/apps/{app}/restore" Admin, [], None => 200 Some("App"), "Starts them again";

    POST "/v1/apps/{app}/roles" Holds("roles:write"), [], Some("NewRole") => 201 Some("Role"), "Makes a role";
    GET "/v1/apps/{app}/roles" Holds("roles:read"), ["limit", "cursor"], None => 200 Some("Roles"), "Lists roles";
    GET "/v1/apps/{app}/roles/{role}" Holds("roles:read"), [], None => 200 Some("Role"), "Shows a role";
    PATCH "/v1/apps/{app}/roles/{role}" Holds("roles:write"), [], Some("RolePatch") => 200 Some("Role"), "Changes a role";
    DELETE "/v1/apps/{app}/roles/{role}" Holds("roles:write"), [], None => 204 None, "Deletes a role that nobody has";
    PUT "/v1/apps/{app}/roles/{role}/permissions" Holds("roles:write"), [], Some("RolePermissions") => 200 Some("Role"), "Replaces a role's permissions";
    GET "/v1/apps/{app}/permissions" Holds("roles:read"), ["limit", "cursor"], None => 200 Some("Permissions"), "Lists the catalogue";
    POST "/v1/apps/{app}/permissions" Holds("roles:write"), [], Some("NewPermission") => 201 Some("Permission"), "Adds to the catalogue";
    DELETE "/v1/apps/{app}/permissions/{permission}" Holds("roles:write"), [], None => 204 None, "Takes from the catalogue";

    POST "/v1/apps/{app}/users" Holds("users:write"), [], Some("NewUser") => 201 Some("User"), "Makes a user";
    GET "/v1/apps/{app}/users" Holds("users:read"), ["limit", "cursor", "state", "role", "email"], None => 200 Some("Users"), "Lists users";
    GET "/v1/apps/{app}/users/{user}" Holds("users:read"), [], None => 200 Some("User"), "Shows a user";
    PATCH "/v1/apps/{app}/users/{user}" Holds("users:write"), [], Some("UserPatch") => 200 Some("User"), "Changes a user";
    DELETE "/v1/apps/{app}/users/{user}" Holds("users:write"), ["purge"], None => 204 None, "Deactivates a user, or erases it";
    POST "/v1/apps/{app}/users/{user}/suspend" Holds("users:write"), [], None => 200 Some("User"), "Suspends a user";
    POST "/v1/apps/{app}/users/{user}/reactivate" Holds("users:write"), [], None => 200 Some("User"), "Lets a user in again";
    POST "/v1/apps/{app}/users/{user}/sessions/revoke" Holds("users:write"), [], None => 204 None, "Ends all sessions of a user";
    POST "/v1/apps/{app}/users/{user}/factors/reset" Holds("users:write"), [], None => 204 None, "Takes every second factor of a user away";
    GET "/v1/apps/{app}/users/{user}/roles" Holds("users:read"), [], None => 200 Some("UserRoles"), "Lists a user's roles";
    POST "/v1/apps/{app}/users/{user}/roles" Holds("roles:assign"), [], Some("RoleName") => 200 Some("User"), "Gives a role";
    DELETE "/v1/apps/{app}/users/{user}/roles/{role}" Holds("roles:assign"), [], None => 204 None, "Takes a role";
    POST "/v1/apps/{app}/users:import" Admin, [], Some("Import") => 200 Some("ImportReport"), "Imports users, one JSON object a line";

    POST "/v1/apps/{app}/credentials" Holds("credentials:write"), [], Some("NewCredential") => 201 Some("NewCredentialAnswer"), "Makes a credential; its secret is shown once";
    GET "/v1/apps/{app}/credentials" Holds("credentials:read"), ["limit", "cursor"], None => 200 Some("Credentials"), "Lists credentials";
    GET "/v1/apps/{app}/credentials/{client}" Holds("credentials:read"), [], None => 200 Some("Credential"), "Shows a credential";
    PATCH "/v1/apps/{app}/credentials/{client}" Holds("credentials:write"), [], Some("CredentialPatch") => 200 Some("Credential"), "Changes a credential";
    DELETE "/v1/apps/{app}/credentials/{client}" Holds("credentials:write"), [], None => 204 None, "Deletes a credential";
    POST "/v1/apps/{app}/credentials/{client}/secrets" Holds("credentials:write"), [], None => 201 Some("NewSecret"), "Adds a second secret, for rotation";
    DELETE "/v1/apps/{app}/credentials/{client}/secrets/{secret}" Holds("credentials:write"), [], None => 204 None, "Deletes a secret";

    POST "/v1/apps/{app}/tokens" Client, [], Some("TokenRequest") => 200 Some("TokenAnswer"), "Token endpoint of an App (RFC 6749)";
    POST "/v1/apps/{app}/tokens/introspect" Client, [], Some("TokenQuestion") => 200 Some("Introspection"), "Introspection (RFC 7662)";
    POST "/v1/apps/{app}/tokens/revoke" Client, [], Some("TokenQuestion") => 200 None, "Revocation (RFC 7009)";
    POST "/v1/tokens" Client, [], Some("TokenRequest") => 200 Some("TokenAnswer"), "Token endpoint for all Apps";
    POST "/v1/tokens/introspect" Client, [], Some("TokenQuestion") => 200 Some("Introspection"), "Introspection for all Apps";
    POST "/v1/tokens/revoke" Client, [], Some("TokenQuestion") => 200 None, "Revocation for all Apps";

    POST "/v1/apps/{app}/sessions" Open, [], Some("Login") => 201 Some("TokenAnswer"), "Logs in with a password";
    POST "/v1/apps/{app}/sessions/mfa" Open, [], Some("SecondProof") => 201 Some("TokenAnswer"), "Second step of a login that was answered with `mfa_required`";
    GET "/v1/apps/{app}/me/sessions" Holds("a user's token"), ["limit", "cursor"], None => 200 Some("Sessions"), "Lists own sessions";
    DELETE "/v1/apps/{app}/me/sessions/{session}" Holds("a user's token"), [], None => 204 None, "Ends an own session";
    POST "/v1/apps/{app}/me/password" Holds("a user's token"), [], Some("OwnPassword") => 204 None, "Changes the own password; every session ends";
    GET "/v1/apps/{app}/me/factors" Holds("a user's token"), [], None => 200 Some("Factors"), "Lists own second factors";
    POST "/v1/apps/{app}/me/factors/totp" Holds("a user's token"), [], Some("PresentPassword") => 201 Some("TotpOffer"), "Offers an authenticator app a secret, shown once";
    POST "/v1/apps/{app}/me/factors/totp/confirm" Holds("a user's token"), [], Some("Code") => 200 Some("RecoveryCodes"), "Takes it into use; recovery codes are shown once";
    POST "/v1/apps/{app}/me/factors/totp/remove" Holds("a user's token"), [], Some("PresentPassword") => 204 None, "Takes the authenticator app away";
    POST "/v1/apps/{app}/me/factors/passkeys/options" Holds("a user's token"), [], Some("PresentPassword") => 200 Some("PasskeyOffer"), "What a browser is asked in order to make a passkey";
    POST "/v1/apps/{app}/me/factors/passkeys" Holds("a user's token"), [], Some("NewPasskey") => 201 Some("NewPasskeyAnswer"), "Keeps the passkey that a browser made";
    POST "/v1/apps/{app}/me/factors/passkeys/{passkey}/remove" Holds("a user's token"), [], Some("PresentPassword") => 204 None, "Takes a passkey away";
    POST "/v1/apps/{app}/me/factors/recovery-codes" Holds("a user's token"), [], Some("PresentPassword") => 200 Some("RecoveryCodes"), "Makes new recovery codes, shown once";
    POST "/v1/apps/{app}/password-resets" Open, [], Some("ResetQuestion") => 202 None, "Mails a link to choose a new password, if there is such a user";
    POST "/v1/apps/{app}/password-resets/confirm" Open, [], Some("ResetPassword") => 204 None, "Sets a new password by a mailed token; every session ends";
    POST "/v1/apps/{app}/authorize" Asked, [], Some("Question") => 200 Some("Decision"), "Says whether a token's holder may, now";
    POST "/v1/apps/{app}/authorize/batch" Asked, [], Some("Questions") => 200 Some("Decisions"), "Says it for several permissions";
    POST "/v1/apps/{app}/verify" Open, [], Some("TokenBody") => 200 Some("Introspection"), "Says whether a token is good, now";

    POST "/v1/apps/{app}/invites" Holds("users:invite"), [], Some("NewInvite") => 201 Some("NewInviteAnswer"), "Invites; the token is shown once";
    GET "/v1/apps/{app}/invites" Holds("users:invite"), ["limit", "cursor"], None => 200 Some("Invites"), "Lists invites";
    GET "/v1/apps/{app}/invites/{invite}" Holds("users:invite"), [], None => 200 Some("Invite"), "Shows an invite";
    DELETE "/v1/apps/{app}/invites/{invite}" Holds("users:invite"), [], None => 204 None, "Withdraws an invite";
    POST "/v1/apps/{app}/invites/{invite}/resend" Holds("users:invite"), [], None => 200 Some("NewInviteAnswer"), "Makes a new token for an invite";
    GET "/v1/invites/{token}" Open, [], None => 200 Some("InvitePreview"), "Shows who invites to what";
    POST "/v1/invites/{token}/accept" Open, [], Some("Acceptance") => 201 Some("Accepted"), "Accepts an invite";

    POST "/v1/apps/{app}/webhooks" Holds("webhooks:write"), [], Some("NewWebhook") => 201 Some("NewWebhookAnswer"), "Registers an endpoint; its secret is shown once";
    GET "/v1/apps/{app}/webhooks" Holds("webhooks:read"), ["limit", "cursor"], None => 200 Some("Webhooks"), "Lists endpoints";
    GET "/v1/apps/{app}/webhooks/{webhook}" Holds("webhooks:read"), [], None => 200 Some("Webhook"), "Shows an endpoint";
    PATCH "/v1/apps/{app}/webhooks/{webhook}" Holds("webhooks:write"), [], Some("WebhookPatch") => 200 Some("Webhook"), "Changes an endpoint";
    DELETE "/v1/apps/{app}/webhooks/{webhook}" Holds("webhooks:write"), [], None => 204 None, "Deletes an endpoint";
    POST "/v1/apps/{app}/webhooks/{webhook}/secret/rotate" Holds("webhooks:write"), [], None => 201 Some("NewWebhookAnswer"), "Makes a new secret; the old one signs beside it for a day";
    POST "/v1/apps/{app}/webhooks/{webhook}/enable" Holds("webhooks:write"), [], None => 200 Some("Webhook"), "Serves a disabled endpoint again";

    POST "/v1/apps/{app}/webhooks/{webhook}/test" Holds("webhooks:write"), [], None => 201 Some("Queued"), "Sends a test event to an endpoint";
    POST "/v1/apps/{app}/webhooks/{webhook}/replay" Holds("webhooks:write"), [], Some("Replay") => 200 Some("Replayed"), "Sends all events since a moment again";
    GET "/v1/apps/{app}/webhooks/{webhook}/deliveries" Holds("webhooks:read"), ["limit", "cursor"], None => 200 Some("Deliveries"), "Lists deliveries, newest first";
    POST "/v1/apps/{app}/webhooks/{webhook}/deliveries/{delivery}/redeliver" Holds("webhooks:write"), [], None => 204 None, "Sends one delivery again";

    GET "/v1/apps/{app}/events" Holds("events:read"), ["after", "types", "limit"], None => 200 Some("Events"), "Reads the event feed";
    GET "/v1/apps/{app}/audit" Holds("audit:read"), ["limit", "cursor", "action", "target", "actor", "since", "until"], None => 200 Some("Audit"), "Reads the audit, newest first";
    GET "/v1/apps/{app}/settings" Holds("settings:read"), [], None => 200 Some("Settings"), "Shows the App's settings";
    PATCH "/v1/apps/{app}/settings" Holds("settings:write"), [], Some("SettingsPatch") => 200 Some("Settings"), "Changes them";
    GET "/v1/apps/{app}/keys" Holds("keys:read"), [], None => 200 Some("Keys"), "Lists signing keys";
    POST "/v1/apps/{app}/keys/rotate" Admin, [], Some("Rotation") => 201 Some("Key"), "Makes the next signing key";
    GET "/v1/apps/{app}/revocations" Holds("a token of the App"), ["since", "wait"], None => 200 Some("Revocations"), "What local verifiers must know; waits for news";

    GET "/v1/keys" Admin, [], None => 200 Some("Keys"), "Lists signing keys, which serve every App";
    POST "/v1/keys/rotate" Admin, [], Some("Rotation") => 201 Some("Key"), "Makes the next signing key";
    POST "/v1/keys/import" Admin, [], Some("KeyImport") => 201 Some("Key"), "Brings a private key of one's own as the next signing key";

    POST "/v1/admin-keys" Admin, [], Some("NewAdminKey") => 201 Some("NewAdminKeyAnswer"), "Makes an admin key, shown once";
    GET "/v1/admin-keys" Admin, ["limit", "cursor"], None => 200 Some("AdminKeys"), "Lists admin keys";
    DELETE "/v1/admin-keys/{id}" Admin, [], None => 204 None, "Revokes an admin key";

    GET "/v1/.well-known/jwks.json" Open, [], None => 200 Some("Jwks"), "The public keys";
    GET "/v1/.well-known/openid-configuration" Open, [], None => 200 Some("Metadata"), "OpenID Connect discovery";
    GET "/v1/.well-known/oauth-authorization-server" Open, [], None => 200 Some("Metadata"), "OAuth metadata (RFC 8414)";
}
