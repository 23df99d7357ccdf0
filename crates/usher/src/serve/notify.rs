//! What systemd is told (sd_notify(3)), and its watchdog.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::event::Event;
use crate::log;

/// How long systemd may take to read what it must not miss.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often within the watchdog's time it is fed.
const FEEDINGS: u32 = 3;

/// The way to systemd, if this process is a service of `Type=notify`.
#[derive(Clone, Default)]
pub(super) struct Notify {
    socket: Option<Arc<UnixDatagram>>,
    /// Another process is the service's main process now.
    is_over: Arc<AtomicBool>,
}

impl Notify {
    /// As `NOTIFY_SOCKET` says: a path, or a name behind `@`.
    pub(super) fn find() -> Self {
        let Some(name) = env::var("NOTIFY_SOCKET").ok().filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&name),
        };
        let connected = address.and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => Self { socket: Some(Arc::new(socket)), is_over: Arc::default() },
            Err(error) => {
                log::warn(format_args!("cannot reach NOTIFY_SOCKET `{name}`: {error}"));
                Self::default()
            }
        }
    }

    /// Requests are served, as `status` says.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nMAINPID={}\nSTATUS={status}", std::process::id()));
    }

    /// The config is read again; [`ready`](Self::ready) ends it.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the config again"));
    }

    /// The process ends.
    pub(super) fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={status}"));
    }

    /// Another process is the main one; from now on it speaks.
    pub(super) fn hand_over(&self, process: u32) {
        let text = format!("MAINPID={process}");
        // Were this one lost, systemd would end the new process together with this one: it is waited for.
        if let Some(socket) = &self.socket
            && socket.send(text.as_bytes()).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        {
            let _ = socket.set_write_timeout(Some(PATIENCE));
            let _ = socket.set_nonblocking(false);
            if let Err(error) = socket.send(text.as_bytes()) {
                log::warn(format_args!("systemd was not told that {process} is the main process: {error}"));
            }
            let _ = socket.set_nonblocking(true);
        }
        self.is_over.store(true, Ordering::Release);
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = self.socket.as_ref().filter(|_| !self.is_over.load(Ordering::Acquire)) {
            // Nobody is left to be told if that fails.
            let _ = socket.send(text.as_bytes());
        }
    }

    /// Feeds the watchdog, if systemd has one for this process: each time only if the control thread and all `workers`
    /// answer. It ends with the channel of the events.
    pub(super) fn watch_over(&self, workers: usize, events: mpsc::Sender<Event>) {
        let Some(time) = watchdog() else { return };
        let notify = self.clone();
        let feed = move || {
            while !notify.is_over.load(Ordering::Acquire) && notify.feed(time / FEEDINGS, workers, &events) {}
        };
        if let Err(error) = thread::Builder::new().name("watchdog".to_owned()).spawn(feed) {
            log::warn(format_args!("cannot feed systemd's watchdog: {error}"));
        }
    }

    /// Asks everybody and feeds the watchdog if all answer in time; then waits until that time is over. False when nobody
    /// can be asked any more.
    fn feed(&self, time: Duration, workers: usize, events: &mpsc::Sender<Event>) -> bool {
        let next = Instant::now() + time;
        let (answer, answered) = mpsc::channel();
        if events.send(Event::Ping(answer)).is_err() {
            return false;
        }
        let left = || next.saturating_duration_since(Instant::now());
        if (0..=workers).all(|_| answered.recv_timeout(left()).is_ok()) {
            self.tell("WATCHDOG=1");
        } else {
            log::warn(format_args!(
                "a thread does not answer within {time:?}: systemd's watchdog is not fed"
            ));
        }
        thread::sleep(left());
        true
    }
}

/// The watchdog's time, if it is meant for this process.
fn watchdog() -> Option<Duration> {
    let is_ours = env::var("WATCHDOG_PID").map_or(true, |pid| pid.parse() == Ok(std::process::id()));
    let micros: u64 = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    Some(Duration::from_micros(micros)).filter(|time| is_ours && !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for threads to answer, short enough to wait for in vain.
    const TIME: Duration = Duration::from_millis(200);

    #[test]
    fn the_new_main_process_is_told_also_when_systemd_is_busy() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let notify = Notify { socket: Some(Arc::new(ours)), is_over: Arc::default() };
        let mut told = 0;
        while notify.socket.as_ref().unwrap().send(b"STATUS=busy").is_ok() {
            told += 1;
        }
        let read = thread::spawn(move || {
            let mut buffer = [0; 64];
            (0..told).for_each(|_| assert_ne!(theirs.recv(&mut buffer).unwrap(), 0));
            let length = theirs.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        });
        notify.hand_over(7);
        drop(notify);
        assert_eq!(read.join().unwrap(), "MAINPID=7");
    }

    #[test]
    fn the_watchdog_is_fed_only_when_everybody_answers() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let notify = Notify { socket: Some(Arc::new(ours)), is_over: Arc::default() };
        let fed = || {
            let mut buffer = [0; 64];
            theirs.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == b"WATCHDOG=1")
        };
        // Two workers and the control thread.
        for (answers, is_fed) in [(3, true), (2, false), (0, false), (3, true)] {
            let (events, heard) = mpsc::channel();
            let answering = thread::spawn(move || {
                let Ok(Event::Ping(answer)) = heard.recv() else { panic!("a ping") };
                (0..answers).for_each(|_| answer.send(()).unwrap());
                heard
            });
            assert!(notify.feed(TIME, 2, &events));
            assert_eq!(fed(), is_fed, "{answers} answers");
            drop(answering.join().unwrap());
            assert!(!notify.feed(TIME, 2, &events), "nobody is left to be asked");
        }
        notify.hand_over(7);
        let mut buffer = [0; 64];
        let length = theirs.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"MAINPID=7");
        notify.ready("not the main process any more");
        assert!(theirs.recv(&mut buffer).is_err());
    }
}
