//! What the tests of TLS, HTTP/2 and HTTP/3 share: certificates, a proxy that has them, and what it logged.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use usher_testkit::{Authority, Builder, Leaf, Usher};

use crate::peer::{PATIENCE, usher};

/// Names of the site's certificate. A client that is given an IP address names no host.
pub(crate) const NAMES: &[&str] = &["localhost", "site.test", "*.site.test", "127.0.0.1"];

/// An endpoint's answer with a field behind its body, `hello`.
pub(crate) const WITH_TRAILERS: &str = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
    5\r\nhello\r\n0\r\nX-Sum: 5d41\r\n\r\n";

const CERTIFICATE: &str = "\n[[certificate]]\ncert = \"site.pem\"\nkey = \"site.key\"\n";

/// An authority, and in a folder: `ca.pem`, `site.pem` and `site.key` of the site, `client.pem` and `client.key` of a
/// client, `stranger.pem` and `stranger.key` of a client that another authority has signed, `strangers.pem`.
pub(crate) struct Pki {
    pub(crate) authority: Authority,
    folder: TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let (authority, others) = (Authority::new("tests").unwrap(), Authority::new("others").unwrap());
        let pki = Self { folder: tempfile::tempdir().unwrap(), authority };
        fs::write(pki.path("ca.pem"), pki.authority.pem()).unwrap();
        fs::write(pki.path("strangers.pem"), others.pem()).unwrap();
        pki.write("site", &pki.authority.server(NAMES).unwrap());
        pki.write("client", &pki.authority.client("client.test").unwrap());
        pki.write("stranger", &others.client("client.test").unwrap());
        pki
    }

    /// The path of one of its files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a certificate and its key as `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, name: &str, leaf: &Leaf) {
        fs::write(self.path(&format!("{name}.pem")), &leaf.cert).unwrap();
        fs::write(self.path(&format!("{name}.key")), &leaf.key).unwrap();
    }

    /// A proxy with this config, to which the site's certificate is added; the files of the folder lie beside it.
    pub(crate) fn usher(&self, config: &str) -> Builder {
        self.usher_as_is(&with_certificate(config))
    }

    /// A proxy with this config, beside which the files of the folder lie.
    pub(crate) fn usher_as_is(&self, config: &str) -> Builder {
        let mut builder = usher(config);
        for entry in fs::read_dir(self.folder.path()).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            builder = builder.file(&name, fs::read(entry.path()).unwrap());
        }
        builder
    }
}

/// The config with the site's certificate, and nothing that is obtained by itself.
pub(crate) fn with_certificate(config: &str) -> String {
    format!("automatic_https = false\n{config}{CERTIFICATE}")
}

/// The lines of `access.log` so far.
pub(crate) fn log(usher: &Usher) -> Vec<Value> {
    let text = fs::read_to_string(usher.dir().join("access.log")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Waits until the log holds a line like this, and gives the first.
pub(crate) fn logged(usher: &Usher, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lines = log(usher);
        if let Some(found) = lines.iter().find(|line| is_it(line)) {
            return found.clone();
        }
        if Instant::now() > deadline {
            let strange = lines.iter().filter(|line| line["reason"].is_string() || line["status"] != 200);
            let strange: Vec<String> = strange.take(20).map(Value::to_string).collect();
            panic!(
                "waited in vain for {what} among {} lines of the log; strange ones: {strange:#?}",
                lines.len()
            );
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a text of a logged line holds another.
pub(crate) fn says(line: &Value, key: &str, part: &str) -> bool {
    line[key].as_str().is_some_and(|text| text.contains(part))
}

/// Memory that the process has in use, in KiB (`VmRSS`).
pub(crate) fn memory_kib(usher: &Usher) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", usher.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
