//! What `up` prints: where everything is, and six commands to try.

use serde_json::Value;

use super::UpArgs;

pub(super) fn greeting(args: &UpArgs, ready: &Value, mailbox: bool) -> String {
    let text = |path: &str| {
        let found = ready.pointer(path).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let approvals = text("/approvals");
    let mut out = format!(
        "Heimdall is up.\n\n  api         {}\n  approvals   {approvals}\n  proxy       {}\n  management  {}\n  \
         data        {}\n",
        text("/api"),
        text("/proxy"),
        text("/management"),
        args.data.display(),
    );
    if mailbox {
        out.push_str(&format!("  mailbox     {approvals}/mailbox\n"));
    }
    if ready.get("example").is_none_or(Value::is_null) {
        return out + "\nNo example tenant. Stop with Ctrl-C.";
    }
    out.push_str(&format!(
        "\nThe example tenant `acme` (kept in {}):\n\n  admin key      {}\n  requester      {}  {}\n  \
         administrator  {}  {}\n  approver       {}  (no account, decides by mail)\n",
        args.data.join("first-look.json").display(),
        text("/admin_key"),
        text("/example/requester/email"),
        text("/example/requester/password"),
        text("/example/administrator/email"),
        text("/example/administrator/password"),
        text("/example/approver/email"),
    ));
    out.push_str("\nSix commands to try:\n\n");
    for (number, (what, command)) in steps(&text, mailbox).into_iter().enumerate() {
        out.push_str(&format!("{}  {what}\n   {command}\n", number + 1));
    }
    out.push_str("\nStop with Ctrl-C.");
    out
}

// Each can be pasted into a shell as it is; `sed` instead of `jq`, which not everybody has.
fn steps(text: &dyn Fn(&str) -> String, mailbox: bool) -> [(String, String); 6] {
    let (api, approvals, proxy) = (text("/api"), text("/approvals"), text("/proxy"));
    let login = format!(
        "TOKEN=$(curl -s {api}/v1/apps/acme/sessions -H 'Content-Type: application/json' \\\n     \
         -d '{{\"email\":\"{}\",\"password\":\"{}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\).*/\\1/')",
        text("/example/requester/email"),
        text("/example/requester/password"),
    );
    let invoices = format!("curl {proxy}/billing/invoices -H \"Authorization: Bearer $TOKEN\"");
    let ask = format!(
        "ID=$(curl -s {approvals}/v1/apps/acme/requests -H \"Authorization: Bearer $TOKEN\" \\\n     \
         -H 'Content-Type: application/json' \\\n     \
         -d '{{\"roles\":[\"billing-admin\"],\"justification\":\"Month-end run\",\"duration_minutes\":60}}' \\\n     \
         | sed 's/.*\"session_id\":\\([0-9]*\\).*/\\1/'); echo \"request $ID\""
    );
    let (approve, decide) = if mailbox {
        (
            format!(
                "Approve it, as the approver does by the link of his mail on {approvals}/mailbox"
            ),
            format!(
                "BEARER=$(sleep 1; curl -s {approvals}/mailbox | grep -o 'token=[A-Za-z0-9._-]*' | head -n 1 | cut -c 7-)\n   \
                 curl -X POST {approvals}/api/pending-approvals/$ID/approve -H \"Authorization: Bearer $BEARER\""
            ),
        )
    } else {
        (
            "Approve it by the link of the mail that arrives; until then this says CREATED"
                .to_owned(),
            format!("curl {approvals}/v1/apps/acme/requests -H \"Authorization: Bearer $TOKEN\""),
        )
    };
    [
        (
            "Anyone may pass, and the upstream shows what it got:".to_owned(),
            format!("curl {proxy}/open"),
        ),
        ("Sign in, and keep the token:".to_owned(), login.clone()),
        (
            "403, which role would help, and where to ask:".to_owned(),
            invoices.clone(),
        ),
        (format!("Ask for it (or on {approvals}/requests/new):"), ask),
        (format!("{approve}:"), decide),
        (
            "The next token opens the door:".to_owned(),
            format!("{login}\n   {invoices}"),
        ),
    ]
}
