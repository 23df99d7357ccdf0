//! Frames and settings of HTTP/3: more bytes never change an answer, and whatever is said to be there is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_fuzz::cuts;
use usher_wire::h3::{Settings, frame_head, integer};

const SETTINGS: u64 = 0x4;

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Some(head) = frame_head(rest) {
        assert!(head.taken <= rest.len() && head.taken <= 16);
        for cut in cuts(&rest[..head.taken]) {
            assert_eq!(frame_head(&rest[..cut]), None, "cut");
        }
        let (kind, behind) = integer(rest).expect("a type");
        assert_eq!(kind, head.kind);
        assert_eq!(integer(behind).map(|(len, _)| len), Some(head.len));
        rest = &rest[head.taken..];
        let len = usize::try_from(head.len).unwrap_or(usize::MAX).min(rest.len());
        let (payload, after) = rest.split_at(len);
        if head.kind == SETTINGS
            && let Ok(settings) = Settings::read(payload)
        {
            // An unknown setting behind the known ones changes nothing, but if it is there already.
            let more = [payload, &[0x7f, 0x21, 0x00]].concat();
            if let Ok(again) = Settings::read(&more) {
                assert_eq!(again, settings);
            }
        }
        rest = after;
    }
});
