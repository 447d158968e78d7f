use std::collections::HashMap;

use envoy_types::ext_authz::v3::pb::{Address, CheckRequest, CheckResponse, HttpResponse};
use envoy_types::pb::envoy::config::core::v3::{Address as Place, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use heimdall_pipeline::Mode;

use super::bodies::DENYING;
use super::support::{Proxy, Setup};

fn check(proxy: &Proxy, host: &str, path: &str) -> CheckResponse {
    let http = HttpRequest {
        method: "GET".into(),
        host: host.into(),
        path: path.into(),
        scheme: "http".into(),
        headers: HashMap::from([(":path".into(), path.into()), ("x-any".into(), "1".into())]),
        ..HttpRequest::default()
    };
    let socket = SocketAddress {
        address: "10.0.0.9".into(),
        ..SocketAddress::default()
    };
    let attributes = AttributeContext {
        source: Some(Peer {
            address: Some(Place {
                address: Some(Address::SocketAddress(socket)),
            }),
            ..Peer::default()
        }),
        request: Some(Request {
            http: Some(http),
            ..Request::default()
        }),
        ..AttributeContext::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut client = AuthorizationClient::connect(format!("http://{}", proxy.address))
            .await
            .unwrap();
        client
            .check(CheckRequest {
                attributes: Some(attributes),
            })
            .await
            .unwrap()
            .into_inner()
    })
}

fn denied_with(response: &CheckResponse) -> Option<i32> {
    match response.http_response.as_ref()? {
        HttpResponse::DeniedResponse(denied) => Some(denied.status.as_ref()?.code),
        _ => None,
    }
}

/// C9, and "denial cannot be encoded as success": the same verdicts as over HTTP, an impossible host denies.
#[test]
fn envoy_gets_the_verdicts_of_the_other_modes() {
    let proxy = Proxy::with(
        "127.0.0.1:1".parse().unwrap(),
        &Setup {
            rules: DENYING,
            mode: Mode::Envoy,
            ..Setup::default()
        },
    );
    let open = check(&proxy, "app.example", "/open?x=1");
    assert_eq!(
        (open.status.as_ref().unwrap().code, denied_with(&open)),
        (0, None)
    );
    for (host, path, status) in [
        ("app.example", "/shut", 401),
        ("app.example", "/none", 404),
        ("app.example", "/open%3f/x", 404),
        ("a/b@c", "/open", 400),
        ("", "/open", 400),
        ("app.example", "/x/%2e%2e/open", 400),
    ] {
        let response = check(&proxy, host, path);
        assert_ne!(response.status.as_ref().unwrap().code, 0, "{host}{path}");
        assert_eq!(denied_with(&response), Some(status), "{host}{path}");
    }
}
