#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| narthex_mcp_fuzz::federation::check(data));
