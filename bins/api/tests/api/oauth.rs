//! Token, introspection and revocation endpoints, discovery.

use heimdall_server::SystemClock;
use heimdall_token::{Algorithm, Header, Signer, SigningKey, crypto};
use heimdall_types::Clock;
use serde_json::json;

use crate::client::Api;

#[actix_web::test]
async fn client_credentials_work_as_json_as_a_form_and_by_basic() {
    let api = Api::start().await;
    api.tenant("acme").await;
    let (id, secret) = api.credential("acme", &["admin"]).await;
    let asked =
        json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
    let by_json = api.post("/apps/acme/tokens", "", asked).await;
    assert_eq!(by_json.headers["cache-control"], "no-store");
    let answer = by_json.expect(200);
    assert_eq!(
        (&answer["token_type"], answer["expires_in"].is_number()),
        (&json!("Bearer"), true)
    );
    let form =
        format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&nonsense=1");
    assert_eq!(api.form("/apps/acme/tokens", &[], &form).await.status, 200);
    let basic = format!(
        "Basic {}",
        crypto::base64(format!("{id}:{secret}").as_bytes())
    );
    let header = [("authorization", basic.as_str())];
    for path in ["/apps/acme/tokens", "/tokens"] {
        assert_eq!(
            api.form(path, &header, "grant_type=client_credentials")
                .await
                .status,
            200,
            "{path}"
        );
    }
    let token = answer["access_token"].as_str().unwrap();
    let question = format!("token={token}");
    let found = api
        .form("/tokens/introspect", &header, &question)
        .await
        .expect(200);
    assert_eq!(
        (&found["active"], &found["client_id"]),
        (&json!(true), &json!(id))
    );
    assert_eq!(
        api.form("/tokens/revoke", &header, &question).await.status,
        200
    );
    let found = api
        .form("/tokens/introspect", &header, &question)
        .await
        .expect(200);
    assert_eq!(found, json!({"active": false}));
}

#[actix_web::test]
async fn refusals_are_those_of_rfc_6749() {
    let api = Api::start().await;
    api.tenant("acme").await;
    let (id, secret) = api.credential("acme", &["admin"]).await;
    let refused = async |body: String, status: u16, error: &str| {
        let reply = api.form("/apps/acme/tokens", &[], &body).await;
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (status, Some(error)),
            "{body}: {}",
            reply.text
        );
    };
    refused(String::new(), 400, "invalid_request").await;
    refused(
        format!("client_id={id}&client_secret={secret}"),
        400,
        "invalid_request",
    )
    .await;
    refused(
        format!("grant_type=password&client_id={id}&client_secret={secret}"),
        400,
        "unsupported_grant_type",
    )
    .await;
    refused(
        format!("grant_type=client_credentials&client_id={id}&client_secret=wrong"),
        401,
        "invalid_client",
    )
    .await;
    refused(
        "grant_type=client_credentials&client_id=cli_unknown&client_secret=x".to_owned(),
        401,
        "invalid_client",
    )
    .await;
    refused(
        "grant_type=refresh_token&refresh_token=x".to_owned(),
        400,
        "invalid_grant",
    )
    .await;
    refused(
        "grant_type=a&grant_type=b".to_owned(),
        400,
        "invalid_request",
    )
    .await;
    let wrong = api
        .form(
            "/apps/acme/tokens",
            &[],
            "grant_type=client_credentials&client_id=a&client_secret=b",
        )
        .await;
    assert!(wrong.headers.contains_key("www-authenticate"));
}

#[actix_web::test]
async fn refresh_tokens_rotate_and_reuse_ends_the_session() {
    let api = Api::start().await;
    api.tenant("acme").await;
    let login = json!({"email": "root@example.org", "password": "correct horse"});
    let first = api.post("/apps/acme/sessions", "", login).await.expect(201);
    let refresh = async |token: &serde_json::Value| {
        api.post(
            "/apps/acme/tokens",
            "",
            json!({"grant_type": "refresh_token", "refresh_token": token}),
        )
        .await
    };
    let second = refresh(&first["refresh_token"]).await.expect(200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    // A lost answer: the same successor within ten seconds.
    assert_eq!(
        refresh(&first["refresh_token"]).await.expect(200)["refresh_token"],
        second["refresh_token"]
    );
    let third = refresh(&second["refresh_token"]).await.expect(200);
    assert_eq!(refresh(&first["refresh_token"]).await.status, 400);
    assert_eq!(
        refresh(&third["refresh_token"]).await.status,
        400,
        "the family is revoked"
    );
}

#[actix_web::test]
async fn keys_and_metadata_are_found_under_both_paths_and_answer_304() {
    let api = Api::start().await;
    let issuer = format!("http://{}/heimdall", api.address);
    for path in [
        "/heimdall/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/heimdall",
    ] {
        let found = api.send("GET", path, &[], b"").await.expect(200);
        assert_eq!(found["issuer"], issuer);
        assert_eq!(
            found["jwks_uri"],
            format!("{issuer}/v1/.well-known/jwks.json")
        );
    }
    let keys = api.get("/.well-known/jwks.json", "").await;
    let tag = keys.headers["etag"].clone();
    assert!(keys.json()["keys"][0].get("d").is_none());
    let again = api
        .send(
            "GET",
            "/heimdall/v1/.well-known/jwks.json",
            &[("if-none-match", &tag)],
            b"",
        )
        .await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
}

#[actix_web::test]
async fn a_token_bound_to_a_key_is_worth_nothing_without_it() {
    let api = Api::start().await;
    api.tenant("acme").await;
    let (id, secret) = api.credential("acme", &["admin"]).await;
    let signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let prove = |method: &str, path: &str, token: Option<&str>, jti: &str| {
        let jwk = signer.key().public().jwk().clone();
        let mut claims = json!({
            "htm": method, "htu": format!("http://{}{path}", api.address), "jti": jti,
            "iat": SystemClock.now().seconds(),
        });
        if let Some(token) = token {
            claims["ath"] = crypto::base64url(&crypto::sha256(token.as_bytes())).into();
        }
        signer
            .sign(&Header::typ("dpop+jwt").with("jwk", jwk), &claims)
            .unwrap()
    };
    let path = "/heimdall/v1/apps/acme/tokens";
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let proof = prove("POST", path, None, "1");
    let answer = api
        .form("/apps/acme/tokens", &[("dpop", &proof)], &form)
        .await
        .expect(200);
    assert_eq!(answer["token_type"], "DPoP");
    let again = api
        .form("/apps/acme/tokens", &[("dpop", &proof)], &form)
        .await;
    assert_eq!(
        (again.status, again.json()["error"].as_str()),
        (400, Some("invalid_dpop_proof")),
        "a proof counts once"
    );

    let token = answer["access_token"].as_str().unwrap();
    let users = "/heimdall/v1/apps/acme/users";
    let call = async |scheme: &str, proof: Option<String>| {
        let authorization = format!("{scheme} {token}");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(proof.as_deref().map(|proof| ("dpop", proof)));
        api.send("GET", users, &headers, b"").await.status
    };
    assert_eq!(
        call("DPoP", Some(prove("GET", users, Some(token), "2"))).await,
        200
    );
    assert_eq!(call("Bearer", None).await, 401);
    assert_eq!(call("DPoP", None).await, 401);
    assert_eq!(
        call("DPoP", Some(prove("POST", users, Some(token), "3"))).await,
        401
    );
    assert_eq!(
        call("DPoP", Some(prove("GET", users, None, "4"))).await,
        401
    );
}
