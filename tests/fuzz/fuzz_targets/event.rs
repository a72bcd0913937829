//! Any bytes as a kernel record: a typed event or a counted reason, and nothing else.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = steth::event::decode(bytes);
});
