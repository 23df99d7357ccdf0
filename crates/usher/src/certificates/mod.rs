//! Certificates: what the config asks for, and the thread that obtains them.

mod files;
mod names;
mod options;
mod unserved;

use std::sync::Arc;

use usher_api::certificates::{CertificateReading, CertificateReport};
use usher_certs::{Manager, Options};
use usher_config::{Diagnostic, Loaded};
use usher_engine::Snapshot;

use crate::log;

use options::options;
pub(crate) use options::storage;

/// The running thread that obtains certificates; there is none where no listener has TLS.
pub(crate) struct Keeper {
    manager: Arc<Manager>,
}

impl Keeper {
    /// Starts it if the config has TLS. What is kept in storage is there when this returns; nothing else is waited for.
    ///
    /// # Errors
    /// When the thread or its storage cannot be had.
    pub(crate) fn start(loaded: &Loaded, snapshot: &Snapshot) -> Result<Option<Self>, String> {
        if !wanted(loaded) {
            return Ok(None);
        }
        let trust = &snapshot.trust;
        let (options, _) = options(loaded);
        let begin = |options| Manager::start(options, trust.certificates.clone(), trust.challenges.clone());
        let needs_storage = !options.managed.is_empty() || options.on_demand.is_some();
        let manager = match begin(options.clone()) {
            // Certificates from files need none, but for what is stapled to them.
            Err(why) if !needs_storage => {
                let elsewhere = std::env::temp_dir().join(format!("usher-{}", std::process::id()));
                log::warn(format_args!("{why}; proofs of OCSP are not fetched (`automatic_https.storage`)"));
                begin(Options { storage: elsewhere, ocsp: false, ..options })?
            }
            began => began?,
        };
        let manager = Arc::new(manager);
        let _ = trust.on_demand.set(manager.on_demand());
        Ok(Some(Self { manager }))
    }

    /// Goes on by a new config.
    pub(crate) fn update(&self, loaded: &Loaded) {
        let (options, _) = options(loaded);
        self.manager.update(options);
    }

    /// What others are told of them.
    pub(crate) fn report(&self) -> Arc<dyn CertificateReport> {
        Arc::new(Report(self.manager.clone()))
    }
}

/// Whether some listener has TLS.
fn wanted(loaded: &Loaded) -> bool {
    loaded.config.listeners.iter().any(|listener| listener.tls.on().is_some())
}

/// What is wrong with what is said of certificates, or likely not meant so.
pub(crate) fn findings(loaded: &Loaded) -> Vec<Diagnostic> {
    if !wanted(loaded) {
        return Vec::new();
    }
    let (options, mut found) = options(loaded);
    found.extend(files::findings(&loaded.config));
    // A host for which none can be obtained was told of already.
    let told = !found.is_empty();
    found.extend(unserved::findings(&loaded.config, &options, told));
    if found.iter().all(|one| !one.is_error()) {
        found.extend(options.check().into_iter().map(Diagnostic::error));
    }
    found
}

struct Report(Arc<Manager>);

impl CertificateReport for Report {
    fn readings(&self) -> Vec<CertificateReading> {
        let reading = |status: usher_certs::Status| CertificateReading {
            source: status.source,
            state: status.state.as_str(),
            not_after: status.not_after,
            failures: status.failures,
        };
        self.0.status().into_iter().map(reading).collect()
    }

    fn json(&self) -> String {
        let all: Vec<serde_json::Value> = self.0.status().iter().map(usher_certs::Status::to_json).collect();
        serde_json::Value::Array(all).to_string()
    }

    fn renew(&self, name: &str) -> Result<(), String> {
        self.0.renew(name)
    }
}
