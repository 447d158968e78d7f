//! The whole api embedded in another program, on a store in memory; prints its address and an admin key.
//!
//! `cargo run -p heimdall-api --example in_memory -- 127.0.0.1:0`
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;

use heimdall_api::{HashingPool, Options, Outside, Workers, app, assemble, edge};
use heimdall_server::{LimitSettings, ListenSettings, Server, Sources, SystemClock};
use heimdall_store::Store;
use heimdall_tenant::input::NewAdminKey;
use heimdall_tenant::{Caller, Hasher};
use heimdall_token::{RootKey, SystemRng};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address)?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let rng = Arc::new(SystemRng);
    let outside = Outside {
        store: Arc::new(Store::memory()?),
        root_key: RootKey::generate(&*rng),
        clock: Arc::new(SystemClock),
        passwords: Arc::new(HashingPool::new(Hasher::default(), rng.clone())),
        rng,
    };
    let deps = assemble(outside, Options::at(&base_url)).await?;
    let key = NewAdminKey {
        name: "example".to_owned(),
    };
    let key = deps
        .tenants
        .create_admin_key(&Caller::System, key)
        .await?
        .key;
    let _workers = Workers::start(&deps, None);
    let edge = edge(&LimitSettings::off(), Sources::default(), false);
    let mut running = Server::listen(listener, &ListenSettings::default(), edge, app(deps))?;
    println!("{base_url}/heimdall {key}");
    Ok(running.ended().await?)
}
