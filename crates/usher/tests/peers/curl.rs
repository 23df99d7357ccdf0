//! curl as a client, nginx as an endpoint, Usher between them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use usher_testkit::Usher;

use crate::nginx::{HELLO, Nginx};
use crate::peer::{Peer, find, noise, usher};

const CONFIG: &str = "
workers = 1
access_log = \"off\"
[[listener]]
bind = \"$LISTEN\"
[[listener]]
name = \"behind\"
bind = \"$LISTEN[behind]\"
proxy_protocol = { trusted = [\"127.0.0.0/8\"] }
[[route]]
to = \"$ENDPOINT[nginx]\"
[[route]]
host = \"impatient.test\"
to = \"$ENDPOINT[impatient]\"
";

/// Options of every curl: no settings of the user's, no proxy of the environment, an end, and only what was asked for.
const ALWAYS: &str = "--disable --silent --show-error --no-progress-meter --noproxy * --max-time 50";

/// Runs curl with these arguments in a folder; it must end well. Gives what it wrote.
pub(crate) fn curl(program: &Path, folder: &Path, arguments: &[impl AsRef<OsStr>]) -> String {
    let mut command = Command::new(program);
    Peer::start(command.args(ALWAYS.split(' ')).args(arguments).current_dir(folder)).finish()
}

/// curl, Usher, nginx, and a folder for what curl writes.
struct Chain {
    curl: PathBuf,
    usher: Usher,
    nginx: Nginx,
    folder: TempDir,
}

impl Chain {
    fn start() -> Option<Self> {
        let (curl, nginx) = (find("curl", "curl")?, Nginx::start()?);
        let usher = usher(CONFIG)
            .endpoint_address("nginx", &nginx.address().to_string())
            .endpoint_address("impatient", &nginx.impatient())
            .start()
            .unwrap();
        Some(Self { curl, usher, nginx, folder: tempfile::tempdir().unwrap() })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.usher.listen().unwrap())
    }

    /// Runs curl in its folder; arguments that begin with `/` are paths of Usher.
    fn curl(&self, arguments: &[&str]) -> String {
        let url = |argument: &&str| match argument.starts_with('/') {
            true => self.url(argument),
            false => (*argument).to_owned(),
        };
        let arguments: Vec<String> = arguments.iter().map(url).collect();
        curl(&self.curl, self.folder.path(), &arguments)
    }

    /// What a file holds that curl has written.
    fn got(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }

    /// Makes a file for curl to send.
    fn file(&self, name: &str, length: usize) -> Vec<u8> {
        let content = noise(length);
        fs::write(self.folder.path().join(name), &content).unwrap();
        content
    }

    /// A file of the site.
    fn site(&self, name: &str) -> Vec<u8> {
        fs::read(self.nginx.path("site").join(name)).unwrap()
    }

    fn uploaded(&self, name: &str) -> Vec<u8> {
        fs::read(self.nginx.path("uploads").join(name)).unwrap()
    }
}

#[test]
fn requests_share_connections_on_both_sides() {
    let Some(chain) = Chain::start() else { return };
    let format = "%{http_code} %{num_connects} %{http_version}\n";
    let out = chain.curl(&["-w", format, "/place", "/place", "/moved", "/nothing", "/missing", "/place"]);
    let lines: Vec<&str> = out.lines().filter(|line| !line.starts_with('<')).collect();
    let (places, codes): (Vec<&str>, Vec<&str>) =
        lines.iter().partition(|line| line.starts_with("connection="));
    assert_eq!(
        codes,
        ["200 1 1.1", "200 0 1.1", "301 0 1.1", "204 0 1.1", "404 0 1.1", "200 0 1.1"],
        "{out}"
    );
    let (first, _) = places[0].split_once(' ').unwrap();
    let expected: Vec<String> = [1, 2, 6].map(|number| format!("{first} request={number}")).into();
    assert_eq!(places, expected, "one connection to nginx serves all");
}

#[test]
fn connections_that_nginx_closes_are_no_failures() {
    let Some(chain) = Chain::start() else { return };
    let address = chain.usher.listen().unwrap();
    // Every third response says `Connection: close`; that is between nginx and Usher only.
    let urls = format!("http://{address}/hello.txt?[1-50]");
    let format = "%{http_code} %{num_connects}\n";
    let out = chain.curl(&["-H", "Host: impatient.test", "-o", "out", "-w", format, &urls]);
    let expected: String = (0..50).map(|number| if number == 0 { "200 1\n" } else { "200 0\n" }).collect();
    assert_eq!(out, expected);
    // And many at once.
    let parallel = ["--parallel", "--parallel-max", "16", "-o", "out#1", "-w", "%{http_code}\n"];
    let urls = format!("http://{address}/hello.txt?[1-100]");
    let out = chain.curl(&[&parallel[..], &["-H", "Host: impatient.test", &urls]].concat());
    assert_eq!(out, "200\n".repeat(100));
    assert!((1..=100).all(|number| chain.got(&format!("out{number}")) == HELLO.as_bytes()));
}

#[test]
fn bodies_arrive_whole() {
    let Some(chain) = Chain::start() else { return };
    let (words, large) = (chain.site("words.txt"), chain.site("large.bin"));
    let cases: &[(&[&str], &str, &[u8])] = &[
        (&[], "/large.bin", &large),
        (&[], "/proxied/large.bin", &large),
        (&[], "/words.txt", &words),
        // Compressed, nginx knows no length: chunked.
        (&["--compressed"], "/gzip/words.txt", &words),
        (&["--compressed"], "/proxied/gzip/words.txt", &words),
        (&["--http1.0"], "/large.bin", &large),
        // What comes in chunks must leave without for a client of 1.0.
        (&["--http1.0", "--compressed"], "/gzip/words.txt", &words),
        (&["--http1.0", "-H", "Connection: keep-alive", "--compressed"], "/gzip/words.txt", &words),
    ];
    for (options, path, expected) in cases {
        let out =
            chain.curl(&[options, &["-D", "head", "-o", "out", "-w", "%{http_code}", path][..]].concat());
        let head = String::from_utf8(chain.got("head")).unwrap().to_ascii_lowercase();
        assert_eq!(out, "200", "{options:?} {path}\n{head}");
        assert!(chain.got("out") == *expected, "{options:?} {path}\n{head}");
        let old = options.contains(&"--http1.0");
        let in_chunks = head.contains("transfer-encoding: chunked");
        assert_eq!(in_chunks, path.contains("gzip") && !old, "{options:?} {path}\n{head}");
        assert_eq!(
            head.contains("content-encoding: gzip"),
            path.contains("gzip"),
            "{options:?} {path}\n{head}"
        );
    }
}

#[test]
fn ranges_validators_and_head_are_passed_on() {
    let Some(chain) = Chain::start() else { return };
    let large = chain.site("large.bin");
    let status = |arguments: &[&str]| chain.curl(&[&["-o", "out", "-w", "%{http_code}"], arguments].concat());
    for (range, from, to) in
        [("100-199", 100, 200), ("4000000-", 4_000_000, 8 << 20), ("-7", (8 << 20) - 7, 8 << 20)]
    {
        assert_eq!(status(&["-r", range, "/large.bin"]), "206", "{range}");
        assert!(chain.got("out") == large[from..to], "{range}");
    }
    assert_eq!(status(&["-r", "0-3,6-9", "/hello.txt"]), "206");
    let parts = String::from_utf8(chain.got("out")).unwrap();
    assert!(
        parts.contains("bytes 0-3/17\r\n\r\nhell\r\n") && parts.contains("bytes 6-9/17\r\n\r\nfrom\r\n"),
        "{parts}"
    );
    assert_eq!(status(&["-r", "99-", "/hello.txt"]), "416");

    assert_eq!(status(&["--etag-save", "tag", "/hello.txt"]), "200");
    assert_eq!(status(&["--etag-compare", "tag", "/hello.txt"]), "304");
    assert_eq!(status(&["--etag-compare", "tag", "/words.txt"]), "200");
    assert_eq!(chain.curl(&["-R", "-o", "copy", "-w", "%{http_code}", "/hello.txt"]), "200");
    assert_eq!(status(&["-z", "copy", "/hello.txt"]), "304");

    // A HEAD has the length and no body: were one awaited or sent, the next request would go wrong.
    let two = chain.curl(&["-I", "-w", "%{http_code} %{num_connects}\n", "/large.bin", "/large.bin"]);
    assert_eq!(two.to_ascii_lowercase().matches("content-length: 8388608\r\n").count(), 2, "{two}");
    assert!(two.contains("\n200 1\n") && two.contains("\n200 0\n"), "{two}");
}

#[test]
fn uploads_arrive_whole() {
    let Some(chain) = Chain::start() else { return };
    let content = chain.file("sent", 1 << 20);
    let sent = chain.folder.path().join("sent").display().to_string();
    let expect = ["-H", "Expect: 100-continue", "--expect100-timeout", "40"];
    let chunked = ["-H", "Transfer-Encoding: chunked"];
    let cases: &[(&str, &[&str])] = &[
        ("length", &["-H", "Expect:"]),
        ("expect", &expect),
        ("chunked", &[&chunked[..], &["-H", "Expect:"]].concat()),
        ("chunked_expect", &[&chunked[..], &expect].concat()),
        ("http10", &["--http1.0"]),
    ];
    for (name, options) in cases {
        let path = format!("/upload/{name}");
        // An argument that begins with `/` is a path of Usher, so the file is named from its folder.
        let out = chain.curl(&[options, &["-v", "-T", "sent", "-w", "%{http_code}", &path][..]].concat());
        assert!(out.contains("201"), "{name}: {out}");
        assert!(chain.uploaded(name) == content, "{name}: {out}");
        assert_eq!(out.contains("< HTTP/1.1 100 "), name.contains("expect"), "{name}: {out}");
        assert_eq!(out.contains("> Transfer-Encoding: chunked"), name.contains("chunked"), "{name}: {out}");
    }
    // From a pipe curl does not know the length.
    let curl = chain.curl.display();
    let script = format!(
        "cat '{sent}' | '{curl}' -q -sS --max-time 50 -T - -H 'Expect: 100-continue' -o out -w '%{{http_code}} %{{size_upload}}' {}",
        chain.url("/upload/pipe")
    );
    let out = Peer::start(Command::new("sh").args(["-c", &script]).current_dir(chain.folder.path())).finish();
    assert!(out.starts_with("201 "), "{out}");
    assert!(chain.uploaded("pipe") == content);
    // Its answer comes back the same way, and on the connection of an upload.
    let format = "%{http_code} %{num_connects}\n";
    let out = chain.curl(&[
        "-w",
        format,
        "-T",
        "sent",
        "/upload/length",
        "--next",
        "-sS",
        "-w",
        format,
        "-o",
        "out",
        "/hello.txt",
    ]);
    assert_eq!(out, "204 1\n200 0\n");
}

#[test]
fn a_refusal_in_the_middle_of_an_upload_is_seen() {
    let Some(chain) = Chain::start() else { return };
    chain.file("sent", 8 << 20);
    // nginx answers by the head alone; with and without curl waiting for it.
    for options in [&["-H", "Expect:"][..], &["-H", "Expect: 100-continue", "--expect100-timeout", "40"]] {
        for _ in 0..5 {
            let format = ["-o", "out", "-w", "%{http_code}", "-T", "sent", "/strict/x"];
            assert_eq!(chain.curl(&[options, &format].concat()), "413", "{options:?}");
        }
    }
    assert!(!Path::new(&chain.nginx.path("uploads/x")).exists());
}

#[test]
fn nginx_sees_the_request_as_curl_sent_it() {
    let Some(chain) = Chain::start() else { return };
    let out = chain.curl(&["-H", "Host: shop.test:8080", "/seen?a=b%20c&d=%2F"]);
    assert_eq!(out, "GET /seen?a=b%20c&d=%2F HTTP/1.1 host=shop.test:8080 for=127.0.0.1\n");
    let out = chain.curl(&[
        "--http1.0",
        "-X",
        "DELETE",
        "-H",
        "X-Forwarded-For: 1.2.3.4",
        "-H",
        "Host: a.test",
        "/seen",
    ]);
    assert_eq!(out, "DELETE /seen HTTP/1.1 host=a.test for=127.0.0.1\n");
    // A redirect is followed to the same place.
    assert_eq!(chain.curl(&["-L", "/moved"]), HELLO);
    // curl's own PROXY header, version 1.
    let behind = format!("http://{}/hello.txt", chain.usher.listener("behind").unwrap());
    assert_eq!(chain.curl(&["--haproxy-protocol", &behind, &behind]), HELLO.repeat(2));
}
