use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use heimdall_token::link::LinkAction;
use heimdall_types::{ManualClock, SeededRng};

use super::*;

/// Keeps settings in memory and knows whose key is whose.
#[derive(Default)]
struct Shelf {
    portals: Mutex<BTreeMap<AppId, Portal>>,
}

#[async_trait]
impl PortalBook for Shelf {
    async fn portal(&self, app: &AppId) -> Result<Option<Portal>, Fault> {
        Ok(self.portals.lock().unwrap().get(app).cloned())
    }

    async fn put_portal(
        &self,
        app: &AppId,
        portal: &Portal,
        journal: Journal,
    ) -> Result<i64, Fault> {
        let mut portals = self.portals.lock().unwrap();
        assert_eq!(journal.audit.len(), 1);
        assert!(!journal.audit[0].data.to_string().contains("sealed"));
        let foreign = portals
            .iter()
            .filter(|(other, _)| *other != app)
            .flat_map(|(_, portal)| &portal.keys);
        if foreign.into_iter().any(|key| {
            portal
                .keys
                .iter()
                .any(|own| own.fingerprint == key.fingerprint)
        }) {
            return Err(Fault::Duplicate("signature_key"));
        }
        let next = Portal {
            version: portal.version + 1,
            ..portal.clone()
        };
        portals.insert(app.clone(), next);
        Ok(portal.version + 1)
    }
}

struct Scene {
    portals: Portals,
    clock: Arc<ManualClock>,
    app: AppId,
    other: AppId,
}

const HOST: &str = "https://portal.example";

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000)));
        let rng = Arc::new(SeededRng::new(1));
        let root = RootKey::generate(rng.as_ref());
        let app = AppId::generate(clock.now(), rng.as_ref());
        let other = AppId::generate(clock.now(), rng.as_ref());
        let portals = Portals::new(Arc::new(Shelf::default()), root, clock.clone(), rng);
        Self {
            portals,
            clock,
            app,
            other,
        }
    }

    fn change(&self, app: &AppId, change: PortalChange) -> Result<Portal, ApprovalError> {
        wait(self.portals.change(app, &Actor::System, change))
    }

    fn link(&self) -> String {
        let until = Timestamp::from_seconds(2_000);
        wait(
            self.portals
                .mail_link(&self.app, "apr_1", 7, "ntc_1", until),
        )
        .unwrap()
    }

    fn opened(&self, app: &AppId, link: &str) -> Result<Opened<ApprovalMail>, LinkError> {
        let token = link.split_once("token=").unwrap().1;
        wait(self.portals.open_mail(app, token)).unwrap()
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("waits for something"),
    }
}

fn key(text: String) -> PortalChange {
    PortalChange {
        signature_key: Some(Secret::new(text)),
        ..PortalChange::default()
    }
}

#[test]
fn a_portal_without_settings_is_closed() {
    let scene = Scene::new();
    assert_eq!(
        wait(scene.portals.open(&scene.app)),
        Err(ApprovalError::NotFound)
    );
    let open = PortalChange {
        enabled: Some(true),
        ..PortalChange::default()
    };
    assert!(
        matches!(scene.change(&scene.app, open.clone()), Err(ApprovalError::Invalid { field, .. }) if field == "portal_host")
    );
    let host = PortalChange {
        host: Some(HOST.into()),
        ..open
    };
    assert!(
        matches!(scene.change(&scene.app, host), Err(ApprovalError::Invalid { field, .. }) if field == "signature_key")
    );
}

#[test]
fn links_survive_a_new_key_and_end_in_time() {
    let scene = Scene::new();
    wait(scene.portals.ensure(&scene.app, "https://Portal.example/")).unwrap();
    let link = scene.link();
    assert!(
        link.starts_with("https://portal.example/external-approval?token=ey"),
        "{link}"
    );
    wait(scene.portals.generate_key(&scene.app, &Actor::System)).unwrap();
    let mail = scene.opened(&scene.app, &link).unwrap().live().unwrap();
    assert_eq!(
        (mail.sid, mail.sub.as_str(), mail.jti.as_str()),
        (7, "apr_1", "ntc_1")
    );
    scene.clock.set(Timestamp::from_seconds(2_000));
    assert!(scene.opened(&scene.app, &link).unwrap().is_expired());
    for _ in 0..MOST_KEYS {
        wait(scene.portals.generate_key(&scene.app, &Actor::System)).unwrap();
    }
    assert!(scene.opened(&scene.app, &link).is_err(), "its key is gone");
}

#[test]
fn links_of_another_app_or_of_a_closed_portal_do_not_open() {
    let scene = Scene::new();
    wait(scene.portals.ensure(&scene.app, HOST)).unwrap();
    wait(scene.portals.ensure(&scene.other, HOST)).unwrap();
    let link = scene.link();
    assert!(scene.opened(&scene.other, &link).is_err());
    scene
        .change(
            &scene.app,
            PortalChange {
                enabled: Some(false),
                ..PortalChange::default()
            },
        )
        .unwrap();
    assert!(scene.opened(&scene.app, &link).is_err());
}

#[test]
fn action_links_carry_the_portal_as_issuer() {
    let scene = Scene::new();
    wait(scene.portals.ensure(&scene.app, HOST)).unwrap();
    let link = ActionLink {
        iss: String::new(),
        aud: String::new(),
        jti: "lnk_1".into(),
        iat: 900,
        exp: 2_000,
        host_id: String::new(),
        approval_id: "apv_1".into(),
        step_id: "stp_1".into(),
        act_no: 1,
        epoch: 1,
        action: LinkAction::Approve,
        login_required: true,
        dig: "d".into(),
        sub: None,
    };
    let address = wait(scene.portals.action_link(&scene.app, link)).unwrap();
    let token = address
        .strip_prefix("https://portal.example/step-action?token=")
        .unwrap();
    let opened = wait(scene.portals.open_action(token))
        .unwrap()
        .unwrap()
        .live()
        .unwrap();
    assert_eq!(
        (opened.iss.as_str(), opened.host_id.as_str()),
        (HOST, scene.app.as_str())
    );
    assert!(wait(scene.portals.open_action("rubbish")).unwrap().is_err());
}

#[test]
fn keys_follow_the_rules_and_belong_to_one_app() {
    let scene = Scene::new();
    for bad in [
        "A".repeat(340),
        format!("{}=", "A".repeat(342)),
        format!("{}+", "A".repeat(341)),
        String::new(),
    ] {
        let refused = scene.change(&scene.app, key(bad));
        assert!(
            matches!(refused, Err(ApprovalError::Invalid { field, .. }) if field == "signature_key")
        );
    }
    scene.change(&scene.app, key("A".repeat(342))).unwrap();
    let foreign = scene.change(&scene.other, key("A".repeat(342)));
    assert!(
        matches!(foreign, Err(ApprovalError::Invalid { field, .. }) if field == "signature_key")
    );
    let again = scene.change(&scene.app, key("A".repeat(342))).unwrap();
    assert_eq!(again.keys.len(), 1);
}

#[test]
fn only_a_bare_address_is_a_portal_host() {
    let scene = Scene::new();
    for bad in [
        "portal.example",
        "ftp://portal",
        "https://",
        "https://a/b",
        "https://u@a",
        "https://a?b",
        "https://a b",
    ] {
        let refused = scene.change(
            &scene.app,
            PortalChange {
                host: Some(bad.into()),
                ..PortalChange::default()
            },
        );
        assert!(
            matches!(refused, Err(ApprovalError::Invalid { field, .. }) if field == "portal_host"),
            "{bad}"
        );
    }
    for good in [
        "http://127.0.0.1:8081/",
        "https://[::1]:9",
        "https://portal.example",
    ] {
        scene
            .change(
                &scene.app,
                PortalChange {
                    host: Some(good.into()),
                    ..PortalChange::default()
                },
            )
            .unwrap();
    }
}
