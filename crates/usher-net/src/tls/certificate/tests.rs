use std::time::Duration;

use rcgen::{CertificateParams, CustomExtension, KeyPair};

use super::super::testing::{Authority, Wanted};
use super::*;

#[test]
fn says_what_is_in_it() {
    let authority = Authority::new("The Root");
    let wanted = Wanted {
        names: &["Example.COM", "*.example.com", "192.0.2.1", "2001:db8::1"],
        serial: 0x00ab_cd12,
        ..Wanted::default()
    };
    let certificate = authority.issue(&wanted).certificate();
    assert_eq!(certificate.names(), ["example.com", "*.example.com", "192.0.2.1", "2001:db8::1"]);
    assert_eq!(certificate.issuer(), "CN=The Root");
    assert_eq!(certificate.subject(), "CN=test,O=Example\\, Inc.");
    assert_eq!(certificate.serial(), "ABCD12");
    assert_eq!(certificate.not_before(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800));
    assert_eq!(certificate.not_after(), SystemTime::UNIX_EPOCH + Duration::from_secs(2_208_988_800));
    assert!(certificate.is_ecdsa() && !certificate.must_staple());
    assert_eq!((certificate.ocsp_responder(), certificate.ocsp()), (None, None));
    let sum = digest::digest(&digest::SHA256, &certificate.der_chain()[0]);
    assert_eq!(certificate.fingerprint(), sum.as_ref());
    let stapled = Certificate::clone(&certificate).with_ocsp(vec![1, 2]);
    assert_eq!((stapled.ocsp(), certificate.ocsp()), (Some(&[1, 2][..]), None));
    assert!(!authority.issue(&Wanted { rsa: true, ..Wanted::default() }).certificate().is_ecdsa());
}

#[test]
fn the_common_name_counts_only_without_other_names() {
    let authority = Authority::new("root");
    let cases: [(&[&str], &str, &[&str]); 4] = [
        (&[], "Old.example.com", &["old.example.com"]),
        (&[], "Not a name", &[]),
        (&[], "*.example.com", &["*.example.com"]),
        (&["a.example"], "b.example", &["a.example"]),
    ];
    for (names, common, expected) in cases {
        let issued = authority.issue(&Wanted { names, common, ..Wanted::default() });
        assert_eq!(issued.certificate().names(), expected, "{common}");
    }
}

#[test]
fn reads_the_extensions_about_revocation() {
    let mut params = CertificateParams::new(vec!["example.com".to_owned()]).expect("params");
    // SEQUENCE { SEQUENCE { ocsp, [6] "http://o.example" } }
    let uri = b"http://o.example";
    let mut access = vec![0x30, 0x1e, 0x30, 0x1c, 6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 0x86, 16];
    access.extend_from_slice(uri);
    let extensions = [
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access),
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]),
    ];
    params.custom_extensions.extend(extensions);
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("signed").pem();
    let certificate = Certificate::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).expect("read");
    assert_eq!(certificate.ocsp_responder().as_deref(), Some("http://o.example"));
    assert!(certificate.must_staple());
}

#[test]
fn both_may_be_in_one_file() {
    let authority = Authority::new("root");
    let issued = authority.issue(&Wanted::default());
    let all = format!("some words\n{}{}{}", issued.key, issued.chain, authority.pem);
    let certificate = Certificate::from_pem(all.as_bytes(), all.as_bytes()).expect("read");
    assert_eq!(certificate.der_chain().len(), 2);
}

#[test]
fn tells_what_is_wrong_and_where() {
    use CertificateError as E;
    let authority = Authority::new("root");
    let (one, other) = (authority.issue(&Wanted::default()), authority.issue(&Wanted::default()));
    let swapped_order = format!("{}{}", authority.pem, one.chain);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
                         -----END RSA PRIVATE KEY-----\n";
    let no_end = one.chain.replace("-----END CERTIFICATE-----", "");
    let no_base64 = one.key.replacen('M', "!", 1);
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let behind = format!("{}{garbage}", one.chain);
    let many = one.chain.repeat(17);
    let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let (chain, key) = (one.chain.as_str(), one.key.as_str());
    let is = |expected: E| move |found: &E| *found == expected;
    type Check<'a> = Box<dyn Fn(&E) -> bool + 'a>;
    let cases: Vec<(&str, &str, bool, Check<'_>)> = vec![
        ("", key, false, Box::new(is(E::NoCertificate))),
        ("hello", key, false, Box::new(is(E::NoCertificate))),
        (key, key, false, Box::new(is(E::OnlyKey))),
        (key, chain, false, Box::new(is(E::OnlyKey))),
        (encrypted, chain, false, Box::new(is(E::OnlyKey))),
        (&many, key, false, Box::new(is(E::TooMany))),
        (
            &no_end,
            key,
            false,
            Box::new(|e| matches!(e, E::BrokenChain(words) if words.contains("END CERTIFICATE"))),
        ),
        (garbage, key, false, Box::new(|e| matches!(e, E::Unreadable { position: 1, .. }))),
        (&behind, key, false, Box::new(|e| matches!(e, E::Unreadable { position: 2, .. }))),
        (chain, "", true, Box::new(is(E::NoKey))),
        (chain, chain, true, Box::new(is(E::OnlyCertificate))),
        (chain, encrypted, true, Box::new(is(E::EncryptedKey))),
        (chain, old_encrypted, true, Box::new(is(E::EncryptedKey))),
        (chain, &no_base64, true, Box::new(|e| matches!(e, E::BrokenKey(_)))),
        (chain, bad_key, true, Box::new(|e| matches!(e, E::UnsupportedKey(_)))),
        (chain, &other.key, true, Box::new(is(E::Mismatch))),
        (&swapped_order, key, false, Box::new(is(E::WrongOrder { position: 2 }))),
    ];
    for (index, (chain, key, about_key, check)) in cases.iter().enumerate() {
        let found = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect_err("an error");
        assert!(check(&found), "{index}: {found:?}");
        assert_eq!(found.is_about_key(), *about_key, "{index}");
        let words = found.to_string();
        assert!(words.contains("file") || words.contains("key"), "{words}");
    }
}
