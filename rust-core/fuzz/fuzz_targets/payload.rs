#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracebaton_fuzz::checks::payload(data));
