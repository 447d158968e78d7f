//! The api over a real listener, on a store in memory.

mod client;
mod errors;
mod guides;
mod isolation;
mod oauth;
mod once;
mod webhooks;
