//! Runs a scenario from the first socket to the last check.

use super::actor::{Actor, Marks, Open, Source};
use super::failure::{Failure, Mismatch};
use super::script::{Answer, EndpointPlan, Role, Scenario, Step};
use super::section::parse_scenario;
use crate::stream::{Cancel, Listener};
use crate::{Addresses, Connection, Endpoint, Error, Port, Reply, Usher, lock};
use std::path::Path;
use std::sync::Mutex;
use std::thread::{Scope, ScopedJoinHandle};
use tempfile::TempDir;

/// Runs one file.
pub fn run_file(path: impl AsRef<Path>) -> Result<(), Failure> {
    let path = path.as_ref();
    run_text(path, &read(path)?)
}

/// Parses one file without running it.
pub fn check_file(path: impl AsRef<Path>) -> Result<(), Failure> {
    let path = path.as_ref();
    parse_scenario(&read(path)?).map(drop).map_err(|mismatch| Failure::at(path, 0, "", mismatch))
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::at(path, 0, "", Mismatch::new(format!("reading the file: {error}")));
    std::fs::read_to_string(path).map_err(failed)
}

/// Runs a scenario given as text; `path` is only what failures name.
pub fn run_text(path: &Path, text: &str) -> Result<(), Failure> {
    let at_file = |mismatch: Mismatch| Failure::at(path, 0, "", mismatch);
    let scenario = parse_scenario(text).map_err(at_file)?;
    let mut stage = Stage::set(&scenario).map_err(|error| at_file(error.into()))?;
    // Placeholders have values now: the scripts are read again with them in place, line for line.
    let text = stage.substitute(text).map_err(|error| at_file(error.into()))?;
    let scenario = parse_scenario(&text).map_err(at_file)?;
    let mut found = stage.play(&scenario, path);
    let log = stage.usher.as_mut().map(Usher::kill).unwrap_or_default();
    if log.contains("panicked at") {
        found.push(at_file(Mismatch::new("the proxy panicked")));
    }
    let mut found = found.into_iter();
    let Some(mut first) = found.next() else { return Ok(()) };
    first.notes.extend(found.map(|failure| format!("also: {failure}")));
    if !log.is_empty() {
        first.notes.push(format!("log of usher:\n{log}"));
    }
    Err(first)
}

/// What an endpoint of the file became.
enum Upstream {
    /// Waits for its script.
    Scripted(Option<Listener>),
    Untouched(Listener),
    NoRequest(Listener),
    /// Holds the address on which nobody listens.
    Refusing(#[expect(dead_code, reason = "held for its reservation")] Port),
    Serving(Endpoint),
}

/// Everything that runs while a scenario does.
struct Stage {
    upstreams: Vec<Upstream>,
    usher: Option<Usher>,
    addresses: Addresses,
    listen: String,
    _sockets: TempDir,
}

impl Stage {
    /// Opens the endpoints, then starts the proxy.
    fn set(scenario: &Scenario) -> Result<Self, Error> {
        let sockets = tempfile::tempdir().map_err(|error| Error::io("making a folder", &error))?;
        let mut addresses = Addresses::default();
        let mut upstreams = Vec::new();
        for plan in &scenario.endpoints {
            let (upstream, address) = open(plan, sockets.path())?;
            addresses.add_endpoint(&plan.name, &address);
            upstreams.push(upstream);
        }
        let Some(config) = &scenario.config else {
            let listen = addresses.substitute("$ENDPOINT")?;
            addresses.set_listener(&listen);
            addresses.set_dir(sockets.path());
            return Ok(Self { upstreams, usher: None, addresses, listen, _sockets: sockets });
        };
        let mut builder = Usher::builder().addresses(addresses).config(&config.text);
        if let Some(name) = &config.name {
            builder = builder.config_name(name);
        }
        for (name, content) in &scenario.files {
            builder = builder.file(name, content);
        }
        let mut usher = builder.start()?;
        let listen = usher.substitute("$LISTEN")?;
        let addresses = Addresses::default();
        Ok(Self { upstreams, usher: Some(usher), addresses, listen, _sockets: sockets })
    }

    fn substitute(&mut self, text: &str) -> Result<String, Error> {
        match &mut self.usher {
            Some(usher) => usher.substitute(text),
            None => self.addresses.substitute(text),
        }
    }

    /// Plays all scripts; what failed, in the order in which it did.
    fn play(&mut self, scenario: &Scenario, path: &Path) -> Vec<Failure> {
        let (marks, cancel) = (Marks::default(), Cancel::default());
        let board = Board { path, cancel: cancel.clone(), found: Mutex::new(Vec::new()) };
        let mut ends = Vec::new();
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for (plan, upstream) in scenario.endpoints.iter().zip(&mut self.upstreams) {
                if let (Role::Script(steps), Upstream::Scripted(listener)) = (&plan.role, upstream)
                    && let Some(listener) = listener.take()
                {
                    let actor = Actor::new(Source::Accept(listener), &marks, cancel.clone());
                    threads.push(spawn(
                        scope,
                        actor,
                        (named("endpoint", &plan.name), plan.line),
                        steps,
                        &board,
                    ));
                }
            }
            for plan in &scenario.clients {
                let mut actor = Actor::new(Source::Dial(self.listen.clone()), &marks, cancel.clone());
                let who = named("client", &plan.name);
                board.note(&who, 0, actor.play(&plan.steps));
                ends.push(End { who, line: 0, connections: actor.connections, source: actor.source });
                if cancel.is_raised() {
                    break;
                }
            }
            ends.extend(threads.into_iter().filter_map(|thread| thread.join().ok().flatten()));
        });
        if !cancel.is_raised() {
            self.check_ends(scenario, &mut ends, &board);
        }
        board.found.into_inner().unwrap_or_default()
    }

    /// With the proxy gone, reads every connection to its end: nothing may be left that no script asked for.
    fn check_ends(&mut self, scenario: &Scenario, ends: &mut [End], board: &Board<'_>) {
        match &mut self.usher {
            Some(usher) => drop(usher.kill()),
            None => ends.iter_mut().flat_map(|end| &mut end.connections).for_each(|open| {
                let _ = open.connection.shutdown_write();
            }),
        }
        for end in ends.iter() {
            if let Source::Accept(listener) = &end.source {
                board.note(&end.who, end.line, untouched(listener));
            }
        }
        for (plan, upstream) in scenario.endpoints.iter().zip(&self.upstreams) {
            let who = named("endpoint", &plan.name);
            match upstream {
                Upstream::Untouched(listener) => board.note(&who, plan.line, untouched(listener)),
                Upstream::NoRequest(listener) => board.note(&who, plan.line, no_request(listener)),
                Upstream::Serving(endpoint) => {
                    endpoint.settle();
                    for fault in endpoint.faults().into_iter().filter(|fault| !fault.is_end()) {
                        board.note(&who, plan.line, Err(fault.into()));
                    }
                }
                Upstream::Scripted(_) | Upstream::Refusing(_) => {}
            }
        }
        for end in ends {
            for open in end.connections.iter_mut().filter(|open| !open.ignored) {
                board.note(&end.who, end.line, left_over(&mut open.connection));
            }
        }
    }
}

fn open(plan: &EndpointPlan, sockets: &Path) -> Result<(Upstream, String), Error> {
    if let Role::Refuse = plan.role {
        let port = Port::reserve()?;
        let address = port.address().to_string();
        return Ok((Upstream::Refusing(port), address));
    }
    let path = sockets.join(format!("{}.sock", plan.name));
    if let Role::Serve { status, body } = &plan.role {
        let (status, body) = (*status, body.clone());
        let reply = move |_: &crate::Request| match &body {
            Answer::Text(text) => Reply::status(status, text),
            Answer::Echo => Reply::echo(),
        };
        let endpoint = if plan.unix { Endpoint::start_unix(path, reply)? } else { Endpoint::start(reply)? };
        let address = endpoint.address().to_owned();
        return Ok((Upstream::Serving(endpoint), address));
    }
    let (listener, address) = if plan.unix { Listener::unix(&path)? } else { Listener::tcp()? };
    match plan.role {
        Role::Untouched => Ok((Upstream::Untouched(listener), address)),
        Role::NoRequest => Ok((Upstream::NoRequest(listener), address)),
        _ => Ok((Upstream::Scripted(Some(listener)), address)),
    }
}

fn named(side: &str, name: &str) -> String {
    format!("{side} {name}").trim_end().to_owned()
}

/// Where scripts report: the first failure ends the others.
struct Board<'a> {
    path: &'a Path,
    cancel: Cancel,
    found: Mutex<Vec<Failure>>,
}

impl Board<'_> {
    fn note(&self, who: &str, line: usize, outcome: Result<(), Mismatch>) {
        if let Err(mut mismatch) = outcome {
            if mismatch.cancelled {
                mismatch.message = format!("was here when the scenario failed ({})", mismatch.message);
            }
            lock(&self.found).push(Failure::at(self.path, line, who, mismatch));
            self.cancel.raise();
        }
    }
}

/// A script that has ended, with what it leaves open.
struct End {
    who: String,
    line: usize,
    connections: Vec<Open>,
    source: Source,
}

/// Plays an endpoint's script in a thread. What it opened closes with a script that fails, so that the others see the
/// end; else it stays open, so that bytes or connections beyond the script are seen.
fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut actor: Actor<'scope>,
    (who, line): (String, usize),
    steps: &'scope [Step],
    board: &'scope Board<'_>,
) -> ScopedJoinHandle<'scope, Option<End>> {
    scope.spawn(move || {
        let outcome = actor.play(steps);
        let is_whole = outcome.is_ok();
        board.note(&who, line, outcome);
        is_whole.then(|| End { who, line, connections: actor.connections, source: actor.source })
    })
}

fn left_over(connection: &mut Connection) -> Result<(), Mismatch> {
    let mut bytes = Vec::new();
    let _ = connection.read_to_end(&mut bytes);
    match bytes.is_empty() {
        true => Ok(()),
        false => Err(Mismatch::new("bytes came that the script does not expect").with_bytes(&bytes)),
    }
}

fn untouched(listener: &Listener) -> Result<(), Mismatch> {
    let Some(stream) = listener.accept_pending()? else { return Ok(()) };
    let mut bytes = Vec::new();
    let _ = Connection::new(stream, Cancel::default()).read_to_end(&mut bytes);
    Err(Mismatch::new("a connection came that the scenario does not expect").with_bytes(&bytes))
}

/// Whoever connected may have sent the beginning of a request and nothing that is malformed.
fn no_request(listener: &Listener) -> Result<(), Mismatch> {
    while let Some(stream) = listener.accept_pending()? {
        match Connection::new(stream, Cancel::default()).read_request() {
            Err(error) if error.is_end() => {}
            Err(error) => return Err(error.into()),
            Ok(request) => return Err(Mismatch::new("a whole request came").with_bytes(&request.raw)),
        }
    }
    Ok(())
}
