//! The access log: a line for each request, to files, to standard output or to syslog.
//!
//! A worker formats the line and copies it into a ring that is its own ([`ring`]); one thread per log empties the rings
//! and writes ([`writer`]). So a worker takes no lock and waits for nothing: if its ring is full, the line is dropped
//! and counted. The writer looks into the rings ten times a second, and earlier when a worker has written much.

mod clock;
mod combined;
mod json;
mod line;
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

pub use options::{AccessLogOptions, Destination, LineFormat, LogOptions, OpenError};
pub use template::LineTemplate;

use clock::Clock;
use line::Line;
use output::Output;
use ring::Ring;
use writer::Writer;

/// Lines that a worker may be ahead of the writer (bytes, per worker and log).
const RING_BYTES: usize = 1 << 20;

/// The open access logs: one for each place that lines go to.
pub struct AccessLog {
    logs: Vec<Log>,
}

/// An open access log.
struct Log {
    id: u64,
    format: LineFormat,
    /// The part of requests that is logged, in millionths.
    sample: u32,
    /// Whether queries are logged.
    query: bool,
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
    /// Opens the logs and starts their writers.
    ///
    /// # Errors
    /// A file cannot be opened, or no thread can be started. A syslog daemon that is not there yet is no error.
    pub fn open(options: &AccessLogOptions) -> Result<Self, OpenError> {
        let logs: Result<_, _> = options.logs.iter().map(Log::open).collect();
        Ok(Self { logs: logs? })
    }
}

impl Log {
    fn open(options: &LogOptions) -> Result<Self, OpenError> {
        let output = output::open(&options.destination)?;
        let mut log = Self::start(output, options.format.clone(), RING_BYTES).map_err(OpenError::Thread)?;
        (log.sample, log.query) = (options.sample.millionths(), options.query);
        log.syslog = output::SyslogHeader::of(&options.destination);
        Ok(log)
    }

    fn start(output: Box<dyn Output>, format: LineFormat, ring_bytes: usize) -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (id, writer) = (NEXT.fetch_add(1, Relaxed), Writer::start(output)?);
        Ok(Self { id, format, sample: 1_000_000, query: true, syslog: None, ring_bytes, writer })
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
        let of = Line { view, query: self.query };
        match &self.format {
            LineFormat::Json => json::write(&of, line, &mut scratch.clock),
            LineFormat::Combined => combined::write(&of, line, &mut scratch.clock),
            LineFormat::Template(template) => template.write(&of, line, scratch),
        }
        line.push(b'\n');
    }

    fn record(&self, view: &RecordView<'_>, local: &mut Local) {
        if !self.is_wanted(&view.exchange.record, local) {
            return;
        }
        let mut line = std::mem::take(&mut local.line);
        self.line(view, &mut line, &mut local.scratch);
        if local.ring(self).is_some_and(|ring| ring.push(&line)) {
            self.writer.wake();
        }
        local.line = line;
    }
}

impl Local {
    /// This thread's ring of a log; made when the thread logs for the first time.
    fn ring(&mut self, log: &Log) -> Option<&Ring> {
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
            self.logs.iter().for_each(|log| log.record(view, &mut local));
        });
    }

    fn reopen(&self) {
        self.logs.iter().for_each(|log| log.writer.reopen());
    }

    fn dropped(&self) -> u64 {
        self.logs.iter().map(|log| log.writer.dropped()).sum()
    }

    fn flush(&self) {
        self.logs.iter().for_each(|log| log.writer.flush());
    }
}
