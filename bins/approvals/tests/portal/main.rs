//! The approvals service over a real listener, on a store in memory, with mails in a folder.

mod decide;
mod links;
mod pages;
mod settings;
mod stage;
mod workflows;
