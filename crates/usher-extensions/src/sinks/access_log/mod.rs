//! The access log: a line for each request, to a file, to standard output or to syslog.
//!
//! A worker formats the line and copies it into a ring that is its own ([`ring`]); one thread per log empties the rings
//! and writes ([`writer`]). So a worker takes no lock and waits for nothing: if its ring is full, the line is dropped
//! and counted. The writer looks into the rings ten times a second, and earlier when a worker has written much.

mod clock;
mod combined;
mod json;
mod options;
mod output;
mod ring;
mod template;
mod text;
mod writer;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use usher_api::{AccessSink, Record, RecordView};

pub use options::{AccessLogOptions, Destination, LineFormat, OpenError};
pub use template::LineTemplate;

use clock::Clock;
use output::Output;
use ring::Ring;
use writer::Writer;

/// Lines that a worker may be ahead of the writer (bytes, per worker and log).
const RING_BYTES: usize = 1 << 20;

/// An open access log.
pub struct AccessLog {
    id: u64,
    format: LineFormat,
    /// The part of requests that is logged, in millionths.
    sample: u32,
    /// What stands before each line and after its time, if it goes to syslog.
    syslog: Option<output::SyslogHeader>,
    ring_bytes: usize,
    writer: Writer,
}

/// What each worker thread keeps for all logs.
#[derive(Default)]
struct Local {
    line: Vec<u8>,
    scratch: Scratch,
    rings: Vec<(u64, Arc<Ring>)>,
    random: u64,
}

/// What formats need beside the line.
#[derive(Default)]
struct Scratch {
    clock: Clock,
    text: String,
}

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::default();
}

impl AccessLog {
    /// Opens the log and starts its writer.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread can be started. A syslog daemon that is not there yet is no error.
    pub fn open(options: &AccessLogOptions) -> Result<Self, OpenError> {
        let output = output::open(&options.destination)?;
        let mut log = Self::start(output, options.format.clone(), RING_BYTES).map_err(OpenError::Thread)?;
        log.sample = options.sample.millionths();
        log.syslog = output::SyslogHeader::of(&options.destination);
        Ok(log)
    }

    fn start(output: Box<dyn Output>, format: LineFormat, ring_bytes: usize) -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (id, writer) = (NEXT.fetch_add(1, Relaxed), Writer::start(output)?);
        Ok(Self { id, format, sample: 1_000_000, syslog: None, ring_bytes, writer })
    }

    fn is_wanted(&self, record: &Record, local: &mut Local) -> bool {
        let failed = !record.reason.is_empty() && (record.status == 0 || record.status >= 400);
        self.sample >= 1_000_000 || failed || local.next_random() % 1_000_000 < u64::from(self.sample)
    }

    fn line(&self, view: &RecordView<'_>, line: &mut Vec<u8>, scratch: &mut Scratch) {
        line.clear();
        if let Some(header) = &self.syslog {
            header.write(view, line, &mut scratch.clock);
        }
        match &self.format {
            LineFormat::Json => json::write(view, line, &mut scratch.clock),
            LineFormat::Combined => combined::write(view, line, &mut scratch.clock),
            LineFormat::Template(template) => template.write(view, line, scratch),
        }
        line.push(b'\n');
    }
}

impl Local {
    /// This thread's ring of a log; made when the thread logs for the first time.
    fn ring(&mut self, log: &AccessLog) -> Option<&Ring> {
        if let Some(at) = self.rings.iter().position(|(id, _)| *id == log.id) {
            return self.rings.get(at).map(|(_, ring)| &**ring);
        }
        self.rings.retain(|(_, ring)| Arc::strong_count(ring) > 1);
        let ring = Arc::new(Ring::new(log.ring_bytes));
        log.writer.add(ring.clone());
        self.rings.push((log.id, ring));
        self.rings.last().map(|(_, ring)| &**ring)
    }

    /// Xorshift (Marsaglia 2003): which requests are in a sample need not be unpredictable.
    fn next_random(&mut self) -> u64 {
        self.random = if self.random == 0 { 0x9e37_79b9_7f4a_7c15 } else { self.random };
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl AccessSink for AccessLog {
    fn record(&self, view: &RecordView<'_>) {
        // A thread that is being taken down logs nothing any more.
        let _ = LOCAL.try_with(|local| {
            let Ok(mut local) = local.try_borrow_mut() else { return };
            let local = &mut *local;
            if !self.is_wanted(&view.exchange.record, local) {
                return;
            }
            let mut line = std::mem::take(&mut local.line);
            self.line(view, &mut line, &mut local.scratch);
            if local.ring(self).is_some_and(|ring| ring.push(&line)) {
                self.writer.wake();
            }
            local.line = line;
        });
    }

    fn reopen(&self) {
        self.writer.reopen();
    }

    fn dropped(&self) -> u64 {
        self.writer.dropped()
    }

    fn flush(&self) {
        self.writer.flush();
    }
}
