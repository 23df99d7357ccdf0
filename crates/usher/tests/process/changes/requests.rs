//! Those who ask, and count what they get.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use usher_wire::WireError;

use super::way::{Broken, Doors, Speech, Up, Way as _, ask as ask_for};

/// Between two requests of one asker.
const PAUSE: Duration = Duration::from_millis(8);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests on one connection of HTTP/2, at once and in all.
const AT_ONCE: usize = 4;

/// Ways to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Kept(Speech),
    Anew(Speech),
    H2,
}

pub(super) const KINDS: [Kind; 5] = [
    Kind::Kept(Speech::Plain),
    Kind::Anew(Speech::Plain),
    Kind::Kept(Speech::Tls),
    Kind::Anew(Speech::Tls),
    Kind::H2,
];
pub(super) const NAMES: [&str; 5] = [
    "HTTP/1.1 kept",
    "HTTP/1.1, each on a new connection",
    "HTTP/1.1 over TLS, kept",
    "HTTP/1.1 over TLS, each on a new connection",
    "HTTP/2",
];

/// What came of it.
#[derive(Default)]
pub(super) struct Asked {
    served: [AtomicU64; 5],
    again: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Asked {
    pub(super) fn counts(&self) -> [u64; 5] {
        self.served.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Requests that were sent again.
    pub(super) fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }

    fn count(&self, kind: Kind, outcome: Result<(), Broken>) {
        let index = KINDS.iter().position(|one| *one == kind).unwrap();
        match outcome {
            Ok(()) => {
                self.served[index].fetch_add(1, Ordering::Relaxed);
            }
            Err(why) => self.failures.lock().unwrap().push(format!("{}: {why}", NAMES[index])),
        }
    }
}

/// Asks until it is to stop. A client goes on with a new connection where it is told to, and never because it must.
pub(super) async fn ask(doors: Rc<Doors>, kind: Kind, asked: Arc<Asked>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let outcome = match kind {
            Kind::Kept(speech) => kept(&doors, (kind, speech), &asked, &stop).await,
            Kind::Anew(speech) => once(&doors, speech).await,
            Kind::H2 => over_h2(&doors, &asked, &stop).await,
        };
        if matches!(kind, Kind::Anew(_)) || outcome.is_err() {
            asked.count(kind, outcome);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks on one connection; true if it may be used again.
async fn get(up: &mut Up) -> Result<bool, Broken> {
    let answered = async {
        let response = ask_for(up, "/", false).await?;
        if response.status != 200 {
            return Err(format!("status {}", response.status).into());
        }
        let goes_on = response.fields.get_named(b"Connection").is_none_or(|value| value != b"close");
        let mut body = Vec::new();
        loop {
            let piece = up.receive().await?;
            if piece.is_empty() {
                break;
            }
            body.extend(piece);
        }
        if body != b"hello" {
            return Err(format!("{} bytes of another body", body.len()).into());
        }
        Ok(goes_on)
    };
    tokio::time::timeout(PATIENCE, answered).await.map_err(|_| "no answer in time")?
}

async fn once(doors: &Doors, speech: Speech) -> Result<(), Broken> {
    get(&mut doors.connect(speech).await?).await.map(|_| ())
}

async fn kept(
    doors: &Doors,
    (kind, speech): (Kind, Speech),
    asked: &Asked,
    stop: &AtomicBool,
) -> Result<(), Broken> {
    let (mut up, mut is_fresh) = (doors.connect(speech).await?, true);
    while !stop.load(Ordering::Relaxed) {
        let goes_on = match get(&mut up).await {
            // It was closed while this client, which is slow where many others have the processor, was about to ask
            // (RFC 9112 section 9.3.1): every client sends such a request again.
            Err(error) if !is_fresh && matches!(error.downcast_ref(), Some(WireError::Closed)) => {
                asked.again.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            outcome => outcome?,
        };
        is_fresh = false;
        asked.count(kind, Ok(()));
        if !goes_on {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn over_h2(doors: &Doors, asked: &Asked, stop: &AtomicBool) -> Result<(), Broken> {
    let client = Rc::new(doors.connect_h2().await?);
    while !stop.load(Ordering::Relaxed) {
        // None once the server has said that it goes away.
        let asking = (0..AT_ONCE).map(|_| {
            let client = client.clone();
            tokio::task::spawn_local(async move {
                let Some(stream) = client.open() else { return Ok(false) };
                get(&mut (Box::new(stream) as Up)).await.map_err(|error| error.to_string())
            })
        });
        for one in asking.collect::<Vec<_>>() {
            if !one.await?? {
                client.close();
                return Ok(());
            }
            asked.count(Kind::H2, Ok(()));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
