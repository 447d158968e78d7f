use heimdall_types::SeededRng;
use serde_json::json;

use super::*;

const PORTAL: &str = "https://portal.example";

fn key(id: &str, seed: u64) -> SignatureKey {
    SignatureKey::generate(id, &SeededRng::new(seed))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn action() -> ActionLink {
    ActionLink {
        iss: PORTAL.into(),
        aud: PORTAL.into(),
        jti: "lnk_1".into(),
        iat: 1_000,
        exp: 2_000,
        host_id: "app_1".into(),
        approval_id: "apv_1".into(),
        step_id: "stp_1".into(),
        act_no: 1,
        epoch: 1,
        action: LinkAction::Approve,
        login_required: false,
        dig: "d".into(),
        sub: Some("who".into()),
    }
}

fn mail() -> ApprovalMail {
    ApprovalMail {
        iss: PORTAL.into(),
        aud: ApprovalMail::AUDIENCE.into(),
        sub: "who".into(),
        sid: 42,
        iat: 1_000,
        exp: 2_000,
        jti: "lnk_2".into(),
    }
}

fn open_action(token: &str, keys: &[SignatureKey]) -> Result<Opened<ActionLink>, LinkError> {
    ActionLink::open(token, keys, "app_1", PORTAL, PORTAL, at(1_500))
}

#[test]
fn links_go_round_and_say_when_their_time_is_over() {
    let keys = [key("sgk_0", 1), key("sgk_1", 2)];
    let token = action().issue(&keys[1]).unwrap();
    assert_eq!(open_action(&token, &keys), Ok(Opened::Live(action())));
    let over = ActionLink::open(&token, &keys, "app_1", PORTAL, PORTAL, at(2_000)).unwrap();
    assert_eq!(over, Opened::Expired(action()));
    assert_eq!(
        ActionLink::peek(&token),
        Some(Peek {
            kid: "sgk_1".into(),
            host_id: "app_1".into()
        })
    );

    let token = mail().issue(&keys[0]).unwrap();
    assert_eq!(
        ApprovalMail::open(&token, &keys, PORTAL, at(1_999)),
        Ok(Opened::Live(mail()))
    );
    assert!(
        ApprovalMail::open(&token, &keys, PORTAL, at(2_000))
            .unwrap()
            .is_expired()
    );
    assert_eq!(ApprovalMail::peek(&token), Some(42));
}

#[test]
fn no_kind_of_link_passes_for_another() {
    let keys = [key("sgk_1", 1)];
    let link = action().issue(&keys[0]).unwrap();
    let letter = mail().issue(&keys[0]).unwrap();
    assert_eq!(open_action(&letter, &keys), Err(TokenError::Type.into()));
    assert_eq!(
        ApprovalMail::open(&link, &keys, PORTAL, at(1_500)),
        Err(TokenError::Type.into())
    );
    let legacy = LegacyLink::open(&link, keys[0].bytes(), &LegacyNames::default(), at(1_500));
    assert_eq!(legacy, Err(TokenError::Type.into()));
    let application =
        ApplicationToken::open(&letter, &[keys[0].bytes()], PORTAL, PORTAL, at(1_500));
    assert_eq!(application, Err(TokenError::Type));
}

#[test]
fn only_the_two_kinds_of_action_link_exist() {
    let keys = [key("sgk_1", 1)];
    for (sub, login_required, valid) in [
        (Some("who"), false, true),
        (None, true, true),
        (Some("who"), true, false),
        (None, false, false),
        (Some(""), false, false),
    ] {
        let link = ActionLink {
            sub: sub.map(Into::into),
            login_required,
            ..action()
        };
        assert_eq!(link.issue(&keys[0]).is_ok(), valid, "{link:?}");
        let forged = sign(ActionLink::TYP, &keys[0], &link).unwrap();
        assert_eq!(open_action(&forged, &keys).is_ok(), valid, "{link:?}");
    }
}

#[test]
fn foreign_keys_hosts_and_claims_are_refused() {
    let keys = [key("sgk_1", 1)];
    let good = action().issue(&keys[0]).unwrap();
    assert_eq!(
        open_action(&good, &[key("sgk_1", 9)]),
        Err(TokenError::Signature.into())
    );
    assert_eq!(
        open_action(&good, &[key("sgk_2", 1)]),
        Err(TokenError::UnknownKey.into())
    );
    let elsewhere = ActionLink::open(&good, &keys, "app_2", PORTAL, PORTAL, at(1_500));
    assert_eq!(elsewhere, Err(LinkError::Contradiction));
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!(["https://portal.example"])),
        ("exp", json!("2000")),
        ("actNo", json!(-1)),
        ("action", json!("explode")),
        ("extra", json!(true)),
        ("jti", json!("")),
        ("iat", json!(3_000)),
    ] {
        let mut claims = serde_json::to_value(action()).unwrap();
        claims[name] = value;
        let forged = sign(ActionLink::TYP, &keys[0], &claims).unwrap();
        assert!(open_action(&forged, &keys).is_err(), "{claims}");
    }
    let [header, claims, _] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let none = crypto::base64url(br#"{"alg":"none","kid":"sgk_1","typ":"step-action+jwt"}"#);
    for forged in [
        format!("{none}.{claims}.AA"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
    ] {
        assert!(open_action(&forged, &keys).is_err(), "{forged}");
    }
}

fn hs256(key: &[u8], header: &str, claims: &Value) -> String {
    let header = crypto::base64url(header.as_bytes());
    compact(header, claims.to_string().as_bytes(), |message| {
        Some(crypto::hmac_sha256(key, message).to_vec())
    })
    .unwrap()
}

#[test]
fn older_mail_links_are_read_with_their_own_names() {
    let names = LegacyNames {
        user_id: "uid".into(),
        ..LegacyNames::default()
    };
    let claims =
        json!({ "approvalId": 7, "stepId": "s", "uid": "u", "action": "Reject", "exp": 2_000 });
    let token = hs256(b"older", r#"{"alg":"HS256","typ":"JWT"}"#, &claims);
    let link = LegacyLink::open(&token, b"older", &names, at(1_500))
        .unwrap()
        .live()
        .unwrap();
    assert_eq!(
        (
            link.approval_id.as_str(),
            link.user_id.as_str(),
            link.action
        ),
        ("7", "u", LinkAction::Reject)
    );
    assert!(
        LegacyLink::open(&token, b"older", &names, at(2_000))
            .unwrap()
            .is_expired()
    );
    assert_eq!(
        LegacyLink::open(&token, b"other", &names, at(1_500)),
        Err(TokenError::Signature.into())
    );
    assert_eq!(
        LegacyLink::open(&token, b"", &names, at(1_500)),
        Err(TokenError::Signature.into())
    );
    assert!(LegacyLink::open(&token, b"older", &LegacyNames::default(), at(1_500)).is_err());
    let endless = json!({ "approvalId": 7, "stepId": "s", "uid": "u", "action": "reject" });
    let token = hs256(b"older", r#"{"alg":"HS256"}"#, &endless);
    assert_eq!(
        LegacyLink::open(&token, b"older", &names, at(1)),
        Err(TokenError::Absent("exp".into()).into())
    );
}

#[test]
fn application_tokens_live_five_minutes_at_most() {
    let open = |claims: &Value| {
        let token = hs256(&[7; 64], r#"{"alg":"HS256","typ":"JWT"}"#, claims);
        ApplicationToken::open(&token, &[[1; 64], [7; 64]], "shop", PORTAL, at(1_100))
    };
    let good = json!({ "iss": "shop", "aud": PORTAL, "sub": "jo", "jti": "1", "iat": 1_000, "nbf": 1_000, "exp": 1_300 });
    assert_eq!(open(&good).unwrap().sub, "jo");
    for (name, value, error) in [
        ("exp", json!(1_301), TokenError::Claim("exp".into())),
        ("exp", json!(1_090), TokenError::Expired),
        ("nbf", json!(1_200), TokenError::NotYetValid),
        ("aud", json!("https://else.example"), TokenError::Audience),
        ("iss", json!("other"), TokenError::Issuer),
        ("jti", json!(""), TokenError::Absent("jti".into())),
        ("sub", json!(5), TokenError::Claim("sub".into())),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        assert_eq!(open(&claims), Err(error), "{claims}");
    }
}
