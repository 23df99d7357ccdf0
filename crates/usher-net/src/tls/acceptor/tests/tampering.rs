//! Somebody in between.

use std::future::Future;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

use super::super::super::HandshakeError;
use super::*;

type From = ReadHalf<DuplexStream>;
type To = WriteHalf<DuplexStream>;

/// Runs a future until it is done, or until nothing can happen any more: a length that was made longer lets its reader
/// wait for bytes that nobody sends, and only the time limit of a listener, which is not asked here, ends that. The
/// clock moves when all are waiting, and at once.
fn run_while_it_moves<T>(future: impl Future<Output = T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let limited = async { tokio::time::timeout(Duration::from_mins(1), future).await.ok() };
    runtime.expect("a runtime").block_on(limited)
}

/// Passes bytes on, in pieces of `size`, of which the one at `at` is changed by `change`; `cut` ends it there.
async fn pass(mut from: From, mut to: To, size: usize, (at, change, cut): (usize, u8, bool)) {
    let (mut passed, mut buf) = (0, vec![0; size]);
    while let Ok(len @ 1..) = from.read(&mut buf).await {
        if let Some(byte) = at.checked_sub(passed).and_then(|at| buf[..len].get_mut(at)) {
            *byte ^= change;
            if cut {
                break;
            }
        }
        passed += len;
        if to.write_all(&buf[..len]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whoever_changes_a_handshake_gets_nothing_but_its_end(
        at in 0..2500_usize,
        change in 1..=255_u8,
        cut: bool,
        to_server: bool,
        tls12: bool,
        tickets: bool,
        size in 1..3000_usize,
    ) {
        let authority = Authority::new("root");
        let mut options = serving(vec![authority.certificate(&["example.com"])]);
        options.session_tickets = tickets;
        options.client_auth =
            Some(ClientAuth { roots: authority.pem.clone().into_bytes(), required: true, crls: vec![] });
        let acceptor = acceptor(options);
        let cipher_suites = if tls12 { vec!["ECDHE-ECDSA-AES128-GCM-SHA256".to_owned()] } else { vec![] };
        let client = Some(authority.certificate(&["client.example"]));
        let connector = connector(ConnectorOptions { cipher_suites, client, ..authority.connector() });
        let mut ends = (None, None);
        run_while_it_moves(async {
            let (left, inner_left) = duplex(1 << 16);
            let (right, inner_right) = duplex(1 << 16);
            let (from_left, to_left) = split(inner_left);
            let (from_right, to_right) = split(inner_right);
            let no_change = (usize::MAX, 0, false);
            let (up, down) =
                if to_server { ((at, change, cut), no_change) } else { (no_change, (at, change, cut)) };
            let server = async {
                let mut stream = accept(MemoryStream::from(left), Vec::new(), &acceptor).await?;
                write_all(&mut stream, b"!").await?;
                shutdown(&mut stream).await?;
                Ok::<_, HandshakeError>(read_all(&mut stream).await?)
            };
            let client = async {
                let mut stream = connector.connect(MemoryStream::from(right), "example.com").await?;
                write_all(&mut stream, b"?").await?;
                shutdown(&mut stream).await?;
                Ok::<_, HandshakeError>(read_all(&mut stream).await?)
            };
            let (server_end, client_end) = (&mut ends.0, &mut ends.1);
            let both = async {
                tokio::join!(
                    async { *server_end = Some(server.await) },
                    async { *client_end = Some(client.await) },
                )
            };
            let passing = async {
                tokio::join!(
                    pass(from_left, to_right, size, down),
                    pass(from_right, to_left, size, up)
                )
            };
            tokio::join!(both, passing)
        });
        // Whoever heard a word heard the right one.
        if let (Some(Ok(word)), _) = &ends {
            prop_assert_eq!(word, b"?");
        }
        if let (_, Some(Ok(word))) = &ends {
            prop_assert_eq!(word, b"!");
        }
    }
}
