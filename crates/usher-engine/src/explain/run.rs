//! The dry run: the steps of [`crate::path`], in their order.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;
use usher_api::metrics::Registry;
use usher_api::{Error, Exchange, Flow, Reply, Would};
use usher_config::ByteSize;
use usher_http::Framing;
use usher_http::sanitize::{Facts, Scratch, sanitize};
use usher_http::trust::{ClientText, is_claim};
use usher_net::{Address, Dialer, MemoryStream};
use usher_route::Reason;
use usher_wire::{Connection, WireError};

use super::answer::own;
use super::diff::{Line, Moment, lines};
use super::{
    Client, Explanation, FilterRun, Meaning, Question, Refusal, RouteFound, settings, upstream, why,
};
use crate::path::Visit;
use crate::snapshot::{ListenerSpec, Route, RouteFilter, Snapshot};
use crate::steps::{reply, route, sanitize as trust};
use crate::subject::Asking;
use crate::worker::Worker;

/// Where chance has a say, the same question has the same answer.
const SEED: u64 = 0x5EED;

/// Reaches nobody.
pub(super) struct Nowhere;

impl Dialer for Nowhere {
    type Stream = MemoryStream;

    async fn dial(&self, _: &Address) -> io::Result<MemoryStream> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A request that was understood.
pub(super) struct Understood {
    facts: Facts,
    upgrade: Vec<u8>,
    /// The client's fields.
    came: Vec<Line>,
    line: String,
}

impl Understood {
    pub(super) fn came(&self) -> (&[Line], &str) {
        (&self.came, &self.line)
    }
}

/// Explains a request whose head is given.
pub(super) fn run(
    snapshot: &Arc<Snapshot>,
    question: &Question,
    (listener, index): (&Arc<ListenerSpec>, u32),
    head: &[u8],
) -> Explanation {
    let (peer, local) = question.ends(listener);
    let mut told = begin(question, listener, peer);
    let client = usher_api::Client {
        ip: None,
        peer,
        local,
        trusted: false,
        listener: listener.name.clone(),
        tls: None,
    };
    let mut exchange = Exchange { client, ..Exchange::default() };
    let understood = match understand(head, listener, &mut exchange) {
        Ok(understood) => understood,
        Err(refusal) => {
            told.refusal = Some(refusal);
            return told;
        }
    };
    let metrics = Registry::new("").register_worker();
    let worker = Worker::new(Nowhere, snapshot.clone(), metrics, Arc::new(AtomicU32::new(0)), SEED);
    let visit = Visit {
        is_known: false,
        worker: &worker,
        local: worker.local(),
        listener,
        listener_index: index,
        deadline: &worker.deadlines.register(),
        client: &ClientText::new(peer.map(|peer| peer.ip()), local),
        peer,
        started: Instant::now(),
        upgrade: &understood.upgrade,
        facts: understood.facts,
    };
    told.meaning = Some(meaning(&exchange, &understood));
    let tcp = listener.tcp.as_ref().map(|onward| ("TCP", &onward.destination));
    let udp = listener.udp.as_ref().map(|onward| ("UDP", &onward.destination));
    if let Some((carried, destination)) = tcp.or(udp) {
        let cluster = snapshot.clusters.get(destination.cluster as usize);
        let name = cluster.map_or("", |cluster| &*cluster.name);
        told.notes.push(format!("this listener carries {carried}, to `{name}`: no route sees what is asked"));
        return told;
    }
    if let Some(cluster) = passed_on(snapshot, listener, &exchange.request.host) {
        told.notes.push(format!(
            "a TLS connection for this host is passed on still encrypted, to `{cluster}`: no route sees its requests"
        ));
        return told;
    }
    serve(&visit, &mut exchange, &understood, &mut told);
    told
}

/// The cluster that a listener passes connections for a host on to.
fn passed_on(snapshot: &Snapshot, listener: &ListenerSpec, host: &str) -> Option<Arc<str>> {
    let rule = listener.tls.as_ref()?.passthrough.iter().find(|rule| rule.takes(host))?;
    Some(snapshot.clusters.get(rule.onward.destination.cluster as usize)?.name.clone())
}

fn begin(question: &Question, listener: &ListenerSpec, peer: Option<SocketAddr>) -> Explanation {
    let peer = peer.map(|peer| peer.ip());
    let mut notes = Vec::new();
    match (question.is_https(), listener.tls.is_some()) {
        (true, false) => notes.push("explained as a request over http: this listener has no TLS".to_owned()),
        (false, true) => notes.push("explained as a request over https: this listener has TLS".to_owned()),
        _ => {}
    }
    if listener.proxy_protocol.is_some() {
        notes.push("on this listener the client's address is what the PROXY header says of it".to_owned());
    }
    Explanation {
        asked: (question.method.clone(), question.url.clone()),
        listener: listener.name.to_string(),
        client: Client { peer, ip: peer, trusted: false },
        notes,
        ..Explanation::default()
    }
}

/// Steps 3 and 4: reads the head as a connection does.
fn understand(head: &[u8], listener: &ListenerSpec, exchange: &mut Exchange) -> Result<Understood, Refusal> {
    let (stream, _client) = MemoryStream::pair(1);
    let mut connection = Connection::with_input(stream, head);
    let request = &mut exchange.request;
    let mut reading = pin!(poll_fn(|cx| connection.poll_request(cx, &listener.head, request)));
    let read = match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read,
        Poll::Pending => Err(WireError::Truncated),
    };
    read.map_err(|error| why::of_wire(&error))?;
    let request = &mut exchange.request;
    request.scheme = if listener.tls.is_some() { "https" } else { "http" };
    let came = lines(&request.fields);
    let target = String::from_utf8_lossy(request.raw_target()).into_owned();
    let line = format!("{} {target} {}", request.method.as_str(), request.version.as_str());
    let mut upgrade = Vec::new();
    let facts = sanitize(request, &mut Scratch::default(), &mut upgrade).map_err(why::of_sanitize)?;
    if !facts.upgrade {
        upgrade.clear();
    }
    Ok(Understood { facts, upgrade, came, line })
}

fn meaning(exchange: &Exchange, understood: &Understood) -> Meaning {
    let request = &exchange.request;
    let raw = String::from_utf8_lossy(request.raw_target()).into_owned();
    let raw = raw.split_once('?').map_or(raw.as_str(), |(path, _)| path);
    let raw = raw.split_once("://").map_or(raw, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    Meaning {
        host: request.host.clone(),
        path: request.path.clone(),
        path_came: (raw != request.path).then(|| raw.to_owned()),
        query: request.query.clone(),
        upgrade: Some(String::from_utf8_lossy(&understood.upgrade).into_owned())
            .filter(|text| !text.is_empty()),
    }
}

/// Steps 4 to 10, as [`crate::path`] has them.
fn serve(
    visit: &Visit<'_, Nowhere>,
    exchange: &mut Exchange,
    understood: &Understood,
    told: &mut Explanation,
) {
    trust::trust(visit, exchange);
    told.client.ip = exchange.client.ip;
    told.client.trusted = exchange.client.trusted;
    told.notes.extend(claims(visit, exchange, understood));
    told.route = Some(near_and_far(visit, exchange));
    let index = match route::find(visit, exchange) {
        Ok(index) => index,
        Err(reply) => {
            told.reply = Some(own(visit, exchange, reply));
            return;
        }
    };
    exchange.record.route = Some(index);
    let Some(route) = visit.local.shared.routes.get(index as usize) else { return };
    if let Some(reply) = route::to_https(visit, exchange, route) {
        told.reply = Some(own(visit, exchange, reply));
        return;
    }
    (told.limits, told.timeouts) = settings::of(visit.listener, route);
    let replied = match filters(visit, exchange, route, told) {
        Ok(replied) => replied,
        Err(error) => Some(reply::of_error(exchange, &error)),
    };
    if let Some(reply) = replied {
        told.reply = Some(own(visit, exchange, reply));
        return;
    }
    upstream::forward(visit, exchange, route, (understood, told));
}

/// What became of the forwarding fields that the client sent.
fn claims(visit: &Visit<'_, Nowhere>, exchange: &Exchange, understood: &Understood) -> Option<String> {
    let forwarding = |name: &str| {
        let known = ["forwarded", "x-real-ip"].iter().any(|known| name.eq_ignore_ascii_case(known));
        known || is_claim(name.as_bytes())
    };
    understood.came.iter().find(|(name, _)| forwarding(name))?;
    let peer = visit.peer.map_or_else(|| "unix".to_owned(), |peer| peer.ip().to_string());
    Some(if exchange.client.trusted {
        format!("`{peer}` is in `trusted_proxies`: what it says of the client is believed, and passed on")
    } else {
        format!("`{peer}` is not in `trusted_proxies`: what it says of the client is replaced")
    })
}

fn near_and_far(visit: &Visit<'_, Nowhere>, exchange: &Exchange) -> RouteFound {
    let snapshot = &visit.local.shared;
    let found = snapshot.router.explain(&Asking { exchange, listener: visit.listener_index });
    let near = found.near.into_iter().map(|miss| (miss.name, lost(snapshot, &miss.reason)));
    let mut route =
        RouteFound { near: near.collect(), more: found.more, allowed: found.allowed, ..Default::default() };
    if let Some(chosen) = found.chosen {
        route.name = Some(chosen.name);
        route.host = chosen.host;
        route.path = chosen.path;
        route.captures = chosen.captures;
    }
    route
}

/// Why a route lost. The router knows listeners by number only.
fn lost(snapshot: &Snapshot, reason: &Reason) -> String {
    let Reason::Listener { got, wants } = reason else { return reason.to_string() };
    let name = |index: &u32| match snapshot.listeners.get(*index as usize) {
        Some(listener) => format!("`{}`", listener.name),
        None => format!("number {index}"),
    };
    let wants: Vec<String> = wants.iter().map(name).collect();
    format!("listener is {}, the route wants {}", name(got), wants.join(" or "))
}

/// Steps 6 and 7. A reply ends the path; one that is only told of does not, so that the rest can be shown.
fn filters(
    visit: &Visit<'_, Nowhere>,
    exchange: &mut Exchange,
    route: &Route,
    told: &mut Explanation,
) -> Result<Option<Box<Reply>>, Error> {
    let framing = visit.facts.framing;
    route
        .check_length(framing, None)
        .inspect_err(|_| told.notes.extend(too_large(route.max_body, framing)))?;
    for entry in &route.filters {
        if let Some(limit) = entry.filter.body_limit().filter(|_| exchange.body.is_none()) {
            let (name, most) = (entry.name, size(limit));
            told.notes.push(format!("`{name}` has the whole body collected first, up to {most}"));
            route
                .check_length(framing, Some(limit))
                .inspect_err(|_| told.notes.extend(too_large(Some(limit), framing)))?;
            exchange.body = Some(Vec::new());
        }
        let (step, reply) = filter(exchange, entry);
        told.filters.push(step);
        if reply.is_some() {
            return Ok(reply);
        }
    }
    exchange.body = None;
    Ok(None)
}

fn too_large(limit: Option<u64>, framing: Framing) -> Option<String> {
    let (Some(limit), Framing::Length(length)) = (limit, framing) else { return None };
    Some(format!("the body of {length} bytes is larger than {limit}: the answer is 413"))
}

fn filter(exchange: &mut Exchange, entry: &RouteFilter) -> (FilterRun, Option<Box<Reply>>) {
    let before = Moment::of(&exchange.request);
    let dry = entry.filter.dry_run(exchange);
    let told = dry.is_some();
    let (would, verdict, reply) = match dry {
        Some(dry) => (dry.would, dry.to_string(), None),
        None => match entry.filter.on_request(exchange) {
            Flow::Continue => (Would::Continue, String::new(), None),
            Flow::Respond(reply) => {
                (Would::Respond(reply.status), format!("answers {}", reply.status), Some(reply))
            }
            Flow::Wait(_) => (Would::Ask, "would wait for an answer from elsewhere".to_owned(), None),
        },
    };
    let changes = before.changes(&exchange.request);
    let verdict = match verdict.as_str() {
        "" if changes.is_empty() => "changes nothing in this request".to_owned(),
        _ => verdict,
    };
    let set_to = entry.filter.describe();
    (FilterRun { name: entry.name, phase: entry.phase, set_to, would, verdict, told, changes }, reply)
}

pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}
