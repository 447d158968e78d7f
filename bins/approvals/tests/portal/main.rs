//! The approvals service over a real listener, on a store in memory, with mails in a folder.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that is surprised fails at once"
)]

mod accounts;
mod approvals;
mod decide;
mod links;
mod manage;
mod once;
mod openapi;
mod pages;
mod settings;
mod stage;
mod steps;
mod workflows;
