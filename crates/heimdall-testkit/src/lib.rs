//! Doubles and real servers for tests.
#![expect(
    clippy::panic,
    reason = "a test helper that cannot do its work must stop the test with a clear text"
)]

mod postgres;

pub use postgres::Postgres;
