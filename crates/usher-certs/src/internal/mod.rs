//! The CA of the machine itself, for names that no public CA signs.
//!
//! A root (ten years, `internal/root.pem`) that people add to what they trust, by `usher trust`; an intermediate that it
//! signs, so that the root's key is used once in weeks; and certificates of days. The root has no name constraints: single
//! labels and addresses, which are most of what it signs, cannot be expressed in them.

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use usher_net::tls::Certificate;

use crate::acme::Failure;
use crate::keys;
use crate::options::{InternalOptions, KeyType};
use crate::storage::{Storage, read_bounded};

const DAY: Duration = Duration::from_secs(86_400);
/// How long the root lives.
const ROOT_LIFETIME: Duration = Duration::from_secs(3650 * 86_400);
/// How long an intermediate lives at least.
const INTERMEDIATE_LIFETIME: Duration = Duration::from_secs(30 * 86_400);
/// Bounds of the lifetime of certificates.
const LEAF_MIN: Duration = Duration::from_secs(12 * 3600);
const LEAF_MAX: Duration = Duration::from_secs(30 * 86_400);
/// Clocks of clients may be this much behind.
const SKEW: Duration = Duration::from_secs(3600);

const ROOT: &str = "internal/root.pem";
const ROOT_KEY: &str = "internal/root.key.pem";
const INTERMEDIATE: &str = "internal/intermediate.pem";
const INTERMEDIATE_KEY: &str = "internal/intermediate.key.pem";

/// A certificate of a CA and its key, PEM.
struct Pair {
    chain: String,
    key: String,
    not_after: SystemTime,
}

/// The root's certificate, PEM; made if there is none yet.
pub(crate) fn root(storage: &Storage, options: &InternalOptions, now: SystemTime) -> Result<String, Failure> {
    Ok(open_root(storage, options, now)?.chain)
}

/// The root's certificate of the storage in this folder, PEM; made if there is none yet.
///
/// # Errors
/// In a sentence: the folder cannot be written, or the root cannot be read.
pub fn internal_root(folder: &Path, options: &InternalOptions) -> Result<String, String> {
    let storage = Storage::open(folder).map_err(|error| error.to_string())?;
    root(&storage, options, SystemTime::now()).map_err(|failure| failure.sentence)
}

/// What is kept as the root, whether it can be used or not.
pub(crate) fn kept_root(storage: &Storage) -> Option<Vec<u8>> {
    storage.read(ROOT).ok().flatten()
}

/// The root's certificate of the storage in this folder, PEM; None if there is none yet. Changes nothing.
///
/// # Errors
/// In a sentence: there may be one, but it cannot be read.
pub fn existing_root(folder: &Path) -> Result<Option<String>, String> {
    let path = folder.join(ROOT);
    match read_bounded(&path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read the root in `{}`: {error}", path.display())),
    }
}

/// A certificate for these names: chain and key, PEM.
pub(crate) fn issue(
    storage: &Storage,
    options: &InternalOptions,
    (names, key_type): (&[String], KeyType),
    now: SystemTime,
) -> Result<(String, String), Failure> {
    let lifetime = options.lifetime.clamp(LEAF_MIN, LEAF_MAX);
    let signer = open_intermediate(storage, options, now, lifetime)?;
    let made = || -> Result<(String, String), rcgen::Error> {
        let issuer = Issuer::from_ca_cert_pem(&signer.chain, KeyPair::from_pem(&signer.key)?)?;
        let key = keys::generate(key_type)?;
        let mut parameters = keys::parameters(names)?;
        parameters.not_before = (now - SKEW).into();
        parameters.not_after = (now + lifetime).min(signer.not_after).into();
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let leaf = parameters.signed_by(&key, &issuer)?;
        Ok((format!("{}{}", leaf.pem(), signer.chain), key.serialize_pem()))
    };
    made().map_err(|error| Failure::local(format!("the internal CA cannot sign: {error}")))
}

fn open_root(storage: &Storage, options: &InternalOptions, now: SystemTime) -> Result<Pair, Failure> {
    if let Some(pair) = read(storage, ROOT, ROOT_KEY)?
        && pair.not_after > now + LEAF_MAX
    {
        return Ok(pair);
    }
    let _lock = lock(storage)?;
    // Another process may have made it meanwhile.
    match read(storage, ROOT, ROOT_KEY)? {
        Some(pair) if pair.not_after > now + LEAF_MAX => Ok(pair),
        _ => make(storage, (ROOT, ROOT_KEY), now + ROOT_LIFETIME, |key| {
            authority(&options.name, BasicConstraints::Constrained(1), (now, ROOT_LIFETIME)).self_signed(key)
        }),
    }
}

fn open_intermediate(
    storage: &Storage,
    options: &InternalOptions,
    now: SystemTime,
    leaf: Duration,
) -> Result<Pair, Failure> {
    let root = open_root(storage, options, now)?;
    let good = |pair: &Pair| pair.not_after > now + leaf && signed_by(&pair.chain, &root.chain);
    if let Some(pair) = read(storage, INTERMEDIATE, INTERMEDIATE_KEY)?.filter(good) {
        return Ok(pair);
    }
    let _lock = lock(storage)?;
    if let Some(pair) = read(storage, INTERMEDIATE, INTERMEDIATE_KEY)?.filter(good) {
        return Ok(pair);
    }
    let lifetime =
        INTERMEDIATE_LIFETIME.max(leaf * 4).min(root.not_after.duration_since(now).unwrap_or_default());
    make(storage, (INTERMEDIATE, INTERMEDIATE_KEY), now + lifetime, |key| {
        let issuer = Issuer::from_ca_cert_pem(&root.chain, KeyPair::from_pem(&root.key)?)?;
        let name = format!("{}, intermediate", options.name);
        let mut parameters = authority(&name, BasicConstraints::Constrained(0), (now, lifetime));
        parameters.use_authority_key_identifier_extension = true;
        parameters.signed_by(key, &issuer)
    })
}

fn lock(storage: &Storage) -> Result<Option<crate::storage::Lock>, Failure> {
    // Two processes that start together would both make a root; whoever has no lock goes on once the other has written.
    for _ in 0..100 {
        match storage.lock("internal/lock").map_err(|error| Failure::local(error.to_string()))? {
            Some(lock) => return Ok(Some(lock)),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Err(Failure::local("another process has held the lock of the internal CA for 2 s"))
}

fn authority(
    name: &str,
    constraints: BasicConstraints,
    (now, lifetime): (SystemTime, Duration),
) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(constraints);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_before = (now - DAY).into();
    parameters.not_after = (now + lifetime).into();
    parameters
}

fn make(
    storage: &Storage,
    (chain_file, key_file): (&str, &str),
    not_after: SystemTime,
    sign: impl FnOnce(&KeyPair) -> Result<rcgen::Certificate, rcgen::Error>,
) -> Result<Pair, Failure> {
    let made =
        keys::generate(KeyType::EcdsaP256).and_then(|key| Ok((sign(&key)?.pem(), key.serialize_pem())));
    let (chain, key) =
        made.map_err(|error| Failure::local(format!("the internal CA cannot be made: {error}")))?;
    let local = |error: crate::storage::StorageError| Failure::local(error.to_string());
    // The old pair, if there is one, is kept for a look: people may have trusted it.
    for file in [chain_file, key_file] {
        if storage.read(file).map_err(local)?.is_some() {
            storage.put_aside(file).map_err(local)?;
        }
    }
    storage.write(key_file, key.as_bytes()).map_err(local)?;
    storage.write(chain_file, chain.as_bytes()).map_err(local)?;
    Ok(Pair { chain, key, not_after })
}

/// None if there is none, or none that can be used: a new one takes its place then.
fn read(storage: &Storage, chain: &str, key: &str) -> Result<Option<Pair>, Failure> {
    let local = |error: crate::storage::StorageError| Failure::local(error.to_string());
    let (Some(chain), Some(key)) = (storage.read(chain).map_err(local)?, storage.read(key).map_err(local)?)
    else {
        return Ok(None);
    };
    let Ok(certificate) = Certificate::from_pem(&chain, &key) else { return Ok(None) };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_default();
    Ok(Some(Pair { chain: text(chain), key: text(key), not_after: certificate.not_after() }))
}

/// Whether the certificate was signed by this root's key.
fn signed_by(chain: &str, root: &str) -> bool {
    let (Some(one), Some(root)) = (crate::ocsp::first_der(chain), crate::ocsp::first_der(root)) else {
        return false;
    };
    crate::ocsp::is_signed_by(&one, &root)
}
