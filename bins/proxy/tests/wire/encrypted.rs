use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::program::Program;
use super::support::{Proxy, Setup, Upstream, fine};

const TLS: &str = "{tls: {key_store: {path: '{DIR}/tls.pem'}}}";

/// Without `rewrite` a request that came by TLS goes on by TLS.
const RULES: &str = r#"
version: "1alpha4"
name: test
rules:
  - id: all
    match: {routes: [{path: "/**"}]}
    forward_to: {host: "{UPSTREAM}", rewrite: {scheme: http}}
    execute: [{authenticator: anyone}]
"#;

/// Takes every certificate: these tests are about what is inside the tunnel.
#[derive(Debug)]
struct TakesAll;

impl ServerCertVerifier for TakesAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
        ]
    }
}

async fn connect(address: SocketAddr, protocol: &[u8]) -> TlsStream<tokio::net::TcpStream> {
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TakesAll))
            .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config))
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn http2_requests_are_judged_and_forwarded_like_others() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            serve: TLS,
            rules: RULES,
            ..Setup::default()
        },
    );
    block_on(async {
        let stream = connect(proxy.address, b"h2").await;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let request = http::Request::post("https://app.example/a/../x")
            .body(Full::new(bytes::Bytes::from_static(b"hello")))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "fine"
        );
        let request = http::Request::get("https://app.example/x")
            .header("host", "other.example")
            .body(Full::new(bytes::Bytes::new()))
            .unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 400);
    });
    let seen = upstream.take();
    assert_eq!(
        (seen.len(), seen[0].line(), seen[0].body.as_slice()),
        (1, "POST /x HTTP/1.1", b"hello".as_slice())
    );
    assert_eq!(
        (seen[0].values("host"), seen[0].values("x-forwarded-proto")),
        (vec!["app.example".into()], vec!["https".into()])
    );
}

#[test]
fn the_guard_stands_inside_the_tunnel_too() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let upstream = Upstream::start(fine);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            serve: TLS,
            rules: RULES,
            ..Setup::default()
        },
    );
    let text = block_on(async {
        let mut stream = connect(proxy.address, b"http/1.1").await;
        stream
            .write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\nHost: a\n\n")
            .await
            .unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        String::from_utf8(all).unwrap()
    });
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("HTTP/1.1 400"),
        "{text}"
    );
    assert_eq!(upstream.seen().len(), 1);
}

/// The listener for Envoy takes TLS as the others do.
#[cfg(feature = "envoy-grpc")]
#[test]
fn envoy_is_answered_over_tls() {
    let proxy = Proxy::with(
        "127.0.0.1:1".parse().unwrap(),
        &Setup {
            serve: TLS,
            mode: heimdall_pipeline::Mode::Envoy,
            ..Setup::default()
        },
    );
    block_on(async {
        // Somebody who never finishes a handshake keeps nobody else waiting.
        let _idle = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
        let stream = connect(proxy.address, b"h2").await;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        // An empty `CheckRequest`: a frame without a message.
        let request =
            http::Request::post("https://localhost/envoy.service.auth.v3.Authorization/Check")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Full::new(bytes::Bytes::from_static(&[0; 5])))
                .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.headers()["content-type"].to_str().unwrap()
            ),
            (200, "application/grpc")
        );
        let body = answer.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        assert!(body.to_bytes().len() > 5, "a denial stands in it");
    });
}

/// An upstream that speaks TLS, and HTTP/2 where that is offered; its answers tell what it got.
async fn encrypted_upstream(listener: TcpListener, key: rcgen::CertifiedKey<rcgen::KeyPair>) {
    let private =
        rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![key.cert.der().clone()], private)
    .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = hyper::service::service_fn(answer);
            let io = TokioIo::new(stream);
            if h2 {
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(io, service)
                    .await;
            } else {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(io, service)
                    .with_upgrades()
                    .await;
            }
        });
    }
}

async fn answer(
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<Full<bytes::Bytes>>, hyper::Error> {
    if request.headers().contains_key("upgrade") {
        let mut response = http::Response::new(Full::default());
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        response
            .headers_mut()
            .insert("upgrade", http::HeaderValue::from_static("websocket"));
        return Ok(response);
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let host = parts.uri.authority().map(ToString::to_string);
    let text = format!(
        "{:?} {} {} {host:?} {}",
        parts.version,
        parts.method,
        parts.uri.path(),
        String::from_utf8_lossy(&body)
    );
    Ok(http::Response::new(Full::from(text)))
}

/// R10: TLS to an upstream whose certificate is checked, HTTP/2 where it is offered, HTTP/1.1 for a WebSocket.
#[test]
fn upstreams_are_reached_by_tls_and_http2() {
    const RULES: &str = r#"
version: "1alpha4"
name: test
rules:
  - id: all
    match: {routes: [{path: "/**"}]}
    forward_to: {host: "localhost:{PORT}", upgrade: [websocket], rewrite: {scheme: https}}
    execute: [{authenticator: anyone}]
"#;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = std::env::temp_dir().join(format!("heimdall-wire-ca-{}.pem", std::process::id()));
    std::fs::write(&file, made.cert.pem()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(encrypted_upstream(listener, made));
    let rules = RULES.replace("{PORT}", &address.port().to_string());
    let trusting = [("SSL_CERT_FILE", file.to_str().unwrap())];
    let program = Program::start(address, &rules, "", &trusting);
    let mut client = program.client();
    for _ in 0..3 {
        client.send("POST /x HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let answer = client.answer().unwrap();
        assert_eq!(
            String::from_utf8(answer.body).unwrap(),
            "HTTP/2.0 POST /x Some(\"app.example\") abc"
        );
    }
    client.send("GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 101);
    let strict = Program::start(address, &rules, "", &[]);
    assert_eq!(
        strict.client().get("/x").status,
        502,
        "a certificate that nobody vouches for is not taken"
    );
    let _ = std::fs::remove_file(file);
}
