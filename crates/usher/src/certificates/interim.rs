//! INTERIM: files only.
use std::sync::Arc;
use usher_api::certificates::CertificateReport;
use usher_config::{Diagnostic, Loaded};
use usher_engine::Snapshot;
use usher_net::tls::Certificate;
pub(crate) struct Keeper;
impl Keeper {
    pub(crate) fn start(loaded: &Loaded, snapshot: &Snapshot) -> Result<Option<Self>, String> {
        for one in &loaded.config.certificates {
            let chain = std::fs::read(&one.cert.value).map_err(|e| e.to_string())?;
            let key = std::fs::read(&one.key.value).map_err(|e| e.to_string())?;
            let c = Arc::new(Certificate::from_pem(&chain, &key).map_err(|e| e.to_string())?);
            if one.default {
                snapshot.trust.certificates.set_default(Some(c.clone()));
            }
            snapshot.trust.certificates.set(&format!("file:{}", one.cert.value.display()), vec![c]);
        }
        Ok(None)
    }
    pub(crate) fn update(&self, _: &Loaded) {}
    pub(crate) fn report(&self) -> Arc<dyn CertificateReport> {
        unimplemented!()
    }
}
pub(crate) fn findings(_: &Loaded) -> Vec<Diagnostic> {
    Vec::new()
}
