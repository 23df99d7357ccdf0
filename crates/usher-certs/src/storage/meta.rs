//! What is remembered of a certificate beside itself: attempts, limits, the order that is under way.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::time::{from_unix, unix_seconds};

/// How many moments are remembered for a limit.
const MAX_MOMENTS: usize = 20;
/// How many DNS records are remembered that are to be removed.
pub(super) const MAX_RECORDS: usize = 100;
/// The last second of the year 9999: what is later was not written by us, and could not be reckoned with.
const LAST_SECOND: i64 = 253_402_300_799;
/// Longer than any wait that is ever asked for: what is further ahead was written while the clock was wrong.
const LONGEST_WAIT: Duration = Duration::from_secs(8 * 24 * 3600);

/// When a CA suggests to renew (RFC 9773).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    /// The moment that was chosen in it.
    pub(crate) chosen: SystemTime,
    /// When to ask again.
    pub(crate) check: SystemTime,
}

/// An order that was placed and is not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingOrder {
    pub(crate) url: String,
    /// The directory of its CA.
    pub(crate) authority: String,
    pub(crate) names: Vec<String>,
}

/// What is remembered of a certificate. Times have the precision of a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Meta {
    /// The names that were asked for.
    pub(crate) names: Vec<String>,
    /// The directory of the CA that signed it, or `internal`.
    pub(crate) authority: String,
    pub(crate) key_type: String,
    pub(crate) on_demand: bool,
    /// Attempts that failed since the last success.
    pub(crate) failures: u32,
    pub(crate) next_attempt: Option<SystemTime>,
    pub(crate) last_error: Option<String>,
    pub(crate) last_error_at: Option<SystemTime>,
    /// Until when not to ask a CA, by its directory.
    pub(crate) blocked: BTreeMap<String, SystemTime>,
    /// When certificates were issued, the last ones.
    pub(crate) issued: Vec<SystemTime>,
    /// When validations failed, the last ones.
    pub(crate) failed_validations: Vec<SystemTime>,
    /// The challenge that worked last.
    pub(crate) challenge: Option<String>,
    pub(crate) order: Option<PendingOrder>,
    /// DNS records that were written and are to be removed: name and value.
    pub(crate) records: Vec<(String, String)>,
    pub(crate) window: Option<Window>,
}

/// Adds a moment, and forgets the oldest ones.
pub(crate) fn remember(moments: &mut Vec<SystemTime>, now: SystemTime) {
    moments.push(now);
    let surplus = moments.len().saturating_sub(MAX_MOMENTS);
    moments.drain(..surplus);
}

/// Whether a moment is within `time` before `now`. One that is a little ahead is too: clocks are set back. One that is far
/// ahead is none: it would count for years.
pub(crate) fn is_recent(at: SystemTime, now: SystemTime, time: Duration) -> bool {
    match now.duration_since(at) {
        Ok(age) => age < time,
        Err(ahead) => ahead.duration() <= time,
    }
}

/// How many of these moments are within `time` before `now`.
pub(crate) fn count_since(moments: &[SystemTime], now: SystemTime, time: Duration) -> usize {
    moments.iter().filter(|at| is_recent(**at, now, time)).count()
}

impl Meta {
    /// Forgets waits that a clock that was ahead has left: nobody asked for them, and they would last for years.
    pub(crate) fn forget_future(&mut self, now: SystemTime) {
        let end = now + LONGEST_WAIT;
        self.next_attempt = self.next_attempt.filter(|at| *at <= end);
        self.blocked.retain(|_, until| *until <= end);
        if let Some(window) = &mut self.window {
            window.check = window.check.min(end);
        }
    }

    /// Notes records that are about to be written: so they are not left over any more, and the last to be forgotten.
    pub(crate) fn note_records(&mut self, records: &[(String, String)]) {
        self.records.retain(|one| !records.contains(one));
        self.records.extend_from_slice(records);
        let surplus = self.records.len().saturating_sub(MAX_RECORDS);
        self.records.drain(..surplus);
    }

    pub(crate) fn to_json(&self) -> Value {
        let moments = |list: &[SystemTime]| list.iter().map(|at| unix_seconds(*at)).collect::<Vec<_>>();
        let blocked: BTreeMap<&String, i64> =
            self.blocked.iter().map(|(url, at)| (url, unix_seconds(*at))).collect();
        json!({
            "version": 1,
            "names": self.names,
            "authority": self.authority,
            "key_type": self.key_type,
            "on_demand": self.on_demand,
            "failures": self.failures,
            "next_attempt": self.next_attempt.map(unix_seconds),
            "last_error": self.last_error,
            "last_error_at": self.last_error_at.map(unix_seconds),
            "blocked": blocked,
            "issued": moments(&self.issued),
            "failed_validations": moments(&self.failed_validations),
            "challenge": self.challenge,
            "order": self.order.as_ref().map(|order| json!({
                "url": order.url,
                "authority": order.authority,
                "names": order.names,
            })),
            "records": self.records,
            "window": self.window.as_ref().map(|window| json!({
                "start": unix_seconds(window.start),
                "end": unix_seconds(window.end),
                "chosen": unix_seconds(window.chosen),
                "check": unix_seconds(window.check),
            })),
        })
    }

    /// Reads it leniently: what is missing or odd is as if nothing were known. None if it is no JSON object at all.
    pub(crate) fn from_json(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        value.as_object()?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let blocked = value["blocked"].as_object().into_iter().flatten();
        Some(Self {
            names: strings(&value["names"]),
            authority: text("authority"),
            key_type: text("key_type"),
            on_demand: value["on_demand"].as_bool().unwrap_or_default(),
            failures: value["failures"]
                .as_u64()
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or_default(),
            next_attempt: moment(&value["next_attempt"]),
            last_error: value["last_error"].as_str().map(str::to_owned),
            last_error_at: moment(&value["last_error_at"]),
            blocked: blocked.filter_map(|(url, at)| Some((url.clone(), moment(at)?))).collect(),
            issued: moments(&value["issued"]),
            failed_validations: moments(&value["failed_validations"]),
            challenge: value["challenge"].as_str().map(str::to_owned),
            order: read_order(&value["order"]),
            records: read_records(&value["records"]),
            window: read_window(&value["window"]),
        })
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn moment(value: &Value) -> Option<SystemTime> {
    from_unix(value.as_i64().filter(|seconds| (0..=LAST_SECOND).contains(seconds))?)
}

fn moments(value: &Value) -> Vec<SystemTime> {
    value.as_array().into_iter().flatten().filter_map(moment).take(MAX_MOMENTS).collect()
}

fn read_order(value: &Value) -> Option<PendingOrder> {
    Some(PendingOrder {
        url: value["url"].as_str()?.to_owned(),
        authority: value["authority"].as_str()?.to_owned(),
        names: strings(&value["names"]),
    })
}

fn read_records(value: &Value) -> Vec<(String, String)> {
    let records = value.as_array().into_iter().flatten().filter_map(|record| {
        Some((record.get(0)?.as_str()?.to_owned(), record.get(1)?.as_str()?.to_owned()))
    });
    records.take(MAX_RECORDS).collect()
}

fn read_window(value: &Value) -> Option<Window> {
    Some(Window {
        start: moment(&value["start"])?,
        end: moment(&value["end"])?,
        chosen: moment(&value["chosen"])?,
        check: moment(&value["check"])?,
    })
}
