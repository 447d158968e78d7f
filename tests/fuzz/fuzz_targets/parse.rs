#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| heimdall_fuzz::template::parse(data));
