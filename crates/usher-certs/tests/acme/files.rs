//! Certificates from files, and OCSP.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, SanType};
use usher_certs::{CertificateFile, State};

use crate::world::{World, eventually, failed, free_address, status};

fn pair(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn files_are_swapped_and_a_broken_one_changes_nothing() {
    let world = World::new();
    let (chain, key) = (world.folder.path().join("a.pem"), world.folder.path().join("a.key"));
    let write = |(text, secret): &(String, String)| {
        std::fs::write(&key, secret).unwrap();
        std::fs::write(&chain, text).unwrap();
    };
    write(&pair("a.example.com"));
    let mut options = world.options(&[]);
    options.files = vec![CertificateFile { chain: chain.clone(), key: key.clone(), default: false }];
    let missing = world.folder.path().join("missing.pem");
    options.files.push(CertificateFile { chain: missing.clone(), key: missing.clone(), default: false });
    let manager = world.start(options.clone());
    let first = world.served("a.example.com").unwrap();
    let source = format!("file:{}", chain.display());
    let shown = status(&manager, &source);
    assert_eq!((shown.state, shown.names.as_slice()), (State::Valid, &["a.example.com".to_owned()][..]));
    let absent = failed(&manager, &format!("file:{}", missing.display()), 1);
    assert!(absent.last_error.unwrap().contains("cannot read"));

    std::fs::write(&chain, "-----BEGIN CERTIFICATE-----\n!\n").unwrap();
    let broken = failed(&manager, &source, 1);
    let error = broken.last_error.unwrap();
    assert!(error.contains("a.pem") && error.contains("still served"), "{error}");
    assert_eq!(world.served("a.example.com").unwrap().fingerprint(), first.fingerprint());

    let second = pair("a.example.com");
    write(&second);
    eventually("it is swapped", || {
        (world.served("a.example.com").unwrap().fingerprint() != first.fingerprint()).then_some(())
    });
    eventually("it is valid", || (status(&manager, &source).state == State::Valid).then_some(()));
    // The missing one comes.
    std::fs::write(&missing, format!("{}{}", second.0, second.1)).unwrap();
    eventually("it is there", || {
        let shown = status(&manager, &format!("file:{}", missing.display()));
        (shown.state == State::Valid && shown.last_error.is_none()).then_some(())
    });
    options.files.clear();
    manager.update(options);
    eventually("it is gone", || world.served("a.example.com").is_none().then_some(()));
}

#[test]
fn an_expired_file_is_shown_as_what_it_is() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["old.example.com".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let text = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
    let path = world.folder.path().join("old.pem");
    std::fs::write(&path, text).unwrap();
    let mut options = world.options(&[]);
    options.files = vec![CertificateFile { chain: path.clone(), key: path.clone(), default: false }];
    let manager = world.start(options);
    let shown = status(&manager, &format!("file:{}", path.display()));
    assert_eq!((shown.state, shown.state.as_str()), (State::Expired, "expired"));
}

struct Responder(Child);

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// A CA and a certificate that names an OCSP responder on this port: `ca.pem`, `ca.key`, `chain.pem` and `key.pem`.
fn write_world(folder: &Path, port: u16) {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut ca = named("the CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&key).unwrap().pem();
    write("ca.pem", pem.clone());
    write("ca.key", key.serialize_pem());
    let issuer = Issuer::new(ca, key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = named("leaf");
    leaf.serial_number = Some(vec![0x42].into());
    leaf.subject_alt_names = vec![SanType::DnsName("a.example.com".try_into().unwrap())];
    let url = format!("http://127.0.0.1:{port}/");
    let length = |bytes: usize| u8::try_from(bytes).unwrap();
    let mut access = vec![0x30, length(url.len() + 14), 0x30, length(url.len() + 12), 6, 8];
    access.extend_from_slice(&[0x2b, 6, 1, 5, 5, 7, 48, 1, 0x86, length(url.len())]);
    access.extend_from_slice(url.as_bytes());
    leaf.custom_extensions = vec![
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access),
        // TLS feature: status_request, "must staple" (RFC 7633).
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]),
    ];
    write("chain.pem", format!("{}{pem}", leaf.signed_by(&key, &issuer).unwrap().pem()));
    write("key.pem", key.serialize_pem());
    write("index.txt", "V\t491231235959Z\t\t42\tunknown\t/CN=leaf\n".to_owned());
}

#[test]
fn ocsp_responses_are_stapled_kept_and_refreshed() {
    if !Path::new("/usr/bin/openssl").exists() {
        eprintln!("skipped: openssl is not installed");
        return;
    }
    let world = World::new();
    let address = free_address();
    let folder = world.folder.path();
    write_world(folder, address.port());
    let mut options = world.options(&[]);
    options.files = vec![CertificateFile {
        chain: folder.join("chain.pem"),
        key: folder.join("key.pem"),
        default: false,
    }];
    let source = format!("file:{}", folder.join("chain.pem").display());
    let manager = world.start(options.clone());
    // Without a responder: reported, and served all the same.
    eventually("it is reported", || {
        world.logged("browsers refuse this certificate without it").then_some(())
    });
    assert!(world.served("a.example.com").unwrap().ocsp().is_none());
    let responder = Command::new("/usr/bin/openssl")
        .current_dir(folder)
        .args([
            "ocsp",
            "-index",
            "index.txt",
            "-CA",
            "ca.pem",
            "-rsigner",
            "ca.pem",
            "-rkey",
            "ca.key",
            "-ndays",
            "4",
        ])
        .args(["-port", &address.port().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let responder = Responder(responder);
    // It serves one connection after another and hangs on an empty one, so that it cannot be probed.
    let stapled = eventually("it is stapled", || {
        world.pass(std::time::Duration::from_secs(10));
        world.served("a.example.com").filter(|one| one.ocsp().is_some())
    });
    let shown =
        eventually("it is shown", || Some(status(&manager, &source)).filter(|one| one.ocsp_until.is_some()));
    assert_eq!(shown.last_error, None);
    drop(responder);
    manager.stop();
    // What was kept is stapled at once.
    let again = World { folder: world.folder, ..World::new() };
    let manager = again.start(options);
    assert_eq!(again.served("a.example.com").unwrap().ocsp(), stapled.ocsp());
    // When it is over it is not shown any more.
    again.pass(std::time::Duration::from_secs(5 * 86_400));
    drop(manager);
}
