//! What is known of each name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::question::{Found, Question, Record};
use crate::log;

/// The last answers. Read by the control thread, written by the thread that asks.
#[derive(Clone, Default)]
pub(crate) struct Table(Arc<Mutex<HashMap<Question, Answer>>>);

#[derive(Default)]
struct Answer {
    /// The last good answer, in order.
    found: Vec<Found>,
    /// Whether the last try failed, or one family of addresses was missing from it.
    failed: bool,
    /// How many did.
    failures: u64,
}

impl Answer {
    /// Takes what was found; true if that is something else.
    fn take(&mut self, mut found: Vec<Found>) -> bool {
        found.sort_unstable();
        found.dedup();
        let changed = self.found != found;
        self.found = found;
        changed
    }
}

impl Table {
    /// The last good answer.
    pub(super) fn found(&self, question: &Question) -> Vec<Found> {
        self.lock().get(question).map(|answer| answer.found.clone()).unwrap_or_default()
    }

    /// Whether there was ever an answer.
    pub(super) fn knows(&self, question: &Question) -> bool {
        self.lock().contains_key(question)
    }

    /// Notes what was found, if anything, and why that is not all, if it is not; true if the answer is another one now.
    /// Whether there is one is logged once.
    pub(super) fn note(&self, question: &Question, found: Option<Vec<Found>>, fault: Option<String>) -> bool {
        let mut table = self.lock();
        let answer = table.entry(question.clone()).or_default();
        let again = if answer.found.is_empty() { "now" } else { "again" };
        let changed = found.is_some_and(|found| answer.take(found));
        match fault {
            None if std::mem::take(&mut answer.failed) => {
                log::info(format_args!("`{question}` resolves {again}"));
            }
            None => {}
            Some(reason) => {
                answer.failures += 1;
                if !std::mem::replace(&mut answer.failed, true) {
                    let consequence = match answer.found.is_empty() {
                        true => "clusters have no endpoint from it until it resolves".to_owned(),
                        false => format!("going on with {}", list(&answer.found)),
                    };
                    log::warn(format_args!("cannot resolve `{question}`: {reason}; {consequence}"));
                }
            }
        }
        changed
    }

    /// What was asked, how many questions failed, and whether the last one did.
    pub(crate) fn reading(&self) -> Vec<(String, u64, bool)> {
        let table = self.lock();
        let read =
            |(question, answer): (&Question, &Answer)| (question.to_string(), answer.failures, answer.failed);
        let mut all: Vec<_> = table.iter().map(read).collect();
        all.sort();
        all
    }

    /// The last good answers, for the process that takes over, which may find no name server: a message for each address.
    pub(crate) fn bequeath(&self) -> Vec<Value> {
        let of_record = |one: &Record| json!([one.priority, &*one.target, one.port, one.weight]);
        let of_one = |(question, answer): (&Question, &Answer)| {
            let name = question.to_string();
            let message = |one: &Found| json!({ "name": name, "ip": one.address.to_string(), "srv": one.record.as_ref().map(of_record) });
            answer.found.iter().map(message).collect::<Vec<_>>()
        };
        self.lock().iter().flat_map(of_one).collect()
    }

    /// Knows what the process before knew; it is asked again as if it were new.
    pub(crate) fn inherit(&self, messages: &[Value]) {
        let mut table = self.lock();
        for (question, found) in messages.iter().filter_map(inherited) {
            table.entry(question).or_default().found.push(found);
        }
        for answer in table.values_mut() {
            answer.found.sort_unstable();
            answer.found.dedup();
        }
    }

    /// Forgets names that nobody wants any more.
    pub(super) fn keep(&self, wanted: impl Fn(&Question) -> bool) {
        self.lock().retain(|question, _| wanted(question));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Question, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a message of [`Table::bequeath`] says; none if it is another message.
fn inherited(message: &Value) -> Option<(Question, Found)> {
    let question = Question::written(message["name"].as_str()?);
    let address = message["ip"].as_str()?.parse().ok()?;
    let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
    let record = match (&question, &message["srv"]) {
        (Question::Host(_), _) => None,
        (Question::Service(_), srv) => Some(Record {
            priority: number(&srv[0])?,
            target: srv[1].as_str()?.into(),
            port: number(&srv[2])?,
            weight: number(&srv[3])?,
        }),
    };
    Some((question, Found { address, record }))
}

/// Addresses that a message lists.
const MAX_LISTED: usize = 8;

fn list(found: &[Found]) -> String {
    let shown: Vec<String> = found.iter().take(MAX_LISTED).map(ToString::to_string).collect();
    match found.len().saturating_sub(MAX_LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
