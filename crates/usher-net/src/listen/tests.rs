mod adopting;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::*;
use crate::address::{Address, Peer};
use crate::options::{Keepalive, SocketOptions};
use crate::stream::Stream;
use crate::testing::{ip, listener, loopback, read_all, run, write_all};

fn listeners(address: &Address, options: &ListenOptions, n: usize) -> Vec<Listener> {
    let bound = bind(address, options, n).expect("bound");
    assert_eq!(bound.len(), n);
    bound
        .into_iter()
        .map(|bound| Listener::new(bound, &SocketOptions::default()).expect("a listener"))
        .collect()
}

fn refusal(address: &Address, options: &ListenOptions) -> io::Error {
    bind(address, options, 1).expect_err("must not be bound")
}

#[test]
fn accepted_connections_inherit_the_options() {
    run(async {
        let keepalive =
            Keepalive { idle: Duration::from_secs(70), interval: Duration::from_secs(7), probes: 3 };
        let bound = bind(&loopback(), &ListenOptions::default(), 1).expect("bound").remove(0);
        let options = SocketOptions { nodelay: true, keepalive: Some(keepalive) };
        let listener = Listener::new(bound, &options).expect("a listener");
        let client = TcpStream::connect(ip(listener.address())).expect("connected");
        let (stream, peer) = listener.accept().await.expect("accepted");
        assert_eq!(peer, Peer::Ip(client.local_addr().expect("an address")));
        let stream = stream.into_stream().expect("registered");
        let Stream::Tcp(socket) = &stream else { panic!("not TCP") };
        let socket = SockRef::from(socket);
        assert!(socket.tcp_nodelay().expect("an option") && socket.keepalive().expect("an option"));
        assert_eq!(socket.tcp_keepalive_time().expect("an option"), keepalive.idle);
        assert_eq!(socket.tcp_keepalive_interval().expect("an option"), keepalive.interval);
        assert_eq!(socket.tcp_keepalive_retries().expect("an option"), keepalive.probes);
    });
}

#[test]
fn a_drain_serves_everybody_in_every_queue() {
    const CLIENTS: usize = 64;
    run(async {
        let listeners = listeners(&loopback(), &ListenOptions::default(), 4);
        let address = ip(listeners[0].address());
        let mut clients: Vec<_> =
            (0..CLIENTS).map(|_| TcpStream::connect(address).expect("connected")).collect();
        let mut served = Vec::new();
        for listener in listeners {
            assert_eq!(ip(listener.address()), address);
            let queue: Vec<_> =
                listener.drain().expect("a drain").collect::<Result<_, _>>().expect("accepted");
            served.push(queue.len());
            for (mut stream, _) in queue {
                write_all(&mut stream, b"served").await.expect("written");
            }
        }
        assert_eq!(served.iter().sum::<usize>(), CLIENTS);
        assert!(served.iter().filter(|n| **n > 0).count() > 1, "one queue took all: {served:?}");
        for client in &mut clients {
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("not reset");
            assert_eq!(answer, "served");
        }
        let late = TcpStream::connect(address).expect_err("all are closed");
        assert_eq!(late.kind(), io::ErrorKind::ConnectionRefused);
    });
}

/// Refuses new connections; false where that takes a privilege that this process lacks.
fn refuses(listener: &mut Listener) -> bool {
    match listener.refuse_new() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
        refused => refused.map(|()| true).expect("a filter"),
    }
}

/// Sends a SYN, which the loopback delivers before this returns.
fn knock(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_nonblocking(true).expect("an option");
    let _ = socket.connect(&address.into());
    socket
}

#[test]
fn a_listener_that_refuses_serves_its_queue_and_nobody_new() {
    run(async {
        let mut listener = listener(&loopback());
        let address = ip(listener.address());
        let early = TcpStream::connect(address).expect("connected");
        let early2 = TcpStream::connect(address).expect("connected");
        let filtered = refuses(&mut listener);
        let _late = filtered.then(|| knock(address));
        let (_, peer) = listener.accept().await.expect("accepted");
        assert_eq!(peer, Peer::Ip(early.local_addr().expect("an address")));
        let mut rest = listener.drain().expect("a drain");
        let (_, peer) = rest.next().expect("one more").expect("accepted");
        assert_eq!(peer, Peer::Ip(early2.local_addr().expect("an address")));
        assert!(rest.next().is_none(), "accepted a client that came too late");
    });
}

#[test]
fn a_handshake_under_way_is_completed_after_the_refusal() {
    run(async {
        // The kernel completes a deferred handshake only when data comes, so this one is under way for sure.
        let options =
            ListenOptions { defer_accept: Some(Duration::from_secs(60)), ..ListenOptions::default() };
        let mut listener = listeners(&loopback(), &options, 1).remove(0);
        let mut client = TcpStream::connect(ip(listener.address())).expect("connected");
        refuses(&mut listener);
        client.write_all(b"hello").expect("written");
        client.shutdown(Shutdown::Write).expect("shut down");
        let (mut stream, _) = listener.accept().await.expect("accepted");
        // The filter, which this connection inherited, lets data pass.
        assert_eq!(read_all(&mut stream).await.expect("read"), b"hello");
    });
}

#[test]
fn one_of_several_descriptors_refuses_for_itself_only() {
    run(async {
        let options = ListenOptions { reuse_port: false, ..ListenOptions::default() };
        let mut listeners = listeners(&loopback(), &options, 2);
        let address = ip(listeners[0].address());
        listeners[0].refuse_new().expect("nothing to do");
        let first = listeners.remove(0).drain().expect("a drain");
        assert_eq!(first.count(), 0);
        let _client = TcpStream::connect(address).expect("the other one listens");
        listeners[0].accept().await.expect("accepted");
        let _late = refuses(&mut listeners[0]).then(|| knock(address));
        assert_eq!(listeners.remove(0).drain().expect("a drain").count(), 0);
    });
}

#[test]
fn an_address_in_use_is_refused_by_name() {
    let bound = bind(&loopback(), &ListenOptions::default(), 2).expect("bound");
    let address = bound[0].address();
    let port = ip(address).port();
    for reuse_port in [false, true] {
        let error = refusal(address, &ListenOptions { reuse_port, ..ListenOptions::default() });
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("cannot listen on `127.0.0.1:{port}`: the address is in use")),
            "{text}"
        );
    }
    let shared = ListenOptions { shared: true, ..ListenOptions::default() };
    bind(address, &shared, 1).expect("a hand-over shares the port");
}

#[test]
fn an_address_of_nobody_is_refused_by_name() {
    let address = "192.0.2.1:0".parse().expect("an address");
    let error = refusal(&address, &ListenOptions::default());
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("`192.0.2.1:0`: no interface has this address"), "{error}");
}

#[test]
fn messages_say_what_to_do() {
    let cases = [
        ("0.0.0.0:80", libc::EACCES, "CAP_NET_BIND_SERVICE"),
        ("[::]:8080", libc::EADDRINUSE, "set `only_v6`"),
        ("[::]:8080", libc::EAFNOSUPPORT, "IPv6 switched off"),
        ("unix:/x", libc::EADDRINUSE, "another process answers"),
        ("unix:/x", libc::EACCES, "writable"),
        ("unix:/x", libc::ENOENT, "create it"),
    ];
    for (address, errno, expected) in cases {
        let address: Address = address.parse().expect(address);
        let text = BindError::wrap(&address, io::Error::from_raw_os_error(errno)).to_string();
        assert!(text.contains(&address.to_string()) && text.contains(expected), "{text}");
    }
}

#[test]
fn an_ipv6_wildcard_takes_ipv4_unless_told_otherwise() {
    if TcpListener::bind("[::1]:0").is_err() {
        return; // This system has no IPv6.
    }
    run(async {
        let address = "[::]:0".parse().expect("an address");
        let both = listener(&address);
        let client = TcpStream::connect(("127.0.0.1", ip(both.address()).port())).expect("connected");
        let (stream, peer) = both.accept().await.expect("accepted");
        assert_eq!(peer, Peer::Ip(client.local_addr().expect("an IPv4 address")));
        assert_eq!(stream.into_stream().expect("registered").peer().expect("a peer"), peer);

        let options = ListenOptions { only_v6: true, ..ListenOptions::default() };
        let bound = bind(&address, &options, 1).expect("bound");
        TcpStream::connect(("127.0.0.1", ip(bound[0].address()).port())).expect_err("IPv6 only");
    });
}

#[test]
fn fast_open_and_deferred_accept_are_accepted_by_the_kernel() {
    run(async {
        let options = ListenOptions {
            fast_open: Some(16),
            defer_accept: Some(Duration::from_millis(500)),
            ..ListenOptions::default()
        };
        let listener = listeners(&loopback(), &options, 1).remove(0);
        let mut client = TcpStream::connect(ip(listener.address())).expect("connected");
        client.write_all(b"first bytes").expect("written");
        listener.accept().await.expect("accepted");
    });
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn a_unix_socket_has_its_mode_and_goes_with_its_last_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let address = Address::Unix(path.clone());
    for wanted in [0o600, 0o666] {
        let options = ListenOptions { unix_mode: Some(wanted), ..ListenOptions::default() };
        let mut bound = bind(&address, &options, 2).expect("bound");
        assert_eq!(mode(&path), wanted);
        bound.pop();
        assert!(path.exists());
        bound.pop();
        assert!(!path.exists());
    }
}

#[test]
fn every_descriptor_of_a_unix_socket_accepts() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    run(async {
        let listeners = listeners(&Address::Unix(path.clone()), &ListenOptions::default(), 2);
        for listener in &listeners {
            let _client = UnixStream::connect(&path).expect("connected");
            assert_eq!(listener.accept().await.expect("accepted").1, Peer::Unix);
        }
    });
}

#[test]
fn a_unix_drain_serves_the_queue_and_nobody_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    run(async {
        let mut listeners = listeners(&Address::Unix(path.clone()), &ListenOptions::default(), 2);
        let _early =
            [UnixStream::connect(&path), UnixStream::connect(&path)].map(|stream| stream.expect("connected"));
        listeners[0].refuse_new().expect("nothing to do");
        let third = UnixStream::connect(&path).expect("the other one listens");
        listeners[1].refuse_new().expect("shut down");
        let late = UnixStream::connect(&path).expect_err("nobody listens");
        assert_eq!(late.kind(), io::ErrorKind::ConnectionRefused);
        listeners[0].accept().await.expect("accepted");
        let second = listeners.pop().expect("two listeners");
        assert_eq!(second.drain().expect("a drain").filter(Result::is_ok).count(), 2);
        let idle = tokio::select! {
            biased;
            _ = listeners[0].accept() => false,
            () = tokio::task::yield_now() => true,
        };
        assert!(idle, "an ended queue must wait, not fail");
        drop((third, listeners));
        assert!(!path.exists());
    });
}

#[test]
fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let address = Address::Unix(path.clone());
    drop(UnixListener::bind(&path).expect("bound"));
    assert!(path.exists(), "the standard library leaves the file behind");
    let bound = bind(&address, &ListenOptions::default(), 1).expect("the stale file is replaced");

    let error = refusal(&address, &ListenOptions::default());
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    UnixStream::connect(&path).expect("the live one was left alone");

    // Somebody else takes the path over: it is theirs now.
    fs::remove_file(&path).expect("removed");
    let _other = UnixListener::bind(&path).expect("bound");
    drop(bound);
    assert!(path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("precious");
    fs::write(&path, "data").expect("written");
    let error = refusal(&Address::Unix(path.clone()), &ListenOptions::default());
    assert!(error.to_string().contains("something that is no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("read"), "data");
}

#[test]
fn errors_of_accept_are_told_apart() {
    let cases = [
        (libc::ECONNABORTED, AcceptFault::Connection),
        (libc::EPERM, AcceptFault::Connection),
        (libc::ENETUNREACH, AcceptFault::Connection),
        (libc::EMFILE, AcceptFault::Resource),
        (libc::ENFILE, AcceptFault::Resource),
        (libc::ENOBUFS, AcceptFault::Resource),
        (libc::ENOMEM, AcceptFault::Resource),
        (libc::ENOSPC, AcceptFault::Resource),
        (libc::EBADF, AcceptFault::Fatal),
        (libc::EINVAL, AcceptFault::Fatal),
    ];
    for (errno, expected) in cases {
        let error = io::Error::from_raw_os_error(errno);
        assert_eq!(AcceptFault::of(&error), expected, "{error}");
    }
}
