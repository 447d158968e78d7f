//! Fuzz targets. Each is a plain function over bytes: a fuzzer calls it for ever, `cargo test` for a while.
//!
//! With `cargo fuzz` or any other driver a target is `fuzz_target!(|data: &[u8]| heimdall_fuzz::template::parse(data))`.

pub mod template;
