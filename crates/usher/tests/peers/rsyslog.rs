//! rsyslog as a receiver of access logs, over both transports, with its parsers as they are by default.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use usher_testkit::{Port, Usher};

use crate::peer::{Peer, find, until, usher};

/// What it has understood of each message, a line each.
const CONFIG: &str = r#"
global(workDirectory="DIR")
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
input(type="imuxsock" Socket="DIR/log.sock")
input(type="imudp" address="127.0.0.1" port="PORT")
template(name="seen" type="string"
    string="%inputname% %syslogfacility-text% %syslogseverity-text% %app-name% %procid%|%msg:::drop-last-lf%|\n")
*.* action(type="omfile" file="DIR/seen" template="seen")
"#;

struct Rsyslog {
    folder: TempDir,
    port: Port,
    process: Option<Peer>,
}

impl Rsyslog {
    fn prepare() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), Port::reserve().unwrap());
        let dir = folder.path().display().to_string();
        let config = CONFIG.replace("DIR", &dir).replace("PORT", &port.number().to_string());
        fs::write(folder.path().join("rsyslog.conf"), config).unwrap();
        Self { folder, port, process: None }
    }

    /// Starts it, and again after [`Rsyslog::stop`].
    fn start(&mut self, program: &Path) {
        let path = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(program);
        command.arg("-n").arg("-f").arg(path("rsyslog.conf")).arg("-i").arg(path("pid"));
        let mut process = Peer::start(&mut command);
        let socket = path("log.sock");
        process.until("the sockets", |_| socket.exists() && has_udp(self.port.number()));
        self.process = Some(process);
    }

    /// Kills it. Its socket stays in the file system, with nobody behind it.
    fn stop(&mut self) {
        self.process = None;
    }

    /// The lines so far, as far as they are whole.
    fn seen(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("seen")).unwrap_or_default();
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }

    /// Waits for a line that is so.
    fn line(&self, is_it: impl Fn(&str) -> bool) -> String {
        let mut found = None;
        until("the line", || {
            found = self.seen().into_iter().find(|line| is_it(line));
            found.is_some()
        });
        found.unwrap()
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("messages of rsyslog:\n{}", self.seen().join("\n"));
        }
    }
}

/// What was understood, and the message.
fn parts(line: &str) -> (&str, &str) {
    let (understood, text) = line.split_once('|').unwrap();
    // Of a local message, the blank behind the tag is said to be the text's (RFC 3164, section 4.1.3).
    (understood, text.strip_suffix('|').unwrap_or(text).trim_start())
}

/// Whether somebody has this port of UDP (proc_net_udp: `sl local_address …`, the port in hexadecimal).
fn has_udp(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let port = format!(":{port:04X}");
    table.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)))
}

fn log_to(syslog: &str, format: &str) -> Usher {
    let config = format!(
        "access_log = {{ syslog = \"{syslog}\", format = '{format}' }}\n\
         [[listener]]\nbind = \"$LISTEN\"\n[[route]]\nrespond = {{ status = 204 }}\n"
    );
    usher(&config).start().unwrap()
}

fn addresses(rsyslog: &Rsyslog) -> [(&'static str, String); 2] {
    let local = format!("unix:{}", rsyslog.folder.path().join("log.sock").display());
    [("imuxsock", local), ("imudp", format!("udp:{}", rsyslog.port.address()))]
}

#[test]
fn every_part_of_a_message_is_understood() {
    let Some(program) = find("rsyslogd", "rsyslog") else { return };
    let mut rsyslog = Rsyslog::prepare();
    rsyslog.start(&program);
    for (input, address) in addresses(&rsyslog) {
        let usher = log_to(&address, "<13>1 {request.method}: {request.target} [x] \"{request.header.x}\"");
        let mut client = usher.client().unwrap();
        let about = format!("{input} local7 info usher {}", usher.pid());
        // What looks like a part of the header, an escape, or a further line must stay within the message.
        let cases = [("/a?b=c", "plain"), ("/?%0A%3C0%3E", "%msg% $! \\ é"), ("/long", &"x".repeat(7000))];
        for (target, x) in cases {
            assert_eq!(client.request("GET", target, &[("X", x)], b"").unwrap().status, 204);
            let shown = x.replace('\\', "\\x5C").replace('é', "\\xC3\\xA9");
            let message = format!("<13>1 GET: {target} [x] \"{shown}\"");
            let line = rsyslog.line(|line| line.starts_with(input) && line.ends_with(&format!("{message}|")));
            assert_eq!(parts(&line), (about.as_str(), message.as_str()));
        }
        // What is too long is cut by Usher, not divided by the receiver.
        client.request("GET", "/cut", &[("X", &"x".repeat(9000))], b"").unwrap();
        let line = rsyslog.line(|line| line.starts_with(&about) && line.contains("/cut"));
        let (_, text) = parts(&line);
        assert!(text.starts_with("<13>1 GET: /cut [x] \"xxx") && text.len() > 8000, "{line}");
        assert_eq!(rsyslog.seen().iter().filter(|line| line.starts_with(&about)).count(), 4);
    }
}

#[test]
fn json_arrives_as_it_was_sent() {
    let Some(program) = find("rsyslogd", "rsyslog") else { return };
    let mut rsyslog = Rsyslog::prepare();
    rsyslog.start(&program);
    for (input, address) in addresses(&rsyslog) {
        let usher = log_to(&address, "json");
        let agent = "naïve \"quotes\" \\ {}";
        usher.client().unwrap().request("GET", "/json", &[("User-Agent", agent)], b"").unwrap();
        let line = rsyslog.line(|line| line.starts_with(input));
        let (_, text) = parts(&line);
        let value: serde_json::Value = serde_json::from_str(text).expect("is JSON");
        assert_eq!((&value["user_agent"], &value["target"]), (&agent.into(), &"/json".into()), "{text}");
    }
}

#[test]
fn a_receiver_that_was_away_gets_what_comes_later() {
    let Some(program) = find("rsyslogd", "rsyslog") else { return };
    let mut rsyslog = Rsyslog::prepare();
    rsyslog.start(&program);
    for (_, address) in addresses(&rsyslog) {
        let usher = log_to(&address, "{request.target}");
        let mut client = usher.client().unwrap();
        let mut ask = |target: String| assert_eq!(client.get(&target).unwrap().status, 204);
        let kind = address.split(':').next().unwrap().to_owned();
        ask(format!("/{kind}/before"));
        rsyslog.line(|line| line.contains(&format!("/{kind}/before|")));
        rsyslog.stop();
        (0..20).for_each(|number| ask(format!("/{kind}/away/{number}")));
        rsyslog.start(&program);
        let arrived = format!("/{kind}/back/");
        let mut number = 0;
        until("a line of the time after", || {
            number += 1;
            ask(format!("{arrived}{number}"));
            rsyslog.seen().iter().any(|line| line.contains(&arrived))
        });
    }
}
