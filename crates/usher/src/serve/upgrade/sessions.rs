//! Sessions of UDP, on their way to the process that takes over.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use usher_engine::udp::PassedSession;
use usher_net::handover::{Channel, MAX_DESCRIPTORS};

use crate::log;
use crate::serve::control::Control;
use crate::serve::event::Event;
use crate::serve::worker::{Order, Passed};

/// How long workers may take to give their sessions away, and the other process to take a message.
const PASS_LIMIT: Duration = Duration::from_secs(2);
/// What a list of sessions begins with.
const SESSIONS: &str = "sessions ";
/// There are no more.
const PASSED: &str = "passed";

/// Sessions on one socket.
pub(in crate::serve) struct PassedSessions {
    /// What the socket's address is called where it is handed over.
    label: String,
    /// Which of the address's sockets.
    number: usize,
    sessions: Vec<PassedSession>,
}

impl Control {
    /// Gives the sessions of listeners that are `taken` to the process that goes on with them. Until it has them, datagrams
    /// wait in the sockets.
    pub(super) fn pass_sessions(&self, channel: &Channel, taken: &[String]) {
        let ids = self.sockets.passed_datagrams(taken);
        if ids.is_empty() {
            return;
        }
        let (answer, answers) = mpsc::channel();
        self.tell_all(|| Order::PassOn(ids.clone(), answer.clone()));
        drop(answer);
        let deadline = Instant::now() + PASS_LIMIT;
        let mut sent = channel.limit(Some(PASS_LIMIT));
        while let Ok(all) = answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            for passed in all {
                let Some(label) = self.sockets.label_of(passed.id) else { continue };
                sent = sent.and_then(|()| send(channel, (&label, passed.number), &passed.sessions));
            }
        }
        sent = sent.and_then(|()| channel.send(PASSED, &[]));
        if let Err(error) = sent {
            log::warn(format_args!("sessions of UDP begin anew, as they cannot be passed on: {error}"));
        }
    }

    /// Goes on with sessions of the process before.
    pub(in crate::serve) fn take_over_sessions(&self, passed: PassedSessions) {
        let PassedSessions { label, number, sessions } = passed;
        let Some(id) = self.sockets.labelled(&label) else { return };
        let worker = self.workers.get(number.checked_rem(self.workers.len()).unwrap_or_default());
        if let Some(worker) = worker {
            worker.tell(Order::TakeOver(Passed { id, number, sessions }));
        }
    }
}

fn send(channel: &Channel, (label, number): (&str, usize), sessions: &[PassedSession]) -> io::Result<()> {
    for some in sessions.chunks(MAX_DESCRIPTORS) {
        let lines: Vec<String> = some.iter().map(line).collect();
        let text = format!("{SESSIONS}{number} {label}\n{}", lines.join("\n"));
        let sockets: Vec<BorrowedFd<'_>> = some.iter().map(|session| session.socket.as_fd()).collect();
        channel.send(&text, &sockets)?;
    }
    Ok(())
}

/// All of a session but its socket.
fn line(session: &PassedSession) -> String {
    let PassedSession { client, local, endpoint, received, sent, age, socket: _ } = session;
    let local = local.map_or_else(|| "-".to_owned(), |local| local.to_string());
    let age = age.as_millis();
    format!("{client} {local} {endpoint} {} {} {} {} {age}", received.0, received.1, sent.0, sent.1)
}

/// What the process before says when it has stopped.
pub(super) fn heard(text: &str, sockets: Vec<OwnedFd>) -> Option<Event> {
    if text == PASSED {
        return Some(Event::Passed);
    }
    let (head, lines) = text.strip_prefix(SESSIONS)?.split_once('\n')?;
    let (number, label) = head.split_once(' ')?;
    let sessions = lines.lines().zip(sockets).filter_map(|(line, socket)| session(line, socket)).collect();
    Some(Event::Sessions(PassedSessions { label: label.to_owned(), number: number.parse().ok()?, sessions }))
}

fn session(line: &str, socket: OwnedFd) -> Option<PassedSession> {
    let mut words = line.split(' ');
    let client: SocketAddr = words.next()?.parse().ok()?;
    let local: Option<IpAddr> = match words.next()? {
        "-" => None,
        local => Some(local.parse().ok()?),
    };
    let endpoint = words.next()?.parse().ok()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let (received, sent) = ((number()?, number()?), (number()?, number()?));
    let age = Duration::from_millis(number()?);
    Some(PassedSession { client, local, endpoint, received, sent, age, socket })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_session_arrives_as_it_was_sent() {
        let (ours, theirs) = Channel::pair().unwrap();
        let theirs = Channel::of(theirs);
        let session = |client: &str, local: Option<&str>| PassedSession {
            client: client.parse().unwrap(),
            local: local.map(|local| local.parse().unwrap()),
            endpoint: "192.0.2.7:53".parse().unwrap(),
            received: (1, 20),
            sent: (3, 400),
            age: Duration::from_millis(5678),
            socket: UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        };
        let all: Vec<PassedSession> = (0..70)
            .map(|number| match number % 2 {
                0 => session(&format!("192.0.2.1:{}", 1000 + number), None),
                _ => session(&format!("[fe80::1%2]:{}", 1000 + number), Some("::ffff:127.0.0.2")),
            })
            .collect();
        send(&ours, ("main dns :53", 3), &all).unwrap();
        ours.send(PASSED, &[]).unwrap();
        let mut came = Vec::new();
        loop {
            let (text, sockets) = theirs.receive().unwrap().unwrap();
            match heard(&text, sockets) {
                Some(Event::Sessions(PassedSessions { label, number, sessions })) => {
                    assert_eq!((&*label, number), ("main dns :53", 3));
                    came.extend(sessions);
                }
                Some(Event::Passed) => break,
                _ => panic!("{text}"),
            }
        }
        assert_eq!(came.len(), all.len());
        for (one, other) in all.iter().zip(&came) {
            assert_eq!(line(one), line(other));
            let local = |session: &PassedSession| {
                UdpSocket::from(session.socket.try_clone().unwrap()).local_addr().unwrap()
            };
            assert_eq!(local(one), local(other), "the same socket");
        }
        for broken in ["sessions", "sessions x", "sessions x y\nz", "else"] {
            assert!(heard(broken, Vec::new()).is_none(), "{broken}");
        }
        let socket = || UdpSocket::bind("127.0.0.1:0").unwrap().into();
        for broken in
            ["", "a b c", "192.0.2.1:1 - 192.0.2.7:53 1 2 3 4", "192.0.2.1:1 x 192.0.2.7:53 1 2 3 4 5"]
        {
            assert!(super::session(broken, socket()).is_none(), "{broken}");
        }
    }
}
