//! A certificate in storage.

use std::sync::Arc;

use usher_net::tls::Certificate;

use super::{Lock, Meta, Storage, StorageError};

/// A certificate as it was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) certificate: Option<Arc<Certificate>>,
    pub(crate) meta: Meta,
    /// What was put aside, in sentences.
    pub(crate) reports: Vec<String>,
}

fn place(id: &str, file: &str) -> String {
    format!("certificates/{id}/{file}")
}

impl Storage {
    /// The ids of all certificates.
    pub(crate) fn certificates(&self) -> Vec<String> {
        self.list("certificates")
    }

    /// Loads a certificate with what is remembered of it. Files that cannot be used are put aside.
    pub(crate) fn load(&self, id: &str) -> Result<Kept, StorageError> {
        self.complete(id)?;
        let mut kept = Kept::default();
        if let Some(bytes) = self.read(&place(id, "meta.json"))? {
            match Meta::from_json(&bytes) {
                Some(meta) => kept.meta = meta,
                None => kept.reports.push(self.aside(id, "meta.json", "it is not JSON")?),
            }
        }
        let (chain, key) = (self.read(&place(id, "chain.pem"))?, self.read(&place(id, "key.pem"))?);
        match (chain, key) {
            (Some(chain), Some(key)) => match Certificate::from_pem(&chain, &key) {
                Ok(certificate) => kept.certificate = Some(Arc::new(certificate)),
                Err(error) => {
                    kept.reports.push(self.aside(id, "chain.pem", &error.to_string())?);
                    kept.reports.push(self.aside(id, "key.pem", "its certificate cannot be used")?);
                }
            },
            (Some(_), None) => kept.reports.push(self.aside(id, "chain.pem", "its key is missing")?),
            (None, Some(_)) => kept.reports.push(self.aside(id, "key.pem", "its certificate is missing")?),
            (None, None) => {}
        }
        Ok(kept)
    }

    fn aside(&self, id: &str, file: &str, why: &str) -> Result<String, StorageError> {
        let from = place(id, file);
        let place = self.put_aside(&from)?;
        Ok(format!("`{}` cannot be used and is now `{}`: {why}", self.path(&from).display(), place.display()))
    }

    /// Moves a finished order in place, of a process that was killed after it had written `chain.next.pem`.
    fn complete(&self, id: &str) -> Result<(), StorageError> {
        if self.path(&place(id, "chain.next.pem")).exists() {
            if self.path(&place(id, "key.next.pem")).exists() {
                self.rename(&place(id, "key.next.pem"), &place(id, "key.pem"))?;
            }
            self.rename(&place(id, "chain.next.pem"), &place(id, "chain.pem"))?;
        }
        Ok(())
    }

    /// Keeps the key of an order before the CA hears of it.
    pub(crate) fn save_pending_key(&self, id: &str, key: &[u8]) -> Result<(), StorageError> {
        self.write(&place(id, "key.next.pem"), key)
    }

    /// The key of the order that was under way.
    pub(crate) fn pending_key(&self, id: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.read(&place(id, "key.next.pem"))
    }

    /// Forgets the key of an order that came to nothing.
    pub(crate) fn drop_pending_key(&self, id: &str) -> Result<(), StorageError> {
        self.remove(&place(id, "key.next.pem"))
    }

    /// Keeps a new certificate; its key is the one saved before. The file `chain.next.pem` is what makes it so, at once.
    pub(crate) fn save_chain(&self, id: &str, chain: &[u8]) -> Result<(), StorageError> {
        self.write(&place(id, "chain.next.pem"), chain)?;
        self.complete(id)
    }

    pub(crate) fn save_meta(&self, id: &str, meta: &Meta) -> Result<(), StorageError> {
        let mut text = serde_json::to_vec_pretty(&meta.to_json()).unwrap_or_default();
        text.push(b'\n');
        self.write(&place(id, "meta.json"), &text)
    }

    /// Takes the lock of a certificate: whoever has it may order.
    pub(crate) fn lock_certificate(&self, id: &str) -> Result<Option<Lock>, StorageError> {
        self.lock(&place(id, "lock"))
    }
}
