//! Clients that measure: wrk, and ab, which keeps connections as HTTP/1.0 does. Only failures count here.

use std::process::Command;

use usher_testkit::Usher;

use crate::nginx::Nginx;
use crate::peer::{Peer, find, usher};

const CONFIG: &str = "
workers = 2
access_log = \"off\"
[[listener]]
bind = \"$LISTEN\"
[[route]]
to = \"$ENDPOINT[nginx]\"
[[route]]
path = \"/impatient/*\"
to = \"$ENDPOINT[impatient]\"
rewrite = { strip_prefix = \"/impatient\" }
";

/// The number that stands behind a label.
fn number(out: &str, label: &str) -> Option<u64> {
    let (_, rest) = out.split_once(label)?;
    rest.split_whitespace().next()?.parse().ok()
}

fn start(nginx: &Nginx) -> Usher {
    let usher = usher(CONFIG).endpoint_address("nginx", &nginx.address().to_string());
    usher.endpoint_address("impatient", &nginx.impatient()).start().unwrap()
}

#[test]
fn wrk_sees_no_failure() {
    let (Some(wrk), Some(nginx)) = (find("wrk", "wrk"), Nginx::start()) else { return };
    let usher = start(&nginx);
    for path in ["/hello.txt", "/impatient/hello.txt"] {
        let url = format!("http://{}{path}", usher.listen().unwrap());
        let mut command = Command::new(&wrk);
        command.args(["-t2", "-c16", "-d2s", "--timeout", "30s", &url]);
        let out = Peer::start(&mut command).finish();
        let summary = out.lines().find(|line| line.contains(" requests in ")).unwrap_or("0 ");
        assert!(!summary.trim().starts_with("0 "), "{out}");
        // wrk prints these lines only where there is something to count.
        assert!(!out.contains("Socket errors") && !out.contains("Non-2xx"), "{out}");
    }
}

#[test]
fn ab_keeps_its_connections_and_sees_no_failure() {
    let (Some(ab), Some(nginx)) = (find("ab", "apache2-utils"), Nginx::start()) else { return };
    let usher = start(&nginx);
    for (path, keeps) in [("/hello.txt", true), ("/impatient/words.txt", true), ("/hello.txt", false)] {
        let url = format!("http://{}{path}", usher.listen().unwrap());
        let mut command = Command::new(&ab);
        command.args(["-q", "-n", "2000", "-c", "8", "-s", "30"]).args(keeps.then_some("-k")).arg(url);
        let out = Peer::start(&mut command).finish();
        assert_eq!(number(&out, "Complete requests:"), Some(2000), "{out}");
        assert_eq!(number(&out, "Failed requests:"), Some(0), "{out}");
        assert_eq!(number(&out, "Keep-Alive requests:"), keeps.then_some(2000), "{out}");
        assert!(!out.contains("Non-2xx"), "{out}");
    }
}
