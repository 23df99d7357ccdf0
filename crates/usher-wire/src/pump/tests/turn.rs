//! What happens while a body waits for its turn.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use super::*;
use crate::turns::tend;

/// Also where nothing can go through a pipe, as over TLS: a client that takes much is to be seen to do so, however late its turn comes.
#[test]
fn who_is_quick_is_seen_meanwhile() {
    run(async {
        const SIZE: usize = 1 << 20;
        let (mut sender, source) = MemoryStream::pair(SIZE);
        let (sink, mut receiver) = MemoryStream::pair(SIZE);
        let looks: Rc<Cell<u32>> = Rc::default();
        let sink = Watched { stream: sink, reach: usize::MAX, moved: Rc::default(), looks: looks.clone() };
        let (mut source, mut sink) = (Connection::new(source), Connection::new(sink));
        source.begin_receive(Framing::Length(SIZE as u64));
        sink.begin_send(Framing::Length(SIZE as u64));
        write_all(&mut sender, &pattern(SIZE)).await;
        let mut pump = Pump::default();
        {
            let mut tended = pin!(tend(async || std::future::pending().await));
            assert!(once(|cx| tended.as_mut().poll(cx)).is_pending());
            turns::spend(u64::MAX / 2);
            for waited in 1..4 {
                assert!(once(|cx| pump.poll(cx, &mut source, &mut sink)).is_pending());
                assert!(pump.waits_for_turn() && looks.get() == waited);
            }
        }
        let pumping = poll_fn(|cx| pump.poll(cx, &mut source, &mut sink));
        let (ended, got) = tokio::join!(pumping, async {
            let mut got = vec![0; SIZE];
            let mut len = 0;
            while len < SIZE {
                len += poll_fn(|cx| receiver.poll_read(cx, &mut got[len..])).await.unwrap();
            }
            got
        });
        assert!(ended.is_ok() && got == pattern(SIZE) && looks.get() == 3);
    });
}
