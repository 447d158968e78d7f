use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heimdall_store::Store;
use heimdall_tenant::entity::{PasswordHash, UserState};
use heimdall_tenant::input::{
    Acceptance, CredentialPatch, ImportedUser, Login, NewAdminKey, NewApp, NewCredential,
    NewInvite, NewPermission, NewRole, NewUser, NewWebhook, RolePatch, SecondProof, TokenRequest,
    UserPatch, WebhookPatch,
};
use heimdall_tenant::ports::{Passwords, Verdict};
use heimdall_tenant::view::{NewCredentialView, SecondStep, UserView};
use heimdall_tenant::{
    Caller, Class, ClientAuth, Hasher, LoggedIn, OAuthCode, SigningKeys, TenantError, TenantPorts,
    TenantSettings, Tenants, UserQuery,
};
use heimdall_token::otp::{TotpSecret, step_at};
use heimdall_token::{Algorithm, PublicKeys, RootKey, Signer, SigningKey, SystemRng};
use heimdall_types::{Clock, Fault, ManualClock, PageRequest, Secret, SeededRng, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PASSWORD: &str = "correct horse";

struct OneKey(Signer);

impl SigningKeys for OneKey {
    fn signer(&self) -> Option<Signer> {
        Some(self.0.clone())
    }

    fn signer_for(&self, algorithm: Algorithm) -> Option<Signer> {
        (algorithm == Algorithm::Es256).then(|| self.0.clone())
    }

    fn public(&self) -> Arc<PublicKeys> {
        Arc::new(PublicKeys::of([self.0.key().public().clone()]))
    }

    fn epoch(&self) -> u64 {
        1
    }
}

/// Hashes at once, with the weakest parameters there are.
struct Cheap;

#[async_trait]
impl Passwords for Cheap {
    async fn hash(&self, password: Secret) -> Result<PasswordHash, Fault> {
        Hasher::weak()
            .hash(password.expose(), &SystemRng)
            .map_err(|error| Fault::Unavailable(error.to_string()))
    }

    async fn verify(
        &self,
        password: Secret,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, Fault> {
        Ok(Hasher::weak().verify(password.expose(), stored.as_ref()))
    }
}

struct House {
    tenants: Tenants,
    clock: Arc<ManualClock>,
}

/// Two instances over one database stand for two processes: neither hears the other's commits.
fn house(store: &Store) -> House {
    let clock = Arc::new(ManualClock::at(NOW));
    let all = Arc::new(store.clone());
    let ports = TenantPorts {
        apps: all.clone(),
        directory: all.clone(),
        authority: all.clone(),
        credentials: all.clone(),
        sessions: all.clone(),
        proofs: all.clone(),
        invites: all.clone(),
        webhooks: all.clone(),
        ledger: all,
        passwords: Arc::new(Cheap),
        keys: Arc::new(OneKey(Signer::new(
            SigningKey::generate(Algorithm::Es256).unwrap(),
        ))),
        notification_configs: None,
        client_keys: None,
        addresses: None,
        clock: clock.clone(),
        rng: Arc::new(SystemRng),
    };
    let root = RootKey::generate(&SeededRng::new(7));
    House {
        tenants: Tenants::new(
            ports,
            TenantSettings::new("https://id.example/heimdall"),
            root,
        ),
        clock,
    }
}

fn role(name: &str, permissions: &[&str]) -> NewRole {
    NewRole {
        name: name.to_owned(),
        permissions: permissions.iter().map(|it| (*it).to_owned()).collect(),
        ..NewRole::default()
    }
}

fn person(name: &str, roles: &[&str]) -> NewUser {
    NewUser {
        email: format!("{name}@example.org"),
        password: Some(Secret::new(PASSWORD)),
        roles: roles.iter().map(|it| (*it).to_owned()).collect(),
        ..NewUser::default()
    }
}

fn texts(of: &[&str]) -> Vec<String> {
    of.iter().map(|it| (*it).to_owned()).collect()
}

impl House {
    async fn app(&self, name: &str) {
        self.tenants
            .create_app(
                &Caller::System,
                NewApp {
                    name: name.to_owned(),
                    display_name: None,
                },
            )
            .await
            .unwrap();
    }

    async fn role(&self, app: &str, name: &str, permissions: &[&str]) {
        self.tenants
            .create_role(&Caller::System, app, role(name, permissions))
            .await
            .unwrap();
    }

    async fn user(&self, app: &str, name: &str, roles: &[&str]) -> UserView {
        self.tenants
            .create_user(&Caller::System, app, person(name, roles))
            .await
            .unwrap()
    }

    async fn token(&self, app: &str, name: &str) -> Secret {
        let login = Login {
            email: format!("{name}@example.org"),
            password: Secret::new(PASSWORD),
        };
        match self.tenants.login(app, login, None).await.unwrap() {
            LoggedIn::Done(tokens) => Secret::new(tokens.access_token),
            LoggedIn::SecondStep(_) => panic!("{name} is asked for a second factor"),
        }
    }

    async fn caller(&self, app: &str, name: &str) -> Caller {
        self.tenants
            .caller(self.token(app, name).await.expose())
            .await
            .unwrap()
    }

    async fn allowed(&self, app: &str, token: &Secret, permission: &str) -> bool {
        self.tenants
            .authorize(app, token, &texts(&[permission]))
            .await
            .unwrap()
            .authorized
    }

    async fn client(&self, app: &str, roles: &[&str]) -> NewCredentialView {
        let new = NewCredential {
            name: "robot".to_owned(),
            roles: texts(roles),
            ..NewCredential::default()
        };
        self.tenants
            .create_credential(&Caller::System, app, new)
            .await
            .unwrap()
    }
}

fn by_secret(id: &str, secret: &str) -> TokenRequest {
    TokenRequest {
        grant_type: Some("client_credentials".to_owned()),
        client_id: Some(id.to_owned()),
        client_secret: Some(Secret::new(secret)),
        ..TokenRequest::default()
    }
}

fn class<T: std::fmt::Debug>(outcome: Result<T, TenantError>) -> Class {
    outcome.unwrap_err().class()
}

pub(crate) async fn a_login_carries_what_its_roles_hold(store: Store) {
    let house = house(&store);
    house.app("acme").await;
    house
        .role("acme", "reader", &["billing:read", "billing:*"])
        .await;
    house.role("acme", "writer", &["billing:write"]).await;
    let user = house.user("acme", "ada", &["reader"]).await;
    let token = house.token("acme", "ada").await;
    let seen = house.tenants.verify("acme", &token).await.unwrap();
    let claims = seen.claims.unwrap();
    assert_eq!(
        (claims.sub.as_str(), claims.client_id.as_str()),
        (user.id.as_str(), "sessions")
    );
    assert_eq!(claims.roles, ["reader"]);
    // The wildcard is expanded over the catalogue, and `writer` taught the catalogue `billing:write`.
    assert_eq!(claims.permissions, ["billing:read", "billing:write"]);
    assert!(!house.allowed("acme", &token, "users:read").await);
}

pub(crate) async fn a_taken_role_is_gone_for_tokens_that_were_issued_before(store: Store) {
    let house = house(&store);
    house.app("acme").await;
    house.role("acme", "reader", &["billing:read"]).await;
    let user = house.user("acme", "ada", &["reader"]).await;
    let token = house.token("acme", "ada").await;
    assert!(house.allowed("acme", &token, "billing:read").await);
    house
        .tenants
        .unassign_role(&Caller::System, "acme", user.id.as_str(), "reader")
        .await
        .unwrap();
    assert!(!house.allowed("acme", &token, "billing:read").await);
    assert!(
        house
            .tenants
            .verify("acme", &token)
            .await
            .unwrap()
            .claims
            .unwrap()
            .permissions
            .is_empty()
    );
    let news = house
        .tenants
        .revocations(&Caller::System, "acme", 0, 100)
        .await
        .unwrap();
    let about: Vec<_> = news
        .data
        .iter()
        .map(|it| (it.kind, it.id.as_str(), it.status))
        .collect();
    assert_eq!(about, [("user", user.id.as_str(), "live")]);
    house
        .tenants
        .assign_role(&Caller::System, "acme", user.id.as_str(), "reader")
        .await
        .unwrap();
    assert!(house.allowed("acme", &token, "billing:read").await);
    house
        .tenants
        .update_role(
            &Caller::System,
            "acme",
            "reader",
            RolePatch {
                permissions: Some(vec![]),
                ..RolePatch::default()
            },
            None,
        )
        .await
        .unwrap();
    assert!(!house.allowed("acme", &token, "billing:read").await);
    let later = house
        .tenants
        .revocations(&Caller::System, "acme", news.seq, 100)
        .await
        .unwrap();
    let hers = later
        .data
        .iter()
        .find(|it| it.id == user.id.as_str())
        .unwrap();
    assert!(
        hers.permissions.is_empty() && hers.roles == ["reader"],
        "a changed role is told of everybody who has it"
    );
}

pub(crate) async fn a_suspended_user_and_a_suspended_app_have_no_good_token(store: Store) {
    let house = house(&store);
    house.app("acme").await;
    let user = house.user("acme", "ada", &[]).await;
    let token = house.token("acme", "ada").await;
    assert!(house.tenants.verify("acme", &token).await.unwrap().active);
    house
        .tenants
        .suspend_user(&Caller::System, "acme", user.id.as_str())
        .await
        .unwrap();
    assert!(!house.tenants.verify("acme", &token).await.unwrap().active);
    house
        .tenants
        .reactivate_user(&Caller::System, "acme", user.id.as_str())
        .await
        .unwrap();
    assert!(
        !house.tenants.verify("acme", &token).await.unwrap().active,
        "its sessions were ended"
    );
    let token = house.token("acme", "ada").await;
    assert!(
        house.tenants.verify("acme", &token).await.unwrap().active,
        "a new login works in the same second"
    );
    house
        .tenants
        .suspend_app(&Caller::System, "acme")
        .await
        .unwrap();
    assert!(!house.tenants.verify("acme", &token).await.unwrap().active);
    let login = Login {
        email: "ada@example.org".to_owned(),
        password: Secret::new(PASSWORD),
    };
    assert_eq!(
        class(house.tenants.login("acme", login, None).await),
        Class::Unauthenticated
    );
    house
        .tenants
        .restore_app(&Caller::System, "acme")
        .await
        .unwrap();
    assert!(house.tenants.verify("acme", &token).await.unwrap().active);
}

pub(crate) async fn nobody_grants_what_he_does_not_hold(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    house.role("acme", "admin", &["*"]).await;
    house
        .role(
            "acme",
            "clerk",
            &[
                "roles:write",
                "roles:assign",
                "users:write",
                "users:invite",
                "credentials:write",
                "billing:read",
            ],
        )
        .await;
    let boss = house.user("acme", "boss", &["admin"]).await;
    let clerk_user = house.user("acme", "clerk", &["clerk"]).await;
    let clerk = house.caller("acme", "clerk").await;
    let forbidden = Class::Forbidden;
    assert_eq!(
        class(
            tenants
                .create_role(&clerk, "acme", role("x", &["audit:read"]))
                .await
        ),
        forbidden
    );
    assert_eq!(
        class(
            tenants
                .create_role(&clerk, "acme", role("x", &["billing:*"]))
                .await
        ),
        forbidden
    );
    let through = NewRole {
        includes: texts(&["admin"]),
        ..role("x", &[])
    };
    assert_eq!(
        class(tenants.create_role(&clerk, "acme", through).await),
        forbidden
    );
    let own = RolePatch {
        permissions: Some(texts(&["*"])),
        ..RolePatch::default()
    };
    assert_eq!(
        class(
            tenants
                .update_role(&clerk, "acme", "clerk", own, None)
                .await
        ),
        forbidden
    );
    let asked = serde_json::from_str(r#"{"requestable":{"max_minutes":5}}"#).unwrap();
    assert_eq!(
        class(
            tenants
                .update_role(&clerk, "acme", "admin", asked, None)
                .await
        ),
        forbidden
    );
    assert_eq!(
        class(
            tenants
                .assign_role(&clerk, "acme", clerk_user.id.as_str(), "admin")
                .await
        ),
        forbidden
    );
    assert_eq!(
        class(
            tenants
                .create_user(&clerk, "acme", person("eve", &["admin"]))
                .await
        ),
        forbidden
    );
    let invite = NewInvite {
        role: Some("admin".to_owned()),
        ..NewInvite::default()
    };
    assert_eq!(
        class(tenants.create_invite(&clerk, "acme", invite).await),
        forbidden
    );
    let robot = house.client("acme", &["admin"]).await;
    let id = robot.credential.client_id.as_str();
    assert_eq!(
        class(tenants.add_secret(&clerk, "acme", id).await),
        forbidden
    );
    let keys = CredentialPatch {
        jwks_uri: Some(Some("https://evil.example/jwks".to_owned())),
        ..CredentialPatch::default()
    };
    assert_eq!(
        class(
            tenants
                .update_credential(&clerk, "acme", id, keys, None)
                .await
        ),
        forbidden
    );
    let takeover = UserPatch {
        password: Some(Secret::new("new password")),
        ..UserPatch::default()
    };
    assert_eq!(
        class(
            tenants
                .update_user(&clerk, "acme", boss.id.as_str(), takeover, None)
                .await
        ),
        forbidden
    );
    // What he does hold, he may hand on.
    tenants
        .create_role(&clerk, "acme", role("reader", &["billing:read"]))
        .await
        .unwrap();
    tenants
        .create_user(&clerk, "acme", person("eve", &["reader"]))
        .await
        .unwrap();
}

pub(crate) async fn the_last_who_may_assign_roles_stays(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    house.role("acme", "admin", &["roles:assign"]).await;
    house.role("acme", "chief", &[]).await;
    let through = RolePatch {
        includes: Some(texts(&["admin"])),
        ..RolePatch::default()
    };
    tenants
        .update_role(&Caller::System, "acme", "chief", through, None)
        .await
        .unwrap();
    let one = house.user("acme", "one", &["chief"]).await;
    let id = one.id.as_str();
    assert_eq!(
        tenants
            .unassign_role(&Caller::System, "acme", id, "chief")
            .await,
        Err(TenantError::LastHolder)
    );
    assert_eq!(
        tenants
            .suspend_user(&Caller::System, "acme", id)
            .await
            .unwrap_err(),
        TenantError::LastHolder
    );
    assert_eq!(
        tenants
            .delete_user(&Caller::System, "acme", id, true, None)
            .await,
        Err(TenantError::LastHolder)
    );
    let none = RolePatch {
        permissions: Some(vec![]),
        ..RolePatch::default()
    };
    assert_eq!(
        tenants
            .update_role(&Caller::System, "acme", "admin", none, None)
            .await
            .unwrap_err(),
        TenantError::LastHolder
    );
    let two = house.user("acme", "two", &["admin"]).await;
    // Two holders leave at the same moment: one of them stays.
    let (a, b) = tokio::join!(
        tenants.unassign_role(&Caller::System, "acme", id, "chief"),
        tenants.unassign_role(&Caller::System, "acme", two.id.as_str(), "admin"),
    );
    assert_eq!([a, b].into_iter().filter(Result::is_ok).count(), 1);
}

pub(crate) async fn a_role_in_use_cannot_be_deleted(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    house.role("acme", "reader", &["billing:read"]).await;
    let user = house.user("acme", "ada", &["reader"]).await;
    assert_eq!(
        tenants
            .delete_role(&Caller::System, "acme", "reader", None)
            .await,
        Err(TenantError::InUse)
    );
    tenants
        .unassign_role(&Caller::System, "acme", user.id.as_str(), "reader")
        .await
        .unwrap();
    tenants
        .delete_role(&Caller::System, "acme", "reader", None)
        .await
        .unwrap();
    assert_eq!(
        class(tenants.role(&Caller::System, "acme", "reader").await),
        Class::NotFound
    );
}

pub(crate) async fn a_foreign_app_looks_like_an_absent_one(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    for app in ["acme", "globex"] {
        house.app(app).await;
        house.role(app, "admin", &["*"]).await;
        house.user(app, "boss", &["admin"]).await;
    }
    let theirs = house.user("globex", "ada", &["admin"]).await;
    let boss = house.caller("acme", "boss").await;
    let page = PageRequest::first();
    let foreign = tenants
        .users(&boss, "globex", UserQuery::default(), &page)
        .await
        .unwrap_err();
    let absent = tenants
        .users(&boss, "no-such-app", UserQuery::default(), &page)
        .await
        .unwrap_err();
    assert_eq!(
        (&foreign, foreign.to_string()),
        (&absent, absent.to_string())
    );
    assert_eq!(
        class(tenants.user(&boss, "acme", theirs.id.as_str()).await),
        Class::NotFound
    );
    assert_eq!(
        class(
            tenants
                .assign_role(&boss, "acme", theirs.id.as_str(), "admin")
                .await
        ),
        Class::NotFound
    );
    let token = house.token("globex", "ada").await;
    assert_eq!(
        class(
            tenants
                .authorize("acme", &token, &texts(&["users:read"]))
                .await
        ),
        Class::NotFound
    );
    assert!(!tenants.verify("acme", &token).await.unwrap().active);
    let robot = house.client("globex", &[]).await;
    let id = robot.credential.client_id.as_str();
    assert_eq!(
        class(tenants.credential(&boss, "acme", id).await),
        Class::NotFound
    );
    let request = by_secret(id, &robot.client_secret);
    assert_eq!(
        tenants
            .token(
                &Caller::Anonymous,
                Some("acme"),
                &ClientAuth::default(),
                &request
            )
            .await
            .unwrap_err()
            .code(),
        OAuthCode::InvalidClient.as_str()
    );
}

pub(crate) async fn a_client_rotates_its_secret_without_an_outage(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    house.role("acme", "robot", &["jobs:run"]).await;
    let made = house.client("acme", &["robot"]).await;
    let id = made.credential.client_id.as_str();
    let first = by_secret(id, &made.client_secret);
    let ask = async |request: &TokenRequest| {
        tenants
            .token(
                &Caller::Anonymous,
                Some("acme"),
                &ClientAuth::default(),
                request,
            )
            .await
    };
    let answer = ask(&first).await.unwrap();
    assert_eq!((answer.token_type, answer.expires_in), ("Bearer", 3_600));
    let claims = tenants
        .verify("acme", &Secret::new(answer.access_token))
        .await
        .unwrap()
        .claims
        .unwrap();
    assert_eq!(
        (claims.sub.as_str(), claims.user_id, claims.permissions),
        (id, None, texts(&["jobs:run"]))
    );
    assert_eq!(claims.aud, ["acme"]);
    let next = tenants
        .add_secret(&Caller::System, "acme", id)
        .await
        .unwrap();
    assert_eq!(
        class(tenants.add_secret(&Caller::System, "acme", id).await),
        Class::Conflict
    );
    let second = by_secret(id, &next.client_secret);
    ask(&first).await.unwrap();
    ask(&second).await.unwrap();
    let oldest = made.credential.secrets[0].id.as_str();
    tenants
        .delete_secret(&Caller::System, "acme", id, oldest)
        .await
        .unwrap();
    assert_eq!(ask(&first).await.unwrap_err().code(), "invalid_client");
    let token = Secret::new(ask(&second).await.unwrap().access_token);
    let asking = by_secret(id, &next.client_secret);
    let seen = tenants
        .introspect(
            &Caller::Anonymous,
            None,
            &ClientAuth::default(),
            &asking,
            &token,
        )
        .await
        .unwrap();
    assert!(seen.active);
    tenants
        .delete_credential(&Caller::System, "acme", id, None)
        .await
        .unwrap();
    assert!(!tenants.verify("acme", &token).await.unwrap().active);
}

pub(crate) async fn a_scope_narrows_and_cannot_widen(store: Store) {
    let house = house(&store);
    house.app("acme").await;
    house
        .role("acme", "robot", &["jobs:run", "jobs:stop"])
        .await;
    let made = house.client("acme", &["robot"]).await;
    let mut request = by_secret(made.credential.client_id.as_str(), &made.client_secret);
    request.scope = Some("jobs:run".to_owned());
    let answer = house
        .tenants
        .token(&Caller::Anonymous, None, &ClientAuth::default(), &request)
        .await
        .unwrap();
    let token = Secret::new(answer.access_token);
    assert!(house.allowed("acme", &token, "jobs:run").await);
    assert!(!house.allowed("acme", &token, "jobs:stop").await);
    request.scope = Some("users:read".to_owned());
    let refused = house
        .tenants
        .token(&Caller::Anonymous, None, &ClientAuth::default(), &request)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "invalid_scope");
}

pub(crate) async fn a_refresh_token_has_one_successor_and_its_reuse_ends_the_family(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    house.user("acme", "ada", &[]).await;
    let login = Login {
        email: "ada@example.org".to_owned(),
        password: Secret::new(PASSWORD),
    };
    let LoggedIn::Done(first) = tenants.login("acme", login, None).await.unwrap() else {
        panic!("a second factor is asked for");
    };
    let first = first.refresh_token.unwrap();
    let refresh = async |token: &str| {
        let request = TokenRequest {
            grant_type: Some("refresh_token".to_owned()),
            refresh_token: Some(Secret::new(token)),
            ..TokenRequest::default()
        };
        tenants
            .token(
                &Caller::Anonymous,
                Some("acme"),
                &ClientAuth::default(),
                &request,
            )
            .await
    };
    let (a, b) = tokio::join!(refresh(&first), refresh(&first));
    let (a, b) = (
        a.unwrap().refresh_token.unwrap(),
        b.unwrap().refresh_token.unwrap(),
    );
    assert_eq!(a, b, "within the window both get the same successor");
    house.clock.advance(Duration::from_secs(5));
    assert_eq!(refresh(&first).await.unwrap().refresh_token.unwrap(), a);
    let next = refresh(&a).await.unwrap();
    let access = Secret::new(next.access_token);
    assert!(tenants.verify("acme", &access).await.unwrap().active);
    house.clock.advance(Duration::from_secs(11));
    assert_eq!(
        refresh("hrt_ses_00000000000000000000000000.0.x")
            .await
            .unwrap_err()
            .code(),
        "invalid_grant"
    );
    assert_eq!(refresh(&first).await.unwrap_err().code(), "invalid_grant");
    assert_eq!(
        refresh(&next.refresh_token.unwrap())
            .await
            .unwrap_err()
            .code(),
        "invalid_grant",
        "the family is revoked"
    );
    assert!(!tenants.verify("acme", &access).await.unwrap().active);
}

pub(crate) async fn failed_logins_lock_known_and_unknown_accounts_alike(store: Store) {
    let house = house(&store);
    house.app("acme").await;
    house.user("acme", "ada", &[]).await;
    for account in ["ada", "nobody"] {
        let mut answers = Vec::new();
        for _ in 0..12 {
            let login = Login {
                email: format!("{account}@example.org"),
                password: Secret::new("wrong"),
            };
            answers.push(
                house
                    .tenants
                    .login("acme", login, None)
                    .await
                    .unwrap_err()
                    .class(),
            );
        }
        let expected = [vec![Class::Unauthenticated; 10], vec![Class::Throttled; 2]].concat();
        assert_eq!(answers, expected, "{account}");
    }
    house.clock.advance(Duration::from_secs(61));
    house.token("acme", "ada").await;
}

fn proof(step: &SecondStep) -> SecondProof {
    SecondProof {
        mfa_token: Secret::new(&step.mfa_token),
        code: None,
        recovery_code: None,
        passkey: None,
    }
}

/// The code that an authenticator app shows.
fn code(secret: &[u8], at: Timestamp) -> Secret {
    Secret::new(TotpSecret::from_bytes(secret.to_vec()).code(step_at(at)))
}

fn base32(text: &str) -> Vec<u8> {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: Vec<usize> = text
        .chars()
        .flat_map(|c| {
            let value = letters.find(c).unwrap();
            (0..5).rev().map(move |bit| (value >> bit) & 1)
        })
        .collect();
    bits.chunks_exact(8)
        .map(|byte| byte.iter().fold(0, |n, bit| (n << 1) | *bit as u8))
        .collect()
}

impl House {
    async fn second_step(&self, name: &str) -> SecondStep {
        let login = Login {
            email: format!("{name}@example.org"),
            password: Secret::new(PASSWORD),
        };
        match self.tenants.login("acme", login, None).await.unwrap() {
            LoggedIn::SecondStep(step) => *step,
            LoggedIn::Done(_) => panic!("no second factor is asked for"),
        }
    }
}

pub(crate) async fn a_code_and_a_recovery_code_count_once_over_all_instances(store: Store) {
    let (house, other) = (house(&store), house(&store));
    house.app("acme").await;
    let ada = house.user("acme", "ada", &[]).await;
    let caller = house.caller("acme", "ada").await;
    let tenants = &house.tenants;
    let wrong = tenants
        .offer_totp(&caller, "acme", Secret::new("wrong"))
        .await;
    assert_eq!(class(wrong), Class::Invalid);
    let offer = tenants
        .offer_totp(&caller, "acme", Secret::new(PASSWORD))
        .await
        .unwrap();
    let secret = base32(&offer.secret);
    house.token("acme", "ada").await;
    let none = tenants
        .confirm_totp(&caller, "acme", Secret::new("000000"))
        .await;
    assert_eq!(class(none), Class::Invalid);
    let codes = tenants
        .confirm_totp(&caller, "acme", code(&secret, NOW))
        .await
        .unwrap()
        .recovery_codes;
    assert_eq!(codes.len(), 10);
    let step = house.second_step("ada").await;
    assert_eq!(step.mfa_methods, ["totp", "recovery_code"]);
    let with_code = |step: &SecondStep, at| SecondProof {
        code: Some(code(&secret, at)),
        ..proof(step)
    };
    let replay = tenants.finish_login("acme", with_code(&step, NOW), None);
    assert_eq!(
        class(replay.await),
        Class::Unauthenticated,
        "enrolment spent it"
    );
    let later = NOW.plus(Duration::from_secs(30));
    house.clock.advance(Duration::from_secs(30));
    other.clock.advance(Duration::from_secs(30));
    let (a, b) = tokio::join!(
        house
            .tenants
            .finish_login("acme", with_code(&step, later), None),
        other
            .tenants
            .finish_login("acme", with_code(&step, later), None),
    );
    assert_eq!(a.is_ok() as u8 + b.is_ok() as u8, 1, "{a:?} {b:?}");
    let again = house.second_step("ada").await;
    let with_recovery = |step: &SecondStep, text: &str| SecondProof {
        recovery_code: Some(Secret::new(text)),
        ..proof(step)
    };
    let spoken = codes[3].to_uppercase().replace('-', " ");
    let done = tenants.finish_login("acme", with_recovery(&again, &spoken), None);
    assert!(done.await.is_ok());
    let spent = house.second_step("ada").await;
    let once_more = tenants.finish_login("acme", with_recovery(&spent, &codes[3]), None);
    assert_eq!(class(once_more.await), Class::Unauthenticated);
    let left = tenants.my_factors(&caller, "acme").await.unwrap();
    assert_eq!((left.totp, left.recovery_codes_left), (true, 9));
    tenants
        .reset_factors(&Caller::System, "acme", ada.id.as_str())
        .await
        .unwrap();
    house.token("acme", "ada").await;
}

pub(crate) async fn wrong_codes_lock_the_second_step_and_a_first_step_is_bound_to_its_password(
    store: Store,
) {
    let house = house(&store);
    house.app("acme").await;
    let ada = house.user("acme", "ada", &[]).await;
    let caller = house.caller("acme", "ada").await;
    let tenants = &house.tenants;
    let offer = tenants
        .offer_totp(&caller, "acme", Secret::new(PASSWORD))
        .await
        .unwrap();
    let secret = base32(&offer.secret);
    tenants
        .confirm_totp(&caller, "acme", code(&secret, NOW))
        .await
        .unwrap();
    house.clock.advance(Duration::from_secs(60));
    let now = NOW.plus(Duration::from_secs(60));
    let step = house.second_step("ada").await;
    let mut answers = Vec::new();
    for _ in 0..7 {
        let wrong = SecondProof {
            code: Some(Secret::new("123456")),
            ..proof(&step)
        };
        answers.push(class(tenants.finish_login("acme", wrong, None).await));
    }
    let expected = [vec![Class::Unauthenticated; 5], vec![Class::Throttled; 2]].concat();
    assert_eq!(answers, expected);
    let right = |step: &SecondStep, at| SecondProof {
        code: Some(code(&secret, at)),
        ..proof(step)
    };
    let locked = tenants.finish_login("acme", right(&step, now), None).await;
    assert_eq!(class(locked), Class::Throttled, "a right one too");
    house.clock.advance(Duration::from_secs(901));
    let now = now.plus(Duration::from_secs(901));
    let stale = tenants.finish_login("acme", right(&step, now), None).await;
    assert_eq!(
        class(stale),
        Class::Unauthenticated,
        "five minutes are over"
    );
    let step = house.second_step("ada").await;
    let patch = UserPatch {
        password: Some(Secret::new("another horse")),
        ..UserPatch::default()
    };
    tenants
        .update_user(&Caller::System, "acme", ada.id.as_str(), patch, None)
        .await
        .unwrap();
    let void = tenants.finish_login("acme", right(&step, now), None).await;
    assert_eq!(class(void), Class::Unauthenticated);
}

/// The mails that wait, with what they say.
async fn mails(house: &House, store: &Store) -> Vec<(heimdall_types::Notice, serde_json::Value)> {
    use heimdall_notifier::Outbox;
    let until = house.clock.now().plus(Duration::from_secs(60));
    let leased = store.lease(house.clock.now(), until, 10).await.unwrap();
    let mut all = Vec::new();
    for leased in leased {
        let said = house.tenants.particulars(&leased.notice).await.unwrap();
        if let Some(said) = said {
            all.push((leased.notice, said));
        }
    }
    all
}

pub(crate) async fn a_forgotten_password_is_chosen_anew_once_and_ends_every_session(store: Store) {
    let house = house(&store);
    house.app("acme").await;
    house.user("acme", "ada", &[]).await;
    let token = house.token("acme", "ada").await;
    let tenants = &house.tenants;
    for nobody in ["nobody@example.org", "no address"] {
        tenants.ask_password_reset("acme", nobody).await.unwrap();
    }
    assert_eq!(mails(&house, &store).await.len(), 0);
    for _ in 0..2 {
        tenants
            .ask_password_reset("acme", "Ada@example.org")
            .await
            .unwrap();
    }
    let mut sent = mails(&house, &store).await;
    assert_eq!(
        sent.len(),
        1,
        "the second question within a minute mails nothing"
    );
    let (notice, said) = sent.remove(0);
    assert!(!serde_json::to_string(&notice).unwrap().contains("hpr_"));
    let link = said["link"].as_str().unwrap();
    let mailed = link
        .strip_prefix("https://id.example/heimdall/password/acme/")
        .unwrap();
    tenants
        .preview_password_reset("acme", mailed)
        .await
        .unwrap();
    let choose = async |token: &str, password: &str| {
        tenants
            .reset_password("acme", token, Secret::new(password))
            .await
    };
    assert_eq!(
        class(choose("hpr_wrong", "another horse").await),
        Class::NotFound
    );
    assert_eq!(class(choose(mailed, "short").await), Class::Invalid);
    house.clock.advance(Duration::from_secs(2));
    choose(mailed, "another horse").await.unwrap();
    assert_eq!(
        class(choose(mailed, "a third horse").await),
        Class::NotFound
    );
    assert!(!tenants.verify("acme", &token).await.unwrap().active);
    let login = |password: &str| Login {
        email: "ada@example.org".to_owned(),
        password: Secret::new(password),
    };
    let old = tenants.login("acme", login(PASSWORD), None).await;
    assert_eq!(class(old), Class::Unauthenticated);
    assert!(
        tenants
            .login("acme", login("another horse"), None)
            .await
            .is_ok()
    );
    house.clock.advance(Duration::from_secs(61));
    tenants
        .ask_password_reset("acme", "ada@example.org")
        .await
        .unwrap();
    let (_, said) = mails(&house, &store).await.remove(0);
    let late = said["link"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    house.clock.advance(Duration::from_secs(3_601));
    assert_eq!(class(choose(&late, "a third horse").await), Class::Gone);
}

pub(crate) async fn the_mail_of_an_invite_carries_its_token(store: Store) {
    let house = house(&store);
    house.app("acme").await;
    house.role("acme", "member", &["billing:read"]).await;
    let new = NewInvite {
        email: Some("bo@example.org".to_owned()),
        role: Some("member".to_owned()),
        send_email: true,
        ..NewInvite::default()
    };
    let made = house
        .tenants
        .create_invite(&Caller::System, "acme", new)
        .await
        .unwrap();
    let (_, said) = mails(&house, &store).await.remove(0);
    assert_eq!(said["link"], made.invite_url.as_str());
    assert_eq!(said["roles"], serde_json::json!(["member"]));
}

pub(crate) async fn an_invite_is_used_once_by_fifty_at_two_instances(store: Store) {
    let (one, two) = (house(&store), house(&store));
    one.app("acme").await;
    one.role("acme", "member", &["billing:read"]).await;
    let new = NewInvite {
        role: Some("member".to_owned()),
        ..NewInvite::default()
    };
    let made = one
        .tenants
        .create_invite(&Caller::System, "acme", new)
        .await
        .unwrap();
    assert!(made.invite_url.ends_with(&made.token));
    assert_eq!(
        one.tenants.preview_invite(&made.token).await.unwrap().roles,
        ["member"]
    );
    let accepts = (0..50).map(|n| {
        let tenants = if n % 2 == 0 {
            one.tenants.clone()
        } else {
            two.tenants.clone()
        };
        let token = made.token.clone();
        tokio::spawn(async move {
            let acceptance = Acceptance {
                display_name: format!("guest {n}"),
                password: Secret::new(PASSWORD),
                email: Some(format!("guest{n}@example.org")),
            };
            tenants.accept_invite(&token, acceptance).await
        })
    });
    let mut accepted = 0;
    for accept in accepts.collect::<Vec<_>>() {
        match accept.await.unwrap() {
            Ok(done) => {
                accepted += 1;
                let token = Secret::new(done.tokens.access_token);
                assert!(
                    one.tenants
                        .authorize("acme", &token, &texts(&["billing:read"]))
                        .await
                        .is_ok()
                        || two.tenants.verify("acme", &token).await.unwrap().active
                );
            }
            Err(refused) => assert_eq!(refused.class(), Class::Gone, "{refused:?}"),
        }
    }
    assert_eq!(accepted, 1);
    let users = one
        .tenants
        .users(
            &Caller::System,
            "acme",
            UserQuery::default(),
            &PageRequest::first(),
        )
        .await
        .unwrap();
    assert_eq!(users.data.len(), 1);
    assert_eq!(
        class(one.tenants.preview_invite(&made.token).await),
        Class::Gone
    );
    assert_eq!(
        class(one.tenants.preview_invite("hit_x").await),
        Class::NotFound
    );
}

pub(crate) async fn invites_expire_and_can_be_withdrawn(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    for bad in [0, -1, i64::MAX] {
        let new = NewInvite {
            expires_in_hours: Some(bad),
            ..NewInvite::default()
        };
        assert_eq!(
            class(tenants.create_invite(&Caller::System, "acme", new).await),
            Class::Malformed
        );
    }
    let one = tenants
        .create_invite(&Caller::System, "acme", NewInvite::default())
        .await
        .unwrap();
    let two = tenants
        .create_invite(&Caller::System, "acme", NewInvite::default())
        .await
        .unwrap();
    tenants
        .revoke_invite(&Caller::System, "acme", one.invite.id.as_str())
        .await
        .unwrap();
    assert_eq!(class(tenants.preview_invite(&one.token).await), Class::Gone);
    let again = tenants
        .resend_invite(&Caller::System, "acme", two.invite.id.as_str())
        .await
        .unwrap();
    assert_eq!(
        class(tenants.preview_invite(&two.token).await),
        Class::NotFound
    );
    tenants.preview_invite(&again.token).await.unwrap();
    house.clock.advance(Duration::from_secs(73 * 3_600));
    assert_eq!(
        class(tenants.preview_invite(&again.token).await),
        Class::Gone
    );
    assert_eq!(tenants.expire_invites().await.unwrap(), 1);
    assert_eq!(tenants.expire_invites().await.unwrap(), 0);
}

pub(crate) async fn another_instance_forgets_what_a_commit_names(store: Store) {
    let (one, two) = (house(&store), house(&store));
    one.app("acme").await;
    one.role("acme", "reader", &["billing:read"]).await;
    let user = one.user("acme", "ada", &["reader"]).await;
    let token = two.token("acme", "ada").await;
    assert!(two.allowed("acme", &token, "billing:read").await);
    let mut commits = store.subscribe();
    one.tenants
        .unassign_role(&Caller::System, "acme", user.id.as_str(), "reader")
        .await
        .unwrap();
    loop {
        let told = tokio::time::timeout(Duration::from_secs(5), commits.recv())
            .await
            .unwrap()
            .unwrap();
        let about_her = told.users.contains(&user.id) || told.everything;
        two.tenants.committed(
            told.app_id.as_ref(),
            &told.users,
            told.targets.iter().map(String::as_str),
            told.everything,
        );
        if about_her {
            break;
        }
    }
    assert!(!two.allowed("acme", &token, "billing:read").await);
}

pub(crate) async fn a_revoked_admin_key_opens_nothing(store: Store) {
    let house = house(&store);
    let made = house
        .tenants
        .create_admin_key(
            &Caller::System,
            NewAdminKey {
                name: "ops".to_owned(),
            },
        )
        .await
        .unwrap();
    let caller = house.tenants.caller(&made.key).await.unwrap();
    house
        .tenants
        .create_app(
            &caller,
            NewApp {
                name: "acme".to_owned(),
                display_name: None,
            },
        )
        .await
        .unwrap();
    house
        .tenants
        .revoke_admin_key(&caller, made.record.id.as_str())
        .await
        .unwrap();
    assert_eq!(
        class(house.tenants.caller(&made.key).await),
        Class::Unauthenticated
    );
    assert_eq!(
        class(house.tenants.caller("hmk_x").await),
        Class::Unauthenticated
    );
}

pub(crate) async fn names_and_addresses_are_taken_once(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    let again = NewApp {
        name: "acme".to_owned(),
        display_name: None,
    };
    assert_eq!(
        tenants
            .create_app(&Caller::System, again)
            .await
            .unwrap_err(),
        TenantError::Taken("name")
    );
    house.role("acme", "reader", &[]).await;
    assert_eq!(
        tenants
            .create_role(&Caller::System, "acme", role("reader", &[]))
            .await
            .unwrap_err(),
        TenantError::Taken("name")
    );
    house.user("acme", "ada", &[]).await;
    let shouting = NewUser {
        email: "ADA@Example.org".to_owned(),
        ..NewUser::default()
    };
    assert_eq!(
        tenants
            .create_user(&Caller::System, "acme", shouting)
            .await
            .unwrap_err(),
        TenantError::Taken("email")
    );
    let stale = tenants
        .update_app(
            &Caller::System,
            "acme",
            serde_json::from_str("{}").unwrap(),
            Some(9),
        )
        .await;
    assert_eq!(stale.unwrap_err(), TenantError::Precondition);
}

pub(crate) async fn a_purged_user_and_a_purged_app_leave_no_rows(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    house.role("acme", "reader", &["billing:read"]).await;
    let user = house.user("acme", "ada", &["reader"]).await;
    let token = house.token("acme", "ada").await;
    tenants
        .delete_user(&Caller::System, "acme", user.id.as_str(), true, None)
        .await
        .unwrap();
    assert!(!tenants.verify("acme", &token).await.unwrap().active);
    assert_eq!(
        class(
            tenants
                .user(&Caller::System, "acme", user.id.as_str())
                .await
        ),
        Class::NotFound
    );
    let again = house.user("acme", "ada", &["reader"]).await;
    tenants
        .delete_user(&Caller::System, "acme", again.id.as_str(), false, None)
        .await
        .unwrap();
    let gone = UserQuery {
        state: Some(UserState::Deactivated),
        ..UserQuery::default()
    };
    assert_eq!(
        tenants
            .users(&Caller::System, "acme", gone, &PageRequest::first())
            .await
            .unwrap()
            .data
            .len(),
        1
    );
    house.client("acme", &["reader"]).await;
    tenants
        .delete_app(&Caller::System, "acme", true, None)
        .await
        .unwrap();
    assert_eq!(
        class(tenants.app(&Caller::System, "acme").await),
        Class::NotFound
    );
    house.app("acme").await;
    assert!(
        tenants
            .roles(&Caller::System, "acme", &PageRequest::first())
            .await
            .unwrap()
            .data
            .is_empty()
    );
}

pub(crate) async fn a_revoked_token_and_an_exchanged_one(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    house
        .role("acme", "robot", &["jobs:run", "billing:read"])
        .await;
    house
        .role("acme", "reader", &["billing:read", "billing:write"])
        .await;
    house.user("acme", "ada", &["reader"]).await;
    let made = house.client("acme", &["robot"]).await;
    let auth = ClientAuth::default();
    let client = by_secret(made.credential.client_id.as_str(), &made.client_secret);
    let exchange = TokenRequest {
        grant_type: Some("urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
        subject_token: Some(house.token("acme", "ada").await),
        subject_token_type: Some("urn:ietf:params:oauth:token-type:access_token".to_owned()),
        ..client.clone()
    };
    let answer = tenants
        .token(&Caller::Anonymous, Some("acme"), &auth, &exchange)
        .await
        .unwrap();
    assert_eq!(
        answer.scope.as_deref(),
        Some("billing:read"),
        "no more than both may do"
    );
    let token = Secret::new(answer.access_token);
    let claims = tenants
        .verify("acme", &token)
        .await
        .unwrap()
        .claims
        .unwrap();
    assert_eq!(
        claims.act.unwrap()["sub"],
        made.credential.client_id.as_str()
    );
    assert!(!house.allowed("acme", &token, "billing:write").await);
    let own = Secret::new(
        tenants
            .token(&Caller::Anonymous, None, &auth, &client)
            .await
            .unwrap()
            .access_token,
    );
    assert!(tenants.verify("acme", &own).await.unwrap().active);
    tenants
        .revoke(&Caller::Anonymous, None, &auth, &client, &own)
        .await
        .unwrap();
    assert!(!tenants.verify("acme", &own).await.unwrap().active);
    tenants
        .revoke(
            &Caller::Anonymous,
            None,
            &auth,
            &client,
            &Secret::new("rubbish"),
        )
        .await
        .unwrap();
}

pub(crate) async fn the_operator_mints_for_a_user_and_imports_users(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    let hash = Hasher::weak().hash(PASSWORD, &SystemRng).unwrap();
    let imported = ImportedUser {
        email: "old@example.org".to_owned(),
        display_name: None,
        password_hash: Some(hash.0),
        roles: vec![],
    };
    let id = tenants
        .import_user(&Caller::System, "acme", imported)
        .await
        .unwrap();
    house.token("acme", "old").await;
    let mint = TokenRequest {
        grant_type: Some("urn:heimdall:grant:user".to_owned()),
        user_id: Some(id.to_string()),
        ..TokenRequest::default()
    };
    let auth = ClientAuth::default();
    assert_eq!(
        class(
            tenants
                .token(&Caller::Anonymous, Some("acme"), &auth, &mint)
                .await
        ),
        Class::Unauthenticated
    );
    let answer = tenants
        .token(&Caller::System, Some("acme"), &auth, &mint)
        .await
        .unwrap();
    assert_eq!(answer.expires_in, 900);
    assert!(
        tenants
            .verify("acme", &Secret::new(answer.access_token))
            .await
            .unwrap()
            .active
    );
}

pub(crate) async fn webhooks_and_the_catalogue_are_registered(store: Store) {
    let house = house(&store);
    let tenants = &house.tenants;
    house.app("acme").await;
    let inward = NewWebhook {
        url: "https://127.0.0.1/hook".to_owned(),
        events: vec![],
    };
    assert_eq!(
        tenants
            .create_webhook(&Caller::System, "acme", inward)
            .await
            .unwrap_err()
            .field(),
        Some("url")
    );
    let new = NewWebhook {
        url: "https://example.com/hook".to_owned(),
        events: texts(&["user.*"]),
    };
    let made = tenants
        .create_webhook(&Caller::System, "acme", new)
        .await
        .unwrap();
    assert!(made.secret.starts_with("whsec_"));
    let id = made.webhook.id.as_str();
    let rotated = tenants
        .rotate_webhook_secret(&Caller::System, "acme", id)
        .await
        .unwrap();
    assert_ne!(rotated.secret, made.secret);
    let off = WebhookPatch {
        enabled: Some(false),
        ..WebhookPatch::default()
    };
    assert!(
        !tenants
            .update_webhook(&Caller::System, "acme", id, off, None)
            .await
            .unwrap()
            .enabled
    );
    assert!(
        tenants
            .enable_webhook(&Caller::System, "acme", id)
            .await
            .unwrap()
            .enabled
    );
    tenants
        .delete_webhook(&Caller::System, "acme", id, None)
        .await
        .unwrap();
    assert_eq!(
        class(tenants.webhook(&Caller::System, "acme", id).await),
        Class::NotFound
    );
    let entry = NewPermission {
        permission: "jobs:run".to_owned(),
        description: "runs jobs".to_owned(),
    };
    tenants
        .add_permission(&Caller::System, "acme", entry)
        .await
        .unwrap();
    house.role("acme", "robot", &["jobs:run"]).await;
    assert_eq!(
        tenants
            .remove_permission(&Caller::System, "acme", "jobs:run")
            .await,
        Err(TenantError::InUse)
    );
}
