//! The certificate that every proxy shows in a run: ECDSA with P-256, made anew, signed by itself, so that it is its own
//! authority for the clients.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::http::HOST;

/// A certificate and its key in files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Both in one file, as HAProxy wants them.
    pub(crate) both: PathBuf,
}

impl Files {
    /// Those in `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        let file = |name| folder.join(name);
        Self { certificate: file("certificate.pem"), key: file("key.pem"), both: file("both.pem") }
    }

    /// Makes a certificate for [`HOST`] in `folder`.
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        let parameters = CertificateParams::new(vec![HOST.to_owned()]).map_err(io::Error::other)?;
        let certificate = parameters.self_signed(&key).map_err(io::Error::other)?.pem();
        let files = Self::of(folder);
        fs::write(&files.certificate, &certificate)?;
        fs::write(&files.key, key.serialize_pem())?;
        fs::write(&files.both, certificate + &key.serialize_pem())?;
        Ok(files)
    }
}
