//! Roles without any server: what two roles hold together, and what their holder may grant.

use heimdall_tenant::ports::AppRecord;
use heimdall_tenant::{Model, Pattern, may_grant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let document = include_str!("acme.json");
    let (app, roles) = serde_json::from_str(document)?;
    let model = Model::compile(AppRecord {
        app,
        authority: 0,
        roles,
        catalogue: Vec::new(),
    });
    let clerk = model.effective([], ["clerk", "inviter"]);
    for permission in ["users:read", "users:invite", "roles:write"] {
        assert_eq!(
            model.allows(&clerk, permission),
            permission != "roles:write"
        );
    }
    let everything: Pattern = "*".parse()?;
    assert_eq!(may_grant(&clerk, [&everything]), Err(vec!["*".to_owned()]));
    Ok(())
}
