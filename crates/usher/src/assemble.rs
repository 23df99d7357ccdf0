//! From a loaded config to a snapshot, with every extension of this binary.

use std::sync::Arc;

use usher_api::AccessSink;
use usher_config::config::AccessLog as LogSection;
use usher_config::{Diagnostic, Loaded, Report};
use usher_engine::snapshot::{Builder, Built};
use usher_extensions::balancers::BALANCERS;
use usher_extensions::filters::FILTERS;
use usher_extensions::probes::PROBES;
use usher_extensions::sinks::access_log::{AccessLog, AccessLogOptions};

use crate::certificates;
use crate::terminal::Failure;

/// An access log that is open, and what it is set to do.
#[derive(Clone)]
pub(crate) struct OpenLog {
    options: AccessLogOptions,
    /// Where records go.
    pub(crate) sink: Arc<dyn AccessSink>,
}

/// What serves, or could.
pub(crate) struct Assembled {
    /// The snapshot and what the next one may take over.
    pub(crate) built: Built,
    /// The access log, unless it is off.
    pub(crate) log: Option<OpenLog>,
}

/// Builds for people who only want to know whether that works: nothing is opened.
pub(crate) fn dry(loaded: &Loaded) -> Result<Built, Box<Report>> {
    let (_, mut found) = log_options(loaded);
    match build(loaded, None, None) {
        Ok(built) if !found.iter().any(Diagnostic::is_error) => Ok(built),
        Ok(_) => Err(Box::new(loaded.report(found))),
        Err(report) => {
            found.extend_from_slice(report.diagnostics());
            Err(Box::new(loaded.report(found)))
        }
    }
}

/// Builds what serves from now on; `before` is what served until now, and `log` its access log.
pub(crate) fn live(
    loaded: &Loaded,
    before: Option<&Built>,
    log: Option<&OpenLog>,
) -> Result<Assembled, Failure> {
    let (options, found) = log_options(loaded);
    if found.iter().any(Diagnostic::is_error) || !loaded.mistakes.is_empty() {
        // All errors at once: whatever else is wrong comes with them.
        dry(loaded)?;
    }
    let log = options.map(|options| open(options, log)).transpose()?;
    let built = build(loaded, before, log.as_ref().map(|log| log.sink.clone()))?;
    Ok(Assembled { built, log })
}

fn build(
    loaded: &Loaded,
    before: Option<&Built>,
    log: Option<Arc<dyn AccessSink>>,
) -> Result<Built, Box<Report>> {
    let builder = Builder { filters: FILTERS, balancers: BALANCERS, probes: PROBES };
    let built = builder.build(loaded, before, log);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        certificates::findings(loaded).into_iter().partition(Diagnostic::is_error);
    let mut built = match built {
        Ok(_) if !errors.is_empty() => return Err(Box::new(loaded.report(errors))),
        Ok(built) => built,
        Err(report) => {
            let all = report.diagnostics().iter().chain(&errors).cloned();
            return Err(Box::new(loaded.report(all.collect())));
        }
    };
    built.warnings.extend(warnings);
    Ok(built)
}

/// That the config names no listener, for whoever did not mean the port that anybody can reach.
pub(crate) fn default_listener(loaded: &Loaded) -> Option<String> {
    let all: Vec<String> =
        loaded.config.listeners.iter().map(|listener| format!("`{}`", listener.label())).collect();
    let told = format!("no `[[listener]]` is given, so there is {}, on all addresses", all.join(" and "));
    loaded.config.listens_by_default().then_some(told)
}

/// What the access log is set to do, unless it is off or has errors, and the errors.
fn log_options(loaded: &Loaded) -> (Option<AccessLogOptions>, Vec<Diagnostic>) {
    let LogSection::On(to) = &loaded.config.access_log else { return (None, Vec::new()) };
    let mut context = loaded.context();
    let options = AccessLogOptions::from_config(to, &mut context);
    (options, context.finish())
}

/// Opens the log; one that is open stays if it is set to do the same.
fn open(options: AccessLogOptions, before: Option<&OpenLog>) -> Result<OpenLog, Failure> {
    if let Some(same) = before.filter(|log| log.options == options) {
        return Ok(same.clone());
    }
    let log = AccessLog::open(&options).map_err(|error| Failure::Message(error.to_string()))?;
    Ok(OpenLog { options, sink: Arc::new(log) })
}
