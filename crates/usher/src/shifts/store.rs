//! Where shifts stand, kept in a file: so that one that was taken back stays so over a restart, and one that has finished does
//! not begin anew.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use usher_config::config::Config;
use usher_engine::shift::{Saved, State};
use usher_engine::snapshot::ShiftPlan;

use crate::certificates;
use crate::log;
use crate::origin::Origin;

/// Where a shift stands, and which it is.
pub(super) type Kept = (Value, Saved);

/// Bytes of a file that are read: there is a line or two for each route.
const MAX_BYTES: u64 = 64 << 20;

/// The file of one config.
pub(crate) struct Store {
    path: PathBuf,
    /// What it holds, as far as this process knows.
    written: Option<String>,
}

impl Store {
    /// The file of the config's own, beside its certificates; none for a config that is no file, as nobody would know it again.
    pub(crate) fn of(origin: &Origin, config: &Config) -> Option<Self> {
        let Origin::File { path, .. } = origin else { return None };
        let path = fs::canonicalize(path).ok()?;
        let name = format!("{:016x}.json", hash(path.as_os_str().as_encoded_bytes()));
        Some(Self::at(certificates::storage(config).join("shifts").join(name)))
    }

    fn at(path: PathBuf) -> Self {
        Self { path, written: None }
    }

    /// Lets shifts go on where they were. One of which that cannot be known does not begin by itself.
    pub(super) fn restore(&self, plans: &[&ShiftPlan], now: Duration) {
        let all = match self.read() {
            Ok(all) => all,
            Err(error) => {
                let path = self.path.display();
                let why = format!(
                    "where the shift was is not known, as `{path}` cannot be read: {error}; it does not begin by itself, but \
                     by `usher shift resume`"
                );
                plans.iter().for_each(|plan| plan.shift.doubt(&why));
                log::error(format_args!("{why}"));
                return;
            }
        };
        for plan in plans {
            restore_one(plan, &all, now);
        }
    }

    fn read(&self) -> io::Result<Vec<Kept>> {
        let length = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found?.len(),
        };
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        if length > MAX_BYTES {
            return Err(invalid("too large"));
        }
        let document: Value = serde_json::from_slice(&fs::read(&self.path)?)?;
        let all = document["shifts"].as_array().ok_or_else(|| invalid("no `shifts` in it"))?;
        all.iter().map(|one| parse(one).ok_or_else(|| invalid("a shift in it is incomplete"))).collect()
    }

    /// Another process may have written the file.
    pub(super) fn forget(&mut self) {
        self.written = None;
    }

    /// Keeps where these stand, and nothing else.
    pub(super) fn save(&mut self, plans: &[ShiftPlan]) {
        let touched = kept(plans);
        if touched.is_empty() {
            // Nothing to keep: a shift that is written again later begins anew.
            if self.written.take().is_some() || self.path.exists() {
                let _ = fs::remove_file(&self.path);
            }
            return;
        }
        let text = format!("{:#}\n", json!({ "shifts": touched }));
        if self.written.as_ref() == Some(&text) {
            return;
        }
        match write(&self.path, &text) {
            Ok(()) => self.written = Some(text),
            Err(error) => log::warn(format_args!(
                "the state of shifts cannot be kept in `{}`: {error}; after a restart they begin anew \
                 (`automatic_https.storage` names another place)",
                self.path.display()
            )),
        }
    }
}

/// What makes a shift the same one after a restart.
fn identity(plan: &ShiftPlan) -> Value {
    let names = &plan.settings.names;
    json!([plan.settings.route, names.old, names.new, names.release])
}

/// Lets a shift go on where it was, if that is known.
pub(super) fn restore_one(plan: &ShiftPlan, all: &[Kept], now: Duration) -> bool {
    let own = identity(plan);
    let known = all.iter().find(|(identity, _)| *identity == own);
    known.inspect(|(_, saved)| plan.shift.restore(saved, now)).is_some()
}

/// Where those stand that do not stand where they began.
pub(super) fn kept(plans: &[ShiftPlan]) -> Vec<Value> {
    plans.iter().filter(|plan| !plan.shift.is_untouched()).map(entry).collect()
}

fn entry(plan: &ShiftPlan) -> Value {
    let Saved { state, share, looks, last } = plan.shift.saved();
    json!({ "of": identity(plan), "state": state.as_str(), "share": share, "looks": looks, "last": last })
}

pub(super) fn parse(one: &Value) -> Option<Kept> {
    let number = |key: &str| one[key].as_u64().and_then(|number| u32::try_from(number).ok());
    let saved = Saved {
        state: State::named(one["state"].as_str()?)?,
        share: number("share")?,
        looks: number("looks")?,
        last: one["last"].as_str()?.to_owned(),
    };
    Some((one["of"].clone(), saved))
}

/// Writes all of it or nothing: a half-written file would leave everybody in doubt.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

/// FNV-1a: the same in every process.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests;
