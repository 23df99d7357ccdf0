//! Those who talk over WebSockets: numbered messages in both directions, whose order and number both sides check.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::endpoint::Counts;
use super::frame::{self, CLOSE, FIN, Heard, Reader};
use super::way::{Broken, Doors, Speech, Up, Way as _, ask};

/// How long a socket may take to open or to close.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many messages a side sent and heard on a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) sent: u64,
    pub(super) heard: u64,
}

/// What the clients of WebSockets count.
#[derive(Default)]
pub(super) struct Talk {
    open: AtomicI64,
    heard: AtomicU64,
    /// By the code that the proxy closed with.
    ends: Mutex<BTreeMap<u16, u64>>,
    /// By path.
    counts: Mutex<HashMap<String, Count>>,
    failures: Mutex<Vec<String>>,
}

impl Talk {
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed).max(0) as usize
    }

    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    pub(super) fn ends(&self) -> BTreeMap<u16, u64> {
        self.ends.lock().unwrap().clone()
    }

    /// Sockets that the proxy closed.
    pub(super) fn closed(&self) -> u64 {
        self.ends().values().sum()
    }

    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }

    /// Messages that were sent and did not come, to the endpoint and from it, by path; only where there are any.
    pub(super) fn lost(&self, other: &Counts) -> BTreeMap<String, (u64, u64)> {
        let (here, there) = (self.counts.lock().unwrap(), other.of_sockets());
        let lost = here.iter().map(|(path, count)| {
            let other = there.get(path).copied().unwrap_or_default();
            (path.clone(), (count.sent - other.heard, other.sent - count.heard))
        });
        lost.filter(|(_, lost)| *lost != (0, 0)).collect()
    }
}

/// Talks until it is to stop; whenever it is sent away, it comes back.
pub(super) async fn talk(
    doors: Rc<Doors>,
    (speech, number, every): (Speech, usize, Duration),
    talk: Arc<Talk>,
    stop: Arc<AtomicBool>,
) {
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let path = format!("/ws/{number}/{turn}");
        turn += 1;
        let mut count = Count::default();
        let outcome = one(&doors, (speech, &path, every), (&talk, &stop), &mut count).await;
        talk.counts.lock().unwrap().insert(path.clone(), count);
        match outcome {
            Ok(Some(code)) => *talk.ends.lock().unwrap().entry(code).or_default() += 1,
            Ok(None) => {}
            Err(why) => talk.failures.lock().unwrap().push(format!("{speech:?} {path}: {why}")),
        }
    }
}

/// One WebSocket; the code that it was closed with, if the proxy did.
async fn one(
    doors: &Doors,
    (speech, path, every): (Speech, &str, Duration),
    (talk, stop): (&Talk, &AtomicBool),
    count: &mut Count,
) -> Result<Option<u16>, Broken> {
    let opening = async {
        let _turn = doors.opening.acquire().await?;
        let mut up = doors.for_socket(speech).await?;
        let response = ask(&mut up, path, true).await?;
        if response.status != 101 {
            return Err(Broken::from(format!("status {}", response.status)));
        }
        up.begin_tunnel();
        Ok(up)
    };
    let mut up = timeout(PATIENCE, opening).await.map_err(|_| "does not open")??;
    talk.open.fetch_add(1, Ordering::Relaxed);
    let ended = converse(&mut up, (path, every), (talk, stop), count).await;
    talk.open.fetch_sub(1, Ordering::Relaxed);
    ended
}

async fn converse(
    up: &mut Up,
    (path, every): (&str, Duration),
    (talk, stop): (&Talk, &AtomicBool),
    count: &mut Count,
) -> Result<Option<u16>, Broken> {
    let (mut reader, mut random) = (Reader::default(), Jitter::of(path));
    let mut next = Instant::now() + random.after(every);
    let mut closing = false;
    loop {
        let heard = tokio::select! {
            heard = timeout(PATIENCE, reader.next(up)) => heard.map_err(|_| "silence")??,
            () = sleep_until(next), if !closing => {
                next += random.after(every);
                if stop.load(Ordering::Relaxed) {
                    closing = true;
                    up.send(&frame::write(FIN | CLOSE, &1000u16.to_be_bytes(), true)).await?;
                } else {
                    up.send(&frame::message(count.sent, true)).await?;
                    count.sent += 1;
                }
                continue;
            }
        };
        match heard {
            Heard::Message(text) => {
                if frame::number(&text) != Some(count.heard) {
                    return Err(format!("{:?} came in place of {}", frame::number(&text), count.heard).into());
                }
                count.heard += 1;
                talk.heard.fetch_add(1, Ordering::Relaxed);
            }
            Heard::Ping => {}
            Heard::Close(_) if closing => return Ok(None),
            Heard::Close(code) => {
                let code = code.unwrap_or(1005);
                up.send(&frame::write(FIN | CLOSE, &code.to_be_bytes(), true)).await?;
                // A stream that was not ended would be reset, and what is on its way with it.
                poll_fn(|cx| up.poll_finish(cx, None)).await?;
                // The proxy ends the connection.
                let ended = async { while !matches!(reader.next(up).await, Ok(Heard::End) | Err(_)) {} };
                timeout(PATIENCE, ended).await.map_err(|_| "closed, and does not end")?;
                return Ok(Some(code));
            }
            Heard::End => return Err("ended without a word".into()),
        }
    }
}

/// Random times: not all at once, and not always the same (xorshift64*).
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn of(name: &str) -> Self {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, fnv) | 1)
    }

    /// Between a half and one and a half of it.
    pub(super) fn after(&mut self, every: Duration) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let part = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 44) as f64 / f64::from(1 << 20);
        every.mul_f64(0.5 + part)
    }
}
