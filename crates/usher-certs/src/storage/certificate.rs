//! A certificate in storage.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use usher_net::tls::{Certificate, CertificateError};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Lock, Meta, Storage, StorageError};
use crate::time::from_unix;

/// How often a pair that does not fit is read again, and when: another process may be replacing it, one file after the other.
const READS: usize = 3;
const READ_AGAIN: Duration = Duration::from_millis(50);

/// The chain and the key, as they were found.
pub(super) type Pair = (Option<Vec<u8>>, Option<Vec<u8>>);
/// What they are together, where both are there.
pub(super) type Together = Option<Result<Certificate, CertificateError>>;

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

fn together(pair: &Pair) -> Together {
    match pair {
        (Some(chain), Some(key)) => Some(Certificate::from_pem(chain, key)),
        _ => None,
    }
}

/// Reads a pair until it fits, or is the same twice.
pub(super) fn settled(
    mut read: impl FnMut() -> Result<Pair, StorageError>,
) -> Result<(Pair, Together), StorageError> {
    let mut pair = read()?;
    for _ in 0..READS {
        let together = together(&pair);
        if pair == (None, None) || matches!(together, Some(Ok(_))) {
            return Ok((pair, together));
        }
        thread::sleep(READ_AGAIN);
        let again = read()?;
        if again == pair {
            return Ok((pair, together));
        }
        pair = again;
    }
    let together = together(&pair);
    Ok((pair, together))
}

impl Storage {
    /// Removes a certificate that nobody wants any more, with all that is remembered of it.
    pub(crate) fn remove_certificate(&self, id: &str) -> Result<(), StorageError> {
        self.remove_folder(&format!("certificates/{id}"))
    }

    /// Until when a certificate is valid; None if there is none.
    pub(crate) fn valid_until(&self, id: &str) -> Option<SystemTime> {
        let bytes = self.read(&place(id, "chain.pem")).ok().flatten()?;
        let leaf = CertificateDer::from_pem_slice(&bytes).ok()?;
        let (_, leaf) = X509Certificate::from_der(&leaf).ok()?;
        from_unix(leaf.validity().not_after.timestamp())
    }

    /// When something about a certificate was last written.
    pub(crate) fn last_written(&self, id: &str) -> Option<SystemTime> {
        let files = ["meta.json", "chain.pem", "key.pem", "key.next.pem", "lock"];
        files.iter().filter_map(|file| self.changed(&place(id, file))).max()
    }

    /// The ids of all certificates.
    pub(crate) fn certificates(&self) -> Vec<String> {
        self.list("certificates")
    }

    /// Loads a certificate with what is remembered of it. Files that cannot be used are put aside.
    pub(crate) fn load(&self, id: &str) -> Result<Kept, StorageError> {
        let ((chain, key), together) = self.read_pair(id)?;
        let mut kept = Kept::default();
        if let Some(bytes) = self.read(&place(id, "meta.json"))? {
            match Meta::from_json(&bytes) {
                Some(meta) => kept.meta = meta,
                None => kept.reports.push(self.aside(id, "meta.json", "it is not JSON")?),
            }
        }
        match together {
            Some(Ok(certificate)) => kept.certificate = Some(Arc::new(certificate)),
            Some(Err(error)) => {
                kept.reports.push(self.aside(id, "chain.pem", &error.to_string())?);
                kept.reports.push(self.aside(id, "key.pem", "its certificate cannot be used")?);
            }
            None if chain.is_some() => {
                kept.reports.push(self.aside(id, "chain.pem", "its key is missing")?)
            }
            None if key.is_some() => {
                kept.reports.push(self.aside(id, "key.pem", "its certificate is missing")?)
            }
            None => {}
        }
        Ok(kept)
    }

    /// The pair that is in place, and what it is.
    fn read_pair(&self, id: &str) -> Result<(Pair, Together), StorageError> {
        settled(|| {
            self.complete(id)?;
            Ok((self.read(&place(id, "chain.pem"))?, self.read(&place(id, "key.pem"))?))
        })
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
