#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| skirl::fuzzing::checkpoint(input));
