//! A reload: everything is built and bound first, then swapped at once. An error changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use usher_api::AccessSink;
use usher_config::config::Config;
use usher_config::{Diagnostic, Loaded};
use usher_engine::snapshot::Built;

use super::changes::describe;
use super::control::Control;
use super::event::{Event, ReloadAnswer};
use super::start::bind_failure;
use super::watch::{Fingerprint, Watch};
use super::worker::Order;
use crate::assemble::{self, Assembled, OpenLog};
use crate::certificates::Keeper;
use crate::log;
use crate::shifts::Store;
use crate::shortage;
use crate::terminal::{Failure, say};

impl Control {
    /// Reads the config again. Says in the log what came of it, and gives the same as an answer.
    pub(super) fn reload(&mut self, cause: &str) -> ReloadAnswer {
        let started = Instant::now();
        let outcome = self.try_reload();
        self.registry.process.reloaded(outcome.is_ok());
        let name = self.reloaded_name();
        match outcome {
            Ok(Done { changes, warnings }) => {
                let millis = started.elapsed().as_secs_f64() * 1000.0;
                let line = format!("reloaded {name} in {millis:.1} ms: {changes}");
                log::info(format_args!("{line} ({cause})"));
                warnings.iter().for_each(|text| log::warn(format_args!("{text}")));
                let all = std::iter::once(line).chain(warnings).map(|line| line + "\n");
                Ok(all.collect())
            }
            Err(failure) => {
                let text = failure.text(false);
                log::error(format_args!("reload of {name} failed, nothing has changed ({cause})"));
                say(&text);
                Err(format!("{text}reload refused: nothing has changed\n"))
            }
        }
    }

    /// What was read again: of a text that was read once, only the files that it names.
    fn reloaded_name(&self) -> String {
        let name = self.origin.name();
        if self.origin.is_file() { name } else { format!("the files that {name} names") }
    }

    fn try_reload(&mut self) -> Result<Done, Failure> {
        if self.upgrade.is_some() {
            return Err(Failure::Message(
                "another process is about to take over; it reads the config too".to_owned(),
            ));
        }
        if !self.origin.can_change(&self.loaded, &self.files()) {
            let name = self.origin.name();
            let what = format!("{name} cannot be read again, and it names no file that could");
            return Err(Failure::with_help(
                what,
                "start usher again, or give it a config file: `usher run FILE`",
            ));
        }
        // Before the files are read, or at least before anybody sees the effect: what comes later is another change.
        let before = Fingerprint::of(&self.files());
        let loaded = self.origin.load()?;
        let Assembled { mut built, log } = assemble::live(&loaded, Some(&self.built), self.log.as_ref())?;
        let seen = Fingerprint::of(&files(&loaded, &built)).with(&before);
        let plan =
            self.sockets.plan(&built.snapshot, self.workers.len()).map_err(|all| bind_failure(&all))?;
        let mut warnings = self.restart_needed(&loaded.config);
        warnings.extend(plan.warnings.iter().cloned());
        warnings.extend(texts(&loaded, &built.warnings));
        let files_seen = Fingerprint::of(&endpoint_files(&built));
        self.discovery
            .follow(&built.snapshot.clusters)
            .map_err(|error| Failure::of("cannot start resolving names", error))?;
        built.resolve(|cluster| Some(self.discovery.endpoints(cluster)));
        // From here on nothing can fail.
        let changes = describe(&self.built.snapshot, &built.snapshot);
        self.shifts.follow(&built.snapshot, Store::of(&self.origin, &loaded.config));
        self.registry.use_mirrors(built.snapshot.mirrors());
        let (open, close) = self.sockets.adopt(plan);
        for (worker, open) in self.workers.iter().zip(open) {
            worker.tell(Order::Change { snapshot: Some(built.snapshot.clone()), open, close: close.clone() });
        }
        self.registry.process.serving(built.snapshot.generation);
        self.registry
            .use_access_logs(log.iter().map(|log| -> Arc<dyn AccessSink> { log.sink.clone() }).collect());
        self.clusters.follow(&built.snapshot.clusters, &self.discovery);
        if loaded.config.memory != self.loaded.config.memory {
            log::info(format_args!("memory: {} from now on", shortage::follow(&loaded.config)));
        }
        (self.loaded, self.built) = (loaded, built);
        self.use_log(log);
        self.probe();
        warnings.extend(self.update_certificates());
        warnings.extend(self.rewatch(seen));
        warnings.extend(self.watch_endpoint_files(files_seen));
        Ok(Done { changes, warnings })
    }

    /// Requests that began before still write to the log that there was.
    fn use_log(&mut self, log: Option<OpenLog>) {
        let before = std::mem::replace(&mut self.log, log);
        let sink = |log: &OpenLog| Arc::as_ptr(&log.sink).cast::<()>();
        let goes_on = before.as_ref().map(sink) == self.log.as_ref().map(sink);
        if let Some(before) = before.filter(|_| !goes_on) {
            self.former_logs.keep(before.sink);
        }
    }

    /// Tells whoever obtains certificates of the new config; if TLS is new, it begins.
    fn update_certificates(&mut self) -> Option<String> {
        if let Some(keeper) = &self.keeper {
            keeper.update(&self.loaded);
            return None;
        }
        match Keeper::start(&self.loaded, &self.built.snapshot) {
            Ok(keeper) => {
                if let Some(keeper) = &keeper {
                    self.registry.use_certificates(keeper.report());
                }
                self.keeper = keeper;
                None
            }
            Err(error) => Some(format!("cannot keep certificates: {error}")),
        }
    }

    /// What the new config says otherwise but a running process cannot change.
    fn restart_needed(&self, new: &Config) -> Vec<String> {
        let old = &self.loaded.config;
        let mut found = Vec::new();
        let mut note = |differs: bool, key: &str| {
            if differs {
                found.push(format!("the new value of `{key}` holds after a restart"));
            }
        };
        note(new.workers != old.workers, "workers");
        note(new.pin_workers != old.pin_workers, "pin_workers");
        note(new.pid_file != old.pid_file, "pid_file");
        note(!super::admin::is_same(&new.admin, &old.admin), "admin");
        found
    }

    /// Watches what the config consists of now; `seen` is the state that was read.
    pub(super) fn rewatch(&mut self, seen: Fingerprint) -> Option<String> {
        let files = self.files();
        if !self.loaded.config.watch {
            self.watch = None;
        } else if !self.watch.as_ref().is_some_and(|watch| watch.covers(&files)) {
            let changed = || Event::Reload { cause: "a changed file", answer: None };
            match Watch::start(&files, seen, (self.events.clone(), changed)) {
                Ok(watch) => self.watch = Some(watch),
                Err(error) => {
                    return Some(format!(
                        "cannot watch the config's files: {error}; use SIGHUP or `usher reload`"
                    ));
                }
            }
        }
        None
    }

    /// Every file that was read for what serves.
    fn files(&self) -> Vec<PathBuf> {
        files(&self.loaded, &self.built)
    }
}

/// Every file that was read for a snapshot.
pub(super) fn files(loaded: &Loaded, built: &Built) -> Vec<PathBuf> {
    [&loaded.files[..], &built.files].concat()
}

/// The files that name endpoints, which are no part of the config.
pub(super) fn endpoint_files(built: &Built) -> Vec<PathBuf> {
    built.snapshot.clusters.iter().filter_map(|cluster| cluster.endpoints_file.clone()).collect()
}

/// What a reload did.
struct Done {
    changes: String,
    warnings: Vec<String>,
}

/// Warnings of the config, as lines.
fn texts(loaded: &Loaded, more: &[Diagnostic]) -> Vec<String> {
    let text = |found: &Diagnostic| {
        let place = found.labels.first().and_then(|label| loaded.sources.place(label.span));
        place.map_or_else(|| found.message.clone(), |place| format!("{place}: {}", found.message))
    };
    loaded.warnings.iter().chain(more).map(text).collect()
}
