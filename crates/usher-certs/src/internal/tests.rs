use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;
use crate::time::unix_seconds;

const NAMES: [&str; 4] = ["localhost", "*.lan.internal", "10.1.2.3", "printer"];

fn names() -> Vec<String> {
    NAMES.iter().map(|name| (*name).to_owned()).collect()
}

fn verify(root: &str, chain: &str, name: &str, now: SystemTime) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(unix_seconds(now) as u64));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now).map(drop)
}

#[test]
fn clients_that_trust_the_root_accept_its_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path()).unwrap();
    let options = InternalOptions::default();
    let now = SystemTime::now();
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048] {
        let (chain, key) = issue(&storage, &options, (&names(), key_type), now).unwrap();
        Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let root = root(&storage, &options, now).unwrap();
        for name in ["localhost", "a.lan.internal", "10.1.2.3", "printer"] {
            verify(&root, &chain, name, now).unwrap();
        }
        assert!(verify(&root, &chain, "example.com", now).is_err());
        assert!(verify(&root, &chain, "localhost", now + options.lifetime + DAY).is_err());
    }
}

#[test]
fn the_root_stays_and_the_intermediate_is_renewed_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path()).unwrap();
    let options = InternalOptions::default();
    let start = SystemTime::now();
    let first = root(&storage, &options, start).unwrap();
    let mut intermediates = std::collections::HashSet::new();
    for day in 0..120 {
        let now = start + DAY * day;
        let (chain, _) = issue(&storage, &options, (&names(), KeyType::EcdsaP256), now).unwrap();
        // Good to the end of its life, not only now.
        verify(&first, &chain, "localhost", now + options.lifetime - Duration::from_secs(60)).unwrap();
        intermediates.insert(storage.read(INTERMEDIATE).unwrap());
    }
    assert!((4..=7).contains(&intermediates.len()), "{}", intermediates.len());
    assert_eq!(root(&storage, &options, start + DAY * 120).unwrap(), first);
}

#[test]
fn a_root_that_ends_or_is_broken_is_replaced_and_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path()).unwrap();
    let options = InternalOptions::default();
    let now = SystemTime::now();
    let first = root(&storage, &options, now).unwrap();
    let second = root(&storage, &options, now + ROOT_LIFETIME).unwrap();
    assert_ne!(first, second);
    assert_eq!(storage.list("aside").len(), 2);
    let (chain, _) = issue(&storage, &options, (&names(), KeyType::EcdsaP256), now + ROOT_LIFETIME).unwrap();
    verify(&second, &chain, "localhost", now + ROOT_LIFETIME).unwrap();
}

#[test]
fn looking_for_a_root_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("state");
    assert_eq!(existing_root(&storage), Ok(None));
    assert!(!storage.exists());
    let made = internal_root(&storage, &InternalOptions::default()).unwrap();
    assert_eq!(existing_root(&storage), Ok(Some(made)));
    std::fs::write(folder.path().join("file"), "").unwrap();
    assert!(existing_root(&folder.path().join("file")).unwrap_err().contains("cannot read"));
}
