use std::io::Read;
use std::net::TcpStream as StdStream;
use std::task::Waker;
use std::time::Duration;

use super::*;
use crate::listen::Listener;
use crate::testing::{ip, listener, loopback, run};

async fn pair(listener: &Listener) -> (Accepted, StdStream) {
    let client = StdStream::connect(ip(listener.address())).expect("connected");
    (listener.accept().await.expect("accepted").0, client)
}

/// Writes until it has to wait; how much that was.
fn fill(stream: &mut Accepted) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let mut filled = 0;
    while let Poll::Ready(wrote) = stream.poll_write(&mut cx, &[7; 16 << 10]) {
        filled += wrote.expect("written");
    }
    filled
}

async fn writable(stream: &mut Accepted) {
    let stream = stream.state.registered().expect("registered");
    let Stream::Tcp(socket) = stream else { panic!("no TCP") };
    socket.writable().await.expect("a socket");
}

#[test]
fn the_system_holds_little_of_what_nobody_takes() {
    run(async {
        let listener = listener(&loopback());
        let (mut stream, client) = pair(&listener).await;
        let mut filled = fill(&mut stream);
        // As a connection begins, the system may give more room by itself, again and again.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            filled += fill(&mut stream);
        }
        assert!(filled < 1 << 20, "{filled} bytes");
        assert!(!matches!(stream.ahead, Ahead::Usual));
        assert!(stream.reach() < 1 << 20);
        drop(client);
    });
}

#[test]
fn a_quick_client_gets_what_the_system_gives() {
    run(async {
        let listener = listener(&loopback());
        let (mut stream, mut client) = pair(&listener).await;
        // How quick it is depends on who else is on the machine.
        for _ in 0..500 {
            let filled = fill(&mut stream);
            let taken = io::copy(&mut (&mut client).take(filled as u64), &mut io::sink());
            assert_eq!(taken.expect("read"), filled as u64);
            writable(&mut stream).await;
            if matches!(stream.ahead, Ahead::Usual) {
                assert_eq!(stream.reach(), usize::MAX);
                return assert!(fill(&mut stream) > 0);
            }
        }
        panic!("never thought to be quick");
    });
}

/// Its turn to be written to comes late: it is not to blame for that.
#[test]
fn a_client_is_quick_though_nobody_writes() {
    run(async {
        let listener = listener(&loopback());
        let (mut stream, mut client) = pair(&listener).await;
        let mut filled = fill(&mut stream);
        for _ in 0..500 {
            let taken = io::copy(&mut (&mut client).take(filled as u64), &mut io::sink());
            assert_eq!(taken.expect("read"), filled as u64);
            writable(&mut stream).await;
            stream.notice_room();
            if matches!(stream.ahead, Ahead::Usual) {
                return;
            }
            tokio::time::sleep(2 * ahead::QUICK).await;
            filled = fill(&mut stream);
        }
        panic!("never thought to be quick");
    });
}

/// The runtime does not know at first that there is room.
#[test]
fn to_wait_with_nothing_to_send_says_nothing() {
    run(async {
        let listener = listener(&loopback());
        let (mut stream, _client) = pair(&listener).await;
        let State::Fresh { socket, .. } = &stream.state else { panic!("not fresh") };
        stream.ahead.waits(socket);
        assert!(matches!(stream.ahead, Ahead::Little));
    });
}

#[test]
fn a_lower_mark_of_the_system_is_kept() {
    assert!(ahead::is_higher("4294967295\n") && ahead::is_higher("131073"));
    assert!(!ahead::is_higher("131072\n") && !ahead::is_higher("16384") && !ahead::is_higher(""));
}
