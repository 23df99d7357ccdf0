//! What the tests of several probes share: a probe from a text, an endpoint with canned answers, a question.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use usher_api::{BuildContext, Carry, OnRoute, Probe, ProbeFactory, ProbeTarget};
use usher_config::config::UpstreamProtocol;
use usher_config::read::read;
use usher_config::{Context, Format, Report, Sources};
use usher_net::{Address, SystemDialer};

/// How long a test waits for what never comes.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Builds a probe from its options. The findings are rendered; empty if there are none.
pub(super) fn try_build(
    factory: &ProbeFactory,
    (name, directory, text): (&str, &str, &str),
) -> (Option<Arc<dyn Probe>>, String) {
    let mut sources = Sources::new();
    let id = sources.add(name, directory, text.to_owned());
    let document = match read(&sources, id, Format::Toml) {
        Ok(document) => document,
        Err(found) => return (None, Report::new(found, sources).render(false)),
    };
    let mut context = Context::new(&sources);
    let mut carry = Carry::default();
    let (config, carry) = (&mut context, &mut carry);
    let mut cx = BuildContext { config, carry, scope: "health of cluster test", route: OnRoute::default() };
    let probe = (factory.build)(&document.root, &mut cx);
    let (failed, found) = (context.has_errors(), context.finish());
    let report = if found.is_empty() { String::new() } else { Report::new(found, sources).render(false) };
    (probe.filter(|_| !failed), report)
}

/// Builds a probe from options that have no errors.
pub(super) fn build(factory: &ProbeFactory, text: &str) -> Arc<dyn Probe> {
    let (probe, report) = try_build(factory, ("test", ".", text));
    probe.unwrap_or_else(|| panic!("{report}"))
}

/// An endpoint at this address, without TLS.
pub(super) fn target(address: impl Into<Address>) -> ProbeTarget {
    ProbeTarget {
        cluster: "app".into(),
        label: "first".into(),
        address: address.into(),
        host: "app.internal".into(),
        introduction: Arc::from([]),
        tls: None,
        protocol: UpstreamProtocol::H1,
        timeout: PATIENCE,
    }
}

/// A runtime as probes have it.
pub(super) fn runtime() -> LocalRuntime {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap()
}

/// What a probe says; empty if all is well.
pub(super) fn ask(probe: &dyn Probe, target: &ProbeTarget) -> String {
    runtime().block_on(asked(probe, target))
}

/// The same, within a runtime.
pub(super) async fn asked(probe: &dyn Probe, target: &ProbeTarget) -> String {
    let dialer = SystemDialer::default();
    let answer = tokio::time::timeout(PATIENCE, probe.ask(target, &dialer)).await.expect("an answer");
    answer.err().map_or_else(String::new, |why| why.to_string())
}

/// Serves one connection: says `greeting`, reads until what came ends with `until`, answers, and closes. Gives what came.
pub(super) fn serve(
    greeting: &'static str,
    until: &'static str,
    answer: impl Into<Vec<u8>>,
) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, answer) = (listener.local_addr().unwrap(), answer.into());
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(greeting.as_bytes()).unwrap();
        let mut came = Vec::new();
        while !came.ends_with(until.as_bytes()) {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => came.push(byte[0]),
                _ => break,
            }
        }
        // Who has heard enough may be gone.
        let _ = stream.write_all(&answer);
        String::from_utf8(came).unwrap()
    });
    (address, thread)
}
