//! What is known of each name.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::log;

/// The last answers. Read by the control thread, written by the thread that asks.
#[derive(Clone, Default)]
pub(super) struct Table(Arc<Mutex<HashMap<String, Answer>>>);

#[derive(Default)]
struct Answer {
    /// The last good answer, in order.
    addresses: Vec<IpAddr>,
    /// Whether the last try failed.
    failed: bool,
}

impl Table {
    /// The addresses of the last good answer.
    pub(super) fn addresses(&self, host: &str) -> Vec<IpAddr> {
        self.lock().get(host).map(|answer| answer.addresses.clone()).unwrap_or_default()
    }

    /// Whether there was ever an answer.
    pub(super) fn knows(&self, host: &str) -> bool {
        self.lock().contains_key(host)
    }

    /// Notes an answer; true if the addresses are others now. What changes is logged once.
    pub(super) fn note(&self, host: &str, found: Result<Vec<IpAddr>, String>) -> bool {
        let mut table = self.lock();
        let is_new = !table.contains_key(host);
        let answer = table.entry(host.to_owned()).or_default();
        match found {
            Ok(mut addresses) => {
                addresses.sort_unstable();
                addresses.dedup();
                if std::mem::take(&mut answer.failed) {
                    let again = if answer.addresses.is_empty() { "now" } else { "again" };
                    log::info(format_args!("`{host}` resolves {again}"));
                }
                let changed = answer.addresses != addresses;
                if changed && !is_new {
                    log::info(format_args!("`{host}` is at {} now", list(&addresses)));
                }
                answer.addresses = addresses;
                changed
            }
            Err(reason) => {
                if !std::mem::replace(&mut answer.failed, true) {
                    let consequence = match answer.addresses.is_empty() {
                        true => "clusters have no endpoint from it until it resolves".to_owned(),
                        false => format!("going on with {}", list(&answer.addresses)),
                    };
                    log::warn(format_args!("cannot resolve `{host}`: {reason}; {consequence}"));
                }
                false
            }
        }
    }

    /// Forgets names that nobody wants any more.
    pub(super) fn keep(&self, wanted: impl Fn(&str) -> bool) {
        self.lock().retain(|host, _| wanted(host));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
