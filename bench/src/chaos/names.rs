//! A name server that knows one name: its addresses, for a second each (RFC 1035 section 4.1).

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The name of the endpoints.
pub(super) const NAME: &str = "app.chaos.test";
/// How long an answer may be remembered, in seconds.
const TTL_S: u32 = 1;
/// How often it is looked whether this shall end.
const TICK: Duration = Duration::from_millis(200);
/// Questions that are longer are none.
const MAX_QUESTION: usize = 512;
const HEADER: usize = 12;
const TYPE_A: u16 = 1;

/// The name server; it ends when dropped.
pub(super) struct Names {
    addresses: Arc<Mutex<Vec<Ipv4Addr>>>,
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Names {
    pub(super) fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53))?;
        socket.set_read_timeout(Some(TICK))?;
        let (addresses, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (known, over) = (addresses.clone(), ended.clone());
        let thread = Some(thread::spawn(move || {
            let mut question = [0; MAX_QUESTION];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, peer)) = socket.recv_from(&mut question) else { continue };
                let known = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(answer) = answer(&question[..length], &known) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        }));
        Ok(Self { addresses, ended, thread })
    }

    /// The name stands for these from now on.
    pub(super) fn answer(&self, addresses: Vec<Ipv4Addr>) {
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to a question; none to what is no question.
fn answer(message: &[u8], addresses: &[Ipv4Addr]) -> Option<Vec<u8>> {
    let (name, end) = question(message)?;
    let kind = u16::from_be_bytes(message.get(end..end + 2)?.try_into().ok()?);
    let asked = message.get(HEADER..end + 4)?;
    let is_known = name.eq_ignore_ascii_case(NAME);
    let records: &[Ipv4Addr] = if is_known && kind == TYPE_A { addresses } else { &[] };
    // A response, authoritative, recursion available if it was desired; "no such name" for all others.
    let (flags, code) = (0x84 | message.get(2)? & 1, if is_known { 0x80 } else { 0x83 });
    let mut answer = vec![message[0], message[1], flags, code, 0, 1];
    answer.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
    answer.extend([0; 4]);
    answer.extend(asked);
    for address in records {
        // The name of the question; A; IN.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1]);
        answer.extend(TTL_S.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// The name of the first question, and where it ends.
fn question(message: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut labels) = (HEADER, Vec::new());
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(std::str::from_utf8(message.get(at..at + length)?).ok()?);
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, kind: u8) -> Vec<u8> {
        let mut message = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend(label.bytes());
        }
        message.extend([0, 0, kind, 0, 1]);
        message
    }

    #[test]
    fn answers_what_it_knows() {
        let addresses = [Ipv4Addr::new(127, 0, 1, 1), Ipv4Addr::new(127, 0, 1, 2)];
        let question = ask("App.Chaos.test", 1);
        let told = answer(&question, &addresses).unwrap();
        assert_eq!(told[..8], [7, 9, 0x85, 0x80, 0, 1, 0, 2]);
        assert_eq!(told[HEADER..question.len()], question[HEADER..]);
        assert_eq!(told.len(), question.len() + 2 * 16);
        assert_eq!(told[told.len() - 4..], [127, 0, 1, 2]);
        // AAAA: nothing, but the name exists.
        assert_eq!(answer(&ask(NAME, 28), &addresses).unwrap()[3..8], [0x80, 0, 1, 0, 0]);
        assert_eq!(answer(&ask("other.test", 1), &addresses).unwrap()[3], 0x83);
        for cut in 0..question.len() - 2 {
            assert_eq!(answer(&question[..cut], &addresses), None, "{cut}");
        }
    }
}
