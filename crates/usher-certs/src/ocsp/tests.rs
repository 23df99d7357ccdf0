//! Against the responder of OpenSSL, if it is installed, and against what it answered when that was changed.

use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};

use super::*;

struct World {
    folder: tempfile::TempDir,
    certificate: Certificate,
    issuer: Vec<u8>,
    id: Vec<u8>,
}

const SERIAL: u8 = 0x42;

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// A CA, a certificate of it, and a delegated responder, in files that OpenSSL reads.
fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = named("the CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    write("ca.pem", ca_pem.clone());
    write("ca.key", ca_key.serialize_pem());
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = named("leaf");
    leaf.subject_alt_names = vec![rcgen::SanType::DnsName("a.example".try_into().unwrap())];
    leaf.serial_number = Some(vec![SERIAL].into());
    // Authority information access with an OCSP responder, which nobody asks here.
    let url = b"http://127.0.0.1:1/";
    let access = write_access(url);
    leaf.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access)];
    let leaf_pem = leaf.signed_by(&key, &issuer).unwrap().pem();
    write("leaf.pem", leaf_pem.clone());
    let responder_key = KeyPair::generate().unwrap();
    let mut responder = named("responder");
    responder.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::OcspSigning];
    write("responder.pem", responder.signed_by(&responder_key, &issuer).unwrap().pem());
    write("responder.key", responder_key.serialize_pem());
    let other_key = KeyPair::generate().unwrap();
    write("other.pem", named("other").signed_by(&other_key, &issuer).unwrap().pem());
    write("other.key", other_key.serialize_pem());
    let chain = format!("{leaf_pem}{ca_pem}");
    let certificate = Certificate::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let issuer = first_der(&ca_pem).unwrap();
    let id = certificate_id(&certificate.der_chain()[0], &issuer).unwrap();
    World { folder, certificate, issuer, id }
}

fn write_access(url: &[u8]) -> Vec<u8> {
    let method = write(OID, &[&[0x2b, 6, 1, 5, 5, 7, 48, 1]]);
    write(SEQUENCE, &[&write(SEQUENCE, &[&method, &write(0x86, &[url])])])
}

impl World {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// What OpenSSL answers to our request, for a certificate in this state (a line of its index). None if it is missing.
    fn answer(&self, signer: &str, state: &str) -> Option<Vec<u8>> {
        if !Path::new("/usr/bin/openssl").exists() {
            eprintln!("skipped: openssl is not installed");
            return None;
        }
        std::fs::write(self.path("request.der"), request(&self.id)).unwrap();
        let line = format!("{state}\t{SERIAL:02X}\tunknown\t/CN=leaf\n");
        std::fs::write(self.path("index.txt"), line).unwrap();
        let output = Command::new("/usr/bin/openssl")
            .current_dir(self.folder.path())
            .args([
                "ocsp",
                "-index",
                "index.txt",
                "-CA",
                "ca.pem",
                "-reqin",
                "request.der",
                "-respout",
                "response.der",
            ])
            .args(["-rsigner", &format!("{signer}.pem"), "-rkey", &format!("{signer}.key"), "-ndays", "4"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(std::fs::read(self.path("response.der")).unwrap())
    }

    fn check(&self, der: &[u8], now: SystemTime) -> Result<Staple, String> {
        check(der, (&self.id, &self.issuer), now)
    }
}

const GOOD: &str = "V\t491231235959Z\t";
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn takes_what_the_ca_or_its_responder_has_signed() {
    let world = world();
    assert_eq!(world.certificate.ocsp_responder().as_deref(), Some("http://127.0.0.1:1/"));
    let now = SystemTime::now();
    for signer in ["ca", "responder"] {
        let Some(der) = world.answer(signer, GOOD) else { return };
        let staple = world.check(&der, now).unwrap();
        let length = staple.until.duration_since(staple.since).unwrap();
        assert_eq!(length, DAY * 4);
        assert_eq!(staple.refresh(), staple.since + DAY * 2);
        assert_eq!(check_kept(&der, &world.certificate, now), Some(staple));
        assert_eq!(check_kept(&der, &world.certificate, now + DAY * 5), None);
    }
}

#[test]
fn refuses_what_is_not_good() {
    let world = world();
    let now = SystemTime::now();
    let Some(der) = world.answer("ca", GOOD) else { return };
    assert!(world.check(&der, now + DAY * 5).unwrap_err().contains("not of now"));
    assert!(world.check(&der, now - DAY).unwrap_err().contains("not of now"));
    for position in 0..der.len() {
        let mut changed = der.clone();
        changed[position] ^= 1;
        // Whatever is not signed (the algorithm's parameters, the outer lengths) may still read; it must not say more.
        if let Ok(staple) = world.check(&changed, now) {
            assert_eq!(
                Ok((staple.since, staple.until)),
                world.check(&der, now).map(|good| (good.since, good.until))
            );
        }
        assert!(world.check(&der[..position], now).is_err());
    }
    let behind = [der.as_slice(), &[0]].concat();
    assert!(world.check(&behind, now).unwrap_err().contains("cannot be read"));
    let other = world.answer("other", GOOD).unwrap();
    assert!(world.check(&other, now).unwrap_err().contains("not signed"));
    let revoked = world.answer("ca", "R\t491231235959Z\t240101000000Z").unwrap();
    assert!(world.check(&revoked, now).unwrap_err().contains("revoked"));
    assert!(world.check(&[0x30, 3, 0x0a, 1, 3], now).unwrap_err().contains("later"));
    let second = self::world();
    assert!(second.check(&der, now).is_err());
}
