use super::*;
use crate::body::Held;
use crate::testing::once;

/// A frame: its first byte, masked or not, and the length of its payload.
fn frame(first: u8, masked: bool, length: usize) -> Vec<u8> {
    let mask = if masked { MASKED } else { 0 };
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(mask | length as u8),
        126..=0xffff => {
            bytes.push(mask | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    if masked {
        bytes.extend([0xff; 4]);
    }
    bytes.extend(vec![0x88; length]);
    bytes
}

/// What they are; frames in a row by first byte and length; and after which of them no message is under way.
type Row = (&'static str, Vec<(u8, usize)>, Vec<usize>);

fn rows() -> Vec<Row> {
    vec![
        ("a message", vec![(0x81, 5)], vec![0]),
        ("an empty one", vec![(0x82, 0), (0x82, 1)], vec![0, 1]),
        ("lengths", vec![(0x81, 125), (0x81, 126), (0x81, 65_535), (0x81, 65_536)], vec![0, 1, 2, 3]),
        ("fragments", vec![(0x01, 5), (0x00, 0), (0x80, 3)], vec![2]),
        ("an empty end", vec![(0x01, 5), (0x80, 0)], vec![1]),
        ("a ping between messages", vec![(0x89, 0), (0x8a, 4)], vec![0, 1]),
        ("a ping within one", vec![(0x01, 5), (0x89, 2), (0x80, 3)], vec![2]),
        ("compressed", vec![(0xc1, 50), (0x41, 9), (0x80, 1)], vec![0, 2]),
        ("a close", vec![(0x81, 5), (0x88, 2)], vec![0, 1]),
    ]
}

#[test]
fn borders_are_where_no_message_is_under_way() {
    for masked in [false, true] {
        for (what, row, borders) in rows() {
            let mut frames = Frames::default();
            assert!(frames.is_between(), "{what}");
            for (index, (first, length)) in row.into_iter().enumerate() {
                let bytes = frame(first, masked, length);
                for (at, byte) in bytes.iter().enumerate() {
                    frames.follow(&[*byte]);
                    let border = at + 1 == bytes.len() && borders.contains(&index);
                    assert_eq!(frames.is_between(), border, "{what}: frame {index}, byte {at}");
                }
            }
        }
    }
}

#[test]
fn pieces_of_any_size_say_the_same() {
    for (what, row, borders) in rows() {
        let wire: Vec<Vec<u8>> = row.iter().map(|(first, length)| frame(*first, true, *length)).collect();
        let ends: Vec<usize> = borders.iter().map(|last| wire[..=*last].concat().len()).collect();
        let wire = wire.concat();
        for size in [1, 2, 3, 7, 100, 100_000] {
            let (mut frames, mut taken) = (Frames::default(), 0);
            for piece in wire.chunks(size) {
                let next = ends.iter().find(|end| **end > taken).copied().unwrap_or(usize::MAX);
                let expected = if frames.is_between() { 0 } else { (next - taken).min(piece.len()) };
                assert_eq!(frames.until_border(piece), expected, "{what}: {size} at {taken}");
                frames.follow(piece);
                taken += piece.len();
            }
            assert!(frames.is_between(), "{what}: {size}");
        }
    }
}

#[test]
fn what_is_counted() {
    let mut frames = Frames::default();
    for (first, length) in [(0x01, 5), (0x89, 0), (0x80, 3), (0x8a, 0), (0x82, 0), (0x89, 125), (0x88, 0)] {
        frames.follow(&frame(first, true, length));
    }
    assert_eq!((frames.messages(), frames.pings(), frames.is_closed()), (2, 2, true));
    frames.follow(&frame(0x81, true, 9));
    assert_eq!(
        (frames.messages(), frames.is_closed(), frames.is_between()),
        (2, true, true),
        "nothing follows"
    );
}

#[test]
fn what_is_no_frame_has_no_border() {
    let long = [&[0x82, 127, 0x80][..], &[0; 7]].concat();
    for bytes in [&long[..], &[0x89, 126, 0, 200], &[0x88, 127]] {
        let mut frames = Frames::default();
        frames.follow(bytes);
        frames.follow(&[0; 300]);
        assert!(!frames.is_between() && !frames.is_closed(), "{bytes:?}");
        assert_eq!(frames.until_border(&[0; 300]), 300);
    }
}

#[test]
fn a_held_source_ends_at_a_border() {
    let bytes = [frame(0x01, true, 5), frame(0x80, true, 300), frame(0x81, true, 3)].concat();
    let border = bytes.len() - frame(0x81, true, 3).len();
    let (mut source, mut frames) = (Held::new(&bytes), Frames::default());
    let mut owed = false;
    let mut take = |held: bool, most: usize, frames: &mut Frames| {
        let mut followed = Followed { source: &mut source, frames, held, owed: &mut owed, ended: None };
        let Poll::Ready(len) = once(|cx| followed.poll_fill(cx)) else { return None };
        let len = len.unwrap();
        assert_eq!(len, followed.chunk().len());
        followed.consume(len.min(most));
        Some(len)
    };
    assert_eq!(take(true, 0, &mut frames), None, "nothing has begun");
    assert_eq!(take(false, 8, &mut frames), Some(bytes.len()));
    assert_eq!(take(true, 100, &mut frames), Some(border - 8));
    assert_eq!(take(true, usize::MAX, &mut frames), Some(border - 108));
    assert_eq!(take(true, usize::MAX, &mut frames), None);
    assert_eq!(take(false, usize::MAX, &mut frames), Some(bytes.len() - border));
}

#[test]
fn within_a_message_there_are_borders_of_frames() {
    let mut frames = Frames::default();
    let bytes = [frame(0x01, true, 5), frame(0x89, true, 2), frame(0x00, true, 300)].concat();
    let borders =
        [0, frame(0x01, true, 5).len(), frame(0x01, true, 5).len() + frame(0x89, true, 2).len(), bytes.len()];
    for (at, byte) in bytes.iter().enumerate() {
        assert_eq!(frames.is_at_border(), borders.contains(&at), "byte {at}");
        frames.follow(&[*byte]);
    }
    assert!(frames.is_at_border() && !frames.is_between());
    frames.follow(&[0x88, 127, 0, 0]);
    assert!(!frames.is_at_border(), "what came is no frame");
}

/// A source that fails.
struct Broken;

impl Source for Broken {
    fn poll_fill(&mut self, _: &mut Context<'_>) -> Poll<Result<usize, WireError>> {
        Poll::Ready(Err(WireError::Truncated))
    }

    fn chunk(&self) -> &[u8] {
        &[]
    }

    fn consume(&mut self, _: usize) {}

    fn trailers(&self) -> Option<&Fields> {
        None
    }

    fn is_done(&self) -> bool {
        false
    }

    fn plain(&mut self) -> Option<Plain<'_>> {
        None
    }

    fn took_plain(&mut self, _: u64) -> Result<(), WireError> {
        Ok(())
    }
}

#[test]
fn an_end_that_is_waited_for_is_noted_and_not_passed_on() {
    fn fill(source: &mut impl Source, ended: Option<&mut bool>) -> Poll<Result<usize, WireError>> {
        let (mut frames, mut owed) = (Frames::default(), false);
        let mut followed = Followed { source, frames: &mut frames, held: false, owed: &mut owed, ended };
        once(|cx| followed.poll_fill(cx))
    }
    let mut ended = false;
    assert!(matches!(fill(&mut Held::new(b"x"), Some(&mut ended)), Poll::Ready(Ok(1))));
    assert!(!ended);
    assert!(fill(&mut Held::new(b""), Some(&mut ended)).is_pending());
    assert!(std::mem::take(&mut ended));
    assert!(fill(&mut Broken, Some(&mut ended)).is_pending());
    assert!(ended);
    assert!(matches!(fill(&mut Held::new(b""), None), Poll::Ready(Ok(0))));
    assert!(matches!(fill(&mut Broken, None), Poll::Ready(Err(_))));
}

#[test]
fn what_is_owed_to_the_sink_is_not_held_back() {
    let bytes = [frame(0x81, true, 5), frame(0x81, true, 3)].concat();
    let (mut source, mut frames, mut owed) = (Held::new(&bytes), Frames::default(), true);
    let mut followed =
        Followed { source: &mut source, frames: &mut frames, held: true, owed: &mut owed, ended: None };
    assert!(once(|cx| followed.poll_fill(cx)).is_ready());
    assert_eq!(followed.chunk(), bytes, "the same again, although nothing has begun");
    followed.consume(2);
    assert_eq!(followed.chunk(), &bytes[2..frame(0x81, true, 5).len()], "it took some: held from here on");
    assert!(!owed);
}

#[test]
fn a_close_frame_is_one() {
    assert_eq!(CloseFrame::to_client(1001).bytes(), [0x88, 2, 0x03, 0xe9]);
    let masked = CloseFrame::to_endpoint(1012, [1, 2, 3, 4]);
    assert_eq!(masked.bytes(), [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xf4 ^ 2]);
    for close in [CloseFrame::to_client(1001), masked] {
        let mut frames = Frames::default();
        frames.follow(close.bytes());
        assert!(frames.is_closed() && frames.is_between());
    }
}
