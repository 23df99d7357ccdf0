//! Frames of a WebSocket: any split says the same of where messages end, and what is said of the next end comes true.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_fuzz::cuts;
use usher_wire::websocket::Frames;

fn summary(frames: &Frames) -> (bool, bool, u64, u64) {
    (frames.is_between(), frames.is_closed(), frames.messages(), frames.pings())
}

fn follow(data: &[u8], ends: impl Iterator<Item = usize>) -> (bool, bool, u64, u64) {
    let (mut frames, mut at) = (Frames::default(), 0);
    for end in ends.chain([data.len()]) {
        frames.follow(&data[at..end]);
        at = end;
    }
    summary(&frames)
}

fuzz_target!(|data: &[u8]| {
    let whole = follow(data, std::iter::empty());
    assert_eq!(follow(data, cuts(data)), whole);
    assert_eq!(follow(data, 0..data.len()), whole);
    // From border to border: behind the first byte of each message, to its end.
    let (mut frames, mut rest) = (Frames::default(), data);
    while !rest.is_empty() {
        let (first, behind) = rest.split_at(1);
        frames.follow(first);
        let until = frames.until_border(behind);
        assert!(until <= behind.len());
        for at in 0..until {
            assert!(!frames.is_between());
            frames.follow(&behind[at..=at]);
        }
        assert!(frames.is_between() || until == behind.len());
        rest = &behind[until..];
    }
    assert_eq!(summary(&frames), whole);
});
