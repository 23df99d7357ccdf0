//! Pebble and its name server, as processes on free ports.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use usher_certs::Authority;

use crate::world::{eventually, free_address};

const PEBBLE: &str = "/usr/bin/pebble";
const NAMES: &str = "/usr/bin/pebble-challtestsrv";

/// What differs between tests.
#[derive(Default)]
pub(crate) struct Settings<'a> {
    /// Key id and HMAC key, if an external account is required.
    pub(crate) external: Option<(&'a str, &'a str)>,
    /// Further environment.
    pub(crate) environment: &'a [(&'a str, &'a str)],
}

pub(crate) struct Pebble {
    process: Child,
    names: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
    root: String,
    /// Where it looks for answers to HTTP-01 and TLS-ALPN-01.
    pub(crate) http: SocketAddr,
    pub(crate) tls: SocketAddr,
    /// The name server, and where its records are written.
    pub(crate) dns: SocketAddr,
    pub(crate) management: SocketAddr,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for process in [&mut self.process, &mut self.names] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A certificate for the directory of pebble, and the root that signed it.
fn identity(folder: &Path) -> String {
    let key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "root of a test");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = root.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(root, key);
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("cert.pem"), leaf.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    pem
}

impl Pebble {
    /// None, with a message, where pebble is not installed.
    pub(crate) fn start(settings: &Settings<'_>) -> Option<Self> {
        if !Path::new(PEBBLE).exists() || !Path::new(NAMES).exists() {
            eprintln!("skipped: pebble is not installed (Debian package `pebble`)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let root = identity(folder.path());
        let [address, management_of_pebble, http, tls, dns, management] = [(); 6].map(|()| free_address());
        let keys = settings
            .external
            .map(|(id, key)| format!("\"externalAccountMACKeys\": {{ \"{id}\": \"{key}\" }},"));
        let config = format!(
            "{{ \"pebble\": {{ \"listenAddress\": \"{address}\", \"managementListenAddress\": \"{management_of_pebble}\",\
             \"certificate\": \"{path}/cert.pem\", \"privateKey\": \"{path}/key.pem\", \"httpPort\": {}, \"tlsPort\": {},\
             {} \"ocspResponderURL\": \"\", \"externalAccountBindingRequired\": {} }} }}",
            http.port(),
            tls.port(),
            keys.unwrap_or_default(),
            settings.external.is_some(),
            path = folder.path().display(),
        );
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let names = Command::new(NAMES)
            .args([
                "-defaultIPv4",
                "127.0.0.1",
                "-defaultIPv6",
                "",
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
            ])
            .args(["-dns01", &dns.to_string(), "-management", &management.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new(PEBBLE)
            .args(["-strict", "-dnsserver", &dns.to_string(), "-config"])
            .arg(folder.path().join("config.json"))
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", "0")
            .env("PEBBLE_AUTHZREUSE", "0")
            .envs(settings.environment.iter().copied())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut pebble = Self { process, names, folder, address, root, http, tls, dns, management };
        eventually("pebble listens", || pebble.listens().then_some(()));
        Some(pebble)
    }

    fn listens(&mut self) -> bool {
        assert!(self.process.try_wait().unwrap().is_none(), "pebble has ended: {}", self.log());
        assert!(self.names.try_wait().unwrap().is_none(), "the name server has ended");
        [self.address, self.management].iter().all(|address| TcpStream::connect(address).is_ok())
    }

    /// The CA, as options have it.
    pub(crate) fn authority(&self) -> Authority {
        let mut authority = Authority::named(&format!("https://{}/dir", self.address));
        authority.roots = Some(self.root.clone().into_bytes());
        authority
    }

    /// What pebble wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        self.log().lines().filter(|line| line.contains(part)).count()
    }

    /// Accounts that were made.
    pub(crate) fn accounts(&self) -> usize {
        self.count("accounts in memory")
    }

    /// Orders that were placed.
    pub(crate) fn orders(&self) -> usize {
        self.count("Added order")
    }

    /// A program that writes and removes records at the name server.
    pub(crate) fn hook(&self) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let script = format!(
            "#!/bin/sh\nset -e\n\
             [ \"$1\" = set ] && exec curl -sf -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" http://{0}/set-txt\n\
             exec curl -sf -d \"{{\\\"host\\\":\\\"$2.\\\"}}\" http://{0}/clear-txt\n",
            self.management
        );
        let path = self.folder.path().join("hook");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}
