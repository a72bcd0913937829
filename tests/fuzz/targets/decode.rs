//! Bytes off the ring: any record decodes, or is malformed, and what decodes can be taken.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steth::event::{ConnId, decode};
use steth::protocol::http1::{Http1, Limits};
use steth::protocol::{Exchange, Sink, Verdict};

struct Nothing;

impl Sink for Nothing {
    fn exchange(&mut self, _: &Exchange<'_>) {}
    fn verdict(&mut self, _: ConnId, _: Verdict) {}
}

fuzz_target!(|data: &[u8]| {
    // Records are aligned to eight bytes on the ring, and a first word says how long one is here.
    let mut http = Http1::new(Limits { connections: 8, bytes: 1 << 16, ..Limits::default() });
    let mut rest = data;
    while let Some((len, after)) = rest.split_first() {
        let (record, after) = after.split_at(after.len().min(usize::from(*len) * 4));
        rest = after;
        let mut words = vec![0u64; record.len().div_ceil(8)];
        for (word, bytes) in words.iter_mut().zip(record.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        let aligned = zerocopy::IntoBytes::as_bytes(words.as_slice());
        if let Ok(event) = decode(&aligned[..record.len()]) {
            http.event(&event, &mut Nothing);
        }
    }
});
