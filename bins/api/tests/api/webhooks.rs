//! Webhooks as a receiver sees them.

use heimdall_token::crypto::{from_base64, hex, hmac_sha256};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::client::Api;

struct Post {
    head: String,
    body: String,
}

impl Post {
    fn header(&self, name: &str) -> String {
        let line = self
            .head
            .lines()
            .find(|l| l.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        line.map(|l| l[name.len() + 2..].to_owned())
            .unwrap_or_default()
    }
}

/// Answers every post with 204 and hands it on.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (send, posts) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = Vec::new();
            let mut chunk = [0; 4096];
            let post = loop {
                let n = stream.read(&mut chunk).await.unwrap_or(0);
                read.extend_from_slice(&chunk[..n]);
                let text = String::from_utf8_lossy(&read).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let post = Post {
                    head: head.to_owned(),
                    body: body.to_owned(),
                };
                if n == 0 || body.len() >= post.header("content-length").parse().unwrap_or(0) {
                    break post;
                }
            };
            let _ = stream
                .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                .await;
            let _ = send.send(post);
        }
    });
    (url, posts)
}

async fn next(posts: &mut mpsc::UnboundedReceiver<Post>) -> Post {
    tokio::time::timeout(std::time::Duration::from_secs(10), posts.recv())
        .await
        .unwrap()
        .unwrap()
}

#[actix_web::test]
async fn an_event_arrives_signed_twice_and_can_be_sent_again_under_the_same_id() {
    let api = Api::start().await;
    let admin = api.tenant("acme").await;
    let (url, mut posts) = receiver().await;
    let hook = api
        .post(
            "/apps/acme/webhooks",
            &admin,
            json!({"url": url, "events": ["user.created"]}),
        )
        .await
        .expect(201);
    let user = json!({"email": "jo@example.org", "display_name": "Jo"});
    let user = api.post("/apps/acme/users", &admin, user).await.expect(201);
    let post = next(&mut posts).await;
    let body: Value = serde_json::from_str(&post.body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["user_id"]),
        (&json!("user.created"), &user["id"])
    );

    let key = from_base64(
        hook["secret"]
            .as_str()
            .unwrap()
            .strip_prefix("whsec_")
            .unwrap(),
    )
    .unwrap();
    let signature = post.header("x-heimdall-signature");
    let (t, v1) = signature
        .strip_prefix("t=")
        .unwrap()
        .split_once(",v1=")
        .unwrap();
    assert_eq!(
        v1,
        hex(&hmac_sha256(&key, format!("{t}.{}", post.body).as_bytes()))
    );
    assert!(post.header("webhook-signature").starts_with("v1,"));

    let base = format!("/apps/acme/webhooks/{}", hook["id"].as_str().unwrap());
    let delivered = loop {
        let found = api
            .get(&format!("{base}/deliveries"), &admin)
            .await
            .expect(200);
        if found["data"][0]["state"] == "delivered" {
            break found["data"][0].clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(delivered["history"][0]["status"], 204);
    let path = format!(
        "{base}/deliveries/{}/redeliver",
        delivered["id"].as_str().unwrap()
    );
    assert_eq!(api.post(&path, &admin, Value::Null).await.status, 204);
    assert_eq!(
        next(&mut posts).await.header("webhook-id"),
        post.header("webhook-id")
    );

    api.post(&format!("{base}/test"), &admin, Value::Null)
        .await
        .expect(201);
    assert!(next(&mut posts).await.body.contains("webhook.test"));
    let again = api
        .post(
            &format!("{base}/replay"),
            &admin,
            json!({"since": "2020-01-01T00:00:00Z"}),
        )
        .await
        .expect(200);
    assert!(again["count"].as_u64().unwrap() >= 1, "{again}");
}

#[actix_web::test]
async fn a_rotated_secret_signs_beside_the_old_one() {
    let api = Api::start().await;
    let admin = api.tenant("acme").await;
    let (url, mut posts) = receiver().await;
    let hook = api
        .post("/apps/acme/webhooks", &admin, json!({"url": url}))
        .await
        .expect(201);
    let base = format!("/apps/acme/webhooks/{}", hook["id"].as_str().unwrap());
    let rotated = api
        .post(&format!("{base}/secret/rotate"), &admin, Value::Null)
        .await
        .expect(201);
    assert_ne!(hook["secret"], rotated["secret"]);
    api.post(&format!("{base}/test"), &admin, Value::Null)
        .await
        .expect(201);
    let post = next(&mut posts).await;
    assert_eq!(post.header("webhook-signature").split(' ').count(), 2);
}
