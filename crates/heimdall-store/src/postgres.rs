//! PostgreSQL without libpq.

use std::future::Future;

use diesel_async::async_connection_wrapper::BlockOn;
use heimdall_types::Fault;
use tokio::runtime::Runtime;

use crate::error::OpenError;
use crate::job::Job;
use crate::signal::Committed;
use crate::store::StoreSettings;

/// Each thread that owns a connection drives it by a small runtime of its own: no hop to another thread on the way.
pub(crate) struct ThreadRuntime;

thread_local! {
    static RUNTIME: std::io::Result<Runtime> = tokio::runtime::Builder::new_current_thread().enable_all().build();
}

impl BlockOn for ThreadRuntime {
    #[expect(
        clippy::panic,
        reason = "a thread that cannot have a runtime is never given a connection"
    )]
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        RUNTIME.with(|runtime| match runtime {
            Ok(runtime) => runtime.block_on(future),
            Err(error) => panic!("no runtime: {error}"),
        })
    }

    fn get_runtime() -> Self {
        Self
    }
}

pub(crate) struct Postgres;

impl Postgres {
    pub(crate) fn open(
        _: &StoreSettings,
        _: &tokio::sync::broadcast::Sender<Committed>,
    ) -> Result<Self, OpenError> {
        Err(OpenError::Postgres("not yet".to_owned()))
    }
    pub(crate) fn read(&self, _: Box<dyn Job>) -> Result<(), Fault> {
        Err(Fault::Conflict)
    }
    pub(crate) fn write(&self, _: Box<dyn Job>) -> Result<(), Fault> {
        Err(Fault::Conflict)
    }
}
