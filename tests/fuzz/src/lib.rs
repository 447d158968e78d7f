//! Fuzz targets. Each is a plain function over bytes: a fuzzer calls it for ever, `cargo test` for a while.
//!
//! ```sh
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer render tests/fuzz/corpus/template
//! ```

pub mod template;
