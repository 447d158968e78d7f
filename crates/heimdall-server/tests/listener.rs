//! The listener and the edge, over real sockets.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use heimdall_server::{Edge, Health, Json, LimitSettings, Limits, ListenSettings, Running, Server};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

fn start(limits: LimitSettings) -> Running {
    let settings = ListenSettings {
        workers: 1,
        head_timeout: 1,
        ..ListenSettings::default()
    };
    let edge = Edge::new("test").limits(Limits::new(&limits).into());
    Server::bind(&settings, edge, |config| {
        Health::default().routes(config);
        config
            .route(
                "/names",
                web::post()
                    .to(|body: Json<Named>| async move { HttpResponse::Ok().body(body.0.name) }),
            )
            .route(
                "/slow",
                web::get().to(|| async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    HttpResponse::Ok().body("finished")
                }),
            );
    })
    .unwrap()
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn post(address: SocketAddr, kind: &str, body: &str) -> String {
    let length = body.len();
    let head = format!(
        "POST /names HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    );
    exchange(address, &format!("{head}{body}")).await
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
    )
    .await
}

#[actix_web::test]
async fn every_answer_is_guarded_and_every_refusal_a_problem() {
    let running = start(LimitSettings::off());
    let missing = get(running.addr(), "/nothing").await;
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    for header in [
        "content-type: application/problem+json",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "frame-ancestors 'none'",
        "x-request-id: ",
    ] {
        assert!(missing.contains(header), "{header} in {missing}");
    }
    let wrong_method = get(running.addr(), "/names").await;
    assert!(
        wrong_method.starts_with("HTTP/1.1 405") || wrong_method.starts_with("HTTP/1.1 404"),
        "{wrong_method}"
    );
    assert!(wrong_method.contains("\"error\":{"), "{wrong_method}");
    running.stop().await;
}

#[actix_web::test]
async fn bodies_are_refused_before_they_cost_anything() {
    let running = start(LimitSettings::off());
    let at = running.addr();
    assert!(
        post(at, "application/json", r#"{"name":"x"}"#)
            .await
            .ends_with("\r\n\r\nx")
    );
    assert!(
        post(at, "application/json; charset=utf-8", r#"{"name":"x"}"#)
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        post(at, "text/plain", r#"{"name":"x"}"#)
            .await
            .starts_with("HTTP/1.1 415")
    );
    assert!(
        post(at, "application/json", r#"{"name":"x","id":1}"#)
            .await
            .contains("\"field\":\"id\"")
    );
    let huge = "POST /names HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 67108864\r\n\r\n{";
    assert!(exchange(at, huge).await.starts_with("HTTP/1.1 413"));
    let zipped = "POST /names HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    assert!(exchange(at, zipped).await.starts_with("HTTP/1.1 415"));
    running.stop().await;
}

#[actix_web::test]
async fn a_head_that_trickles_is_cut_off() {
    let running = start(LimitSettings::off());
    let began = std::time::Instant::now();
    exchange(running.addr(), "GET / HTTP/1.1\r\nhost:").await;
    assert!(began.elapsed() < Duration::from_secs(4));
    running.stop().await;
}

#[actix_web::test]
async fn stopping_lets_a_running_request_finish() {
    let running = start(LimitSettings::off());
    let at = running.addr();
    let slow = tokio::spawn(async move { get(at, "/slow").await });
    while !slow.is_finished() && get(at, "/healthz").await.is_empty() {}
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.stop().await;
    assert!(slow.await.unwrap().ends_with("finished"));
    assert!(TcpStream::connect(at).await.is_err());
}

#[actix_web::test]
async fn a_source_that_asks_too_often_is_told_when_to_come_back() {
    let running = start(LimitSettings {
        per_second: 1,
        burst: 2,
        ..LimitSettings::default()
    });
    let mut last = String::new();
    for _ in 0..4 {
        last = get(running.addr(), "/healthz").await;
    }
    assert!(
        last.starts_with("HTTP/1.1 429") && last.contains("retry-after: 1"),
        "{last}"
    );
    running.stop().await;
}
