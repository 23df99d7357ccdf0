//! Step 2, secure: what a client says first, and the TLS handshake. Connections that are not ours to decrypt leave here.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use usher_api::metrics::Refusal;
use usher_net::tls::{self, Peek, Secured, TlsStream};
use usher_net::{Dialer, Transport};
use usher_wire::turns::{self, Turn};

use super::{Begun, Guest, service};
use crate::deadline::{Deadline, Pace, Wait};
use crate::snapshot::{ListenerSpec, Snapshot, TlsSpec, Trust};
use crate::steps::record;

/// Bytes that are read at once while a client says hello: most say it in less.
const HELLO: usize = 2048;
/// Who has stood in the line of handshakes for long has been waited for this long when its turn comes: before it counts as slow
/// there is time for its answer to go there and back.
const STOOD: Duration = Duration::from_millis(300);

/// A handshake under way; it makes room when dropped.
struct Place(Arc<Trust>);

impl Place {
    /// None if there are as many as there may be.
    fn take(trust: &Arc<Trust>, limit: u32) -> Option<Self> {
        let count: &AtomicU32 = &trust.handshakes;
        let before = count.fetch_add(1, Ordering::Relaxed);
        let place = Self(trust.clone());
        (before < limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a client's first bytes lead to.
enum First<T> {
    /// A connection that is encrypted to us.
    Ours(Box<TlsStream<T>>),
    /// One that is passed on as it is: the stream, what was read, and the host that the client names.
    Past(T, Vec<u8>, String),
    /// No TLS at all.
    Plain(T, Vec<u8>),
    /// Not a byte came, as when somebody looks whether the port is open.
    Silent,
    /// It ended, or was ended; a word for metrics and one for the log.
    Failed(&'static str, String),
}

/// Makes the handshake; none if the connection has ended, or was served otherwise.
pub(super) async fn run<D: Dialer, T: Transport>(
    guest: &mut Guest<D>,
    stream: T,
    ahead: Vec<u8>,
) -> Option<Begun<T>> {
    let snapshot = guest.worker.local().shared.clone();
    let listener = guest.door.listener.clone();
    let Some(place) = Place::take(&snapshot.trust, listener.max_handshakes) else {
        guest.worker.metrics.connections.refused(Refusal::HandshakeLimit);
        return None;
    };
    let local = guest.door.local.map(|local| local.ip());
    let beginning = begin(&snapshot, (&listener, &guest.deadline), (stream, ahead), local);
    let first =
        guest.deadline.limit_client(listener.timeouts.handshake, guest.deadline.pace(), beginning).await;
    drop(place);
    match first {
        Ok(First::Ours(stream)) => Some(ours(guest, stream)),
        Ok(First::Past(stream, ahead, name)) => {
            guest.worker.metrics.handshakes.passed_through.increment();
            Some(Begun::Past(stream, ahead, name))
        }
        Ok(First::Plain(stream, ahead)) => {
            guest.worker.metrics.handshakes.failed.of("not_tls").increment();
            if listener.tcp.is_none() {
                service::refuse_plain(guest, Secured::Plain(stream), &ahead).await;
            }
            None
        }
        Ok(First::Silent) => {
            guest.worker.metrics.handshakes.failed.of("silent").increment();
            None
        }
        Ok(First::Failed(reason, text)) => failed(guest, reason, &text),
        Err(_) => failed(guest, "timeout", "the client did not complete the handshake in time"),
    }
}

fn ours<D: Dialer, T: Transport>(guest: &mut Guest<D>, stream: Box<TlsStream<T>>) -> Begun<T> {
    let session = stream.session().clone();
    let metrics = &guest.worker.metrics.handshakes;
    metrics.done.increment();
    if session.resumed {
        metrics.resumed.increment();
    }
    let is_h2 = session.alpn.as_deref() == Some(b"h2");
    guest.door.session = Some(session);
    let stream = Secured::Tls(stream);
    if is_h2 { Begun::Http2(stream, Vec::new()) } else { Begun::Http1(stream, Vec::new()) }
}

fn failed<D: Dialer, T>(guest: &Guest<D>, reason: &'static str, text: &str) -> Option<Begun<T>> {
    guest.worker.metrics.handshakes.failed.of(reason).increment();
    record::connection(&guest.worker, &guest.door, ("tls_handshake", text));
    None
}

/// Reads what the client says first, and answers it.
async fn begin<T: Transport>(
    snapshot: &Snapshot,
    (listener, deadline): (&ListenerSpec, &Deadline),
    (mut stream, mut ahead): (T, Vec<u8>),
    local: Option<IpAddr>,
) -> First<T> {
    let Some(spec) = &listener.tls else { return First::Plain(stream, ahead) };
    let pace = deadline.pace();
    loop {
        match tls::peek(&ahead) {
            Peek::NeedMore => {}
            Peek::NotTls => return First::Plain(stream, ahead),
            // The handshake says what is wrong, to the client and to us.
            Peek::Malformed(_) => break,
            Peek::Hello(hello) => {
                // Some clients write the dot of the root, which is none of the name's (RFC 6066 section 3).
                let name = hello.server_name().unwrap_or_default().trim_end_matches('.');
                if spec.passthrough.iter().any(|rule| rule.takes(name)) {
                    return First::Past(stream, ahead, name.to_owned());
                }
                on_demand(&snapshot.trust, deadline, name).await;
                break;
            }
        }
        match read(&mut stream, &mut ahead).await {
            Ok(0) if ahead.is_empty() => return First::Silent,
            Ok(0) => return First::Failed("disconnected", "ended within the first message".to_owned()),
            Ok(_) => {}
            Err(error) => return First::Failed("io", error.to_string()),
        }
    }
    shake_hands((spec, listener), (deadline, pace.moved(ahead.len() as u64)), (stream, ahead), local).await
}

async fn shake_hands<T: Transport>(
    (spec, listener): (&TlsSpec, &ListenerSpec),
    (deadline, pace): (&Deadline, Pace),
    (stream, ahead): (T, Vec<u8>),
    local: Option<IpAddr>,
) -> First<T> {
    wait_for_turn(deadline, pace, listener.timeouts.handshake).await;
    match tls::accept_at(stream, ahead, &spec.acceptor, local).await {
        Ok(stream) => First::Ours(Box::new(stream)),
        Err(error) => First::Failed(error.kind().as_str(), error.text().to_owned()),
    }
}

/// Waits until others have had their turn: with hundreds of clients who say hello at once, whoever asks for a small thing does
/// not stand behind all of them. It takes nothing of the client's `patience`; but while memory is short, who stands in line is
/// ended like those who are slow, before the handshake costs anything.
async fn wait_for_turn(deadline: &Deadline, pace: Pace, patience: Duration) {
    let mut turn = Turn::of_handshake();
    let anew = |pace: Pace| {
        deadline.set(patience);
        deadline.waits(pace.wait());
    };
    let mut has_waited = false;
    poll_fn(|cx| {
        let polled = turn.poll(cx);
        if polled.is_pending() && !deadline.was_cut() {
            has_waited = true;
            anew(pace);
        }
        polled
    })
    .await;
    if has_waited && !deadline.was_cut() {
        anew(pace.since_at_most(STOOD, deadline.pace()));
    }
    turns::sign();
}

/// Lets whoever obtains certificates get one for a name that has none, which is not the client's doing.
async fn on_demand(trust: &Trust, deadline: &Deadline, name: &str) {
    let Some(source) = trust.on_demand.get() else { return };
    if !name.is_empty()
        && trust.certificates.find(name).is_none()
        && let Some(wanted) = source.want(name)
    {
        deadline.waits(Wait::Other);
        wanted.await;
        deadline.waits(deadline.pace().wait());
    }
}

async fn read<T: Transport>(stream: &mut T, ahead: &mut Vec<u8>) -> std::io::Result<usize> {
    let before = ahead.len();
    ahead.resize(before + HELLO, 0);
    let read = poll_fn(|cx| stream.poll_read(cx, &mut ahead[before..])).await;
    ahead.truncate(before + *read.as_ref().unwrap_or(&0));
    read
}

#[cfg(test)]
mod tests;
