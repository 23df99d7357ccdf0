//! What the tests of several filters need: a filter from a text, and an exchange for it.

use std::sync::Arc;

use usher_api::{BuildContext, Carry, Exchange, Filter, FilterFactory, Flow, OnRoute, Piece, Reply};
use usher_config::read::read;
use usher_config::{Context, Format, Node, Report, Sources};

/// Builds a filter from a document with its key at the top. The findings are rendered; empty if there are none.
pub(super) fn try_build(
    factory: &FilterFactory,
    file: (&str, &str, &str),
    carry: &mut Carry,
) -> (Option<Arc<dyn Filter>>, String) {
    try_build_for(factory, file, carry, false)
}

fn try_build_for(
    factory: &FilterFactory,
    (name, directory, text): (&str, &str, &str),
    carry: &mut Carry,
    forwards: bool,
) -> (Option<Arc<dyn Filter>>, String) {
    let mut sources = Sources::new();
    let id = sources.add(name, directory, text.to_owned());
    let document = match read(&sources, id, Format::Toml) {
        Ok(document) => document,
        Err(found) => return (None, Report::new(found, sources).render(false)),
    };
    let mut context = Context::new(&sources);
    let node = document.root.get(factory.name).unwrap_or(&document.root);
    let filter = {
        let outer: Vec<&Node> = document.root.get("outer").into_iter().collect();
        let route = OnRoute { forwards, outer: &outer };
        let mut cx = BuildContext { config: &mut context, carry, scope: "route test", route };
        (factory.build)(node, &mut cx)
    };
    let (failed, found) = (context.has_errors(), context.finish());
    let report = if found.is_empty() { String::new() } else { Report::new(found, sources).render(false) };
    (filter.filter(|_| !failed), report)
}

/// Builds a filter from a text that has no errors.
pub(super) fn build(factory: &FilterFactory, text: &str) -> Arc<dyn Filter> {
    build_with(factory, text, &mut Carry::default())
}

/// As [`build`], for a route that also sends requests on.
pub(super) fn build_before_target(factory: &FilterFactory, text: &str) -> Arc<dyn Filter> {
    let mut carry = Carry::default();
    let (filter, report) = try_build_for(factory, ("test", ".", text), &mut carry, true);
    filter.unwrap_or_else(|| panic!("{report}"))
}

/// As [`build`], with state from builds before.
pub(super) fn build_with(factory: &FilterFactory, text: &str, carry: &mut Carry) -> Arc<dyn Filter> {
    let (filter, report) = try_build(factory, ("test", ".", text), carry);
    filter.unwrap_or_else(|| panic!("{report}"))
}

/// A GET request of `http://example.com` for this path and query.
pub(super) fn exchange(target: &str) -> Exchange {
    let mut exchange = Exchange::default();
    exchange.request.clear();
    "example.com".clone_into(&mut exchange.request.host);
    "example.com".clone_into(&mut exchange.request.authority);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    path.clone_into(&mut exchange.request.path);
    exchange.request.query = query.map(str::to_owned);
    exchange.client.ip = Some([192, 0, 2, 1].into());
    exchange
}

/// Adds a field to the request.
pub(super) fn with(mut exchange: Exchange, name: &str, value: &str) -> Exchange {
    exchange.request.fields.add(name.as_bytes(), value.as_bytes()).expect("a valid field");
    exchange
}

/// The reply of a filter; none if it goes on.
pub(super) fn reply(filter: &dyn Filter, exchange: &mut Exchange) -> Option<Reply> {
    settle(filter.on_request(exchange), exchange)
}

/// What a flow comes to, after all waiting.
pub(super) fn settle(flow: Flow, exchange: &mut Exchange) -> Option<Reply> {
    match flow {
        Flow::Continue => None,
        Flow::Respond(reply) => Some(*reply),
        Flow::Wait(future) => {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let resume = runtime.block_on(future);
            settle(resume(exchange), exchange)
        }
    }
}

/// The first value of a field of a reply.
pub(super) fn field<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The whole body of a reply.
pub(super) fn body(reply: &Reply) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let mut out = Vec::new();
    for piece in &reply.body {
        match piece {
            Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            Piece::Shared(bytes) => out.extend_from_slice(bytes),
            Piece::File { file, offset, len } => {
                let mut part = vec![0; usize::try_from(*len).expect("a small file")];
                file.read_exact_at(&mut part, *offset).expect("the range is inside of the file");
                out.extend(part);
            }
        }
    }
    out
}

/// The values of a field of the request.
pub(super) fn request_field<'e>(exchange: &'e Exchange, name: &'e str) -> Vec<&'e str> {
    let values = exchange.request.fields.all_named(name.as_bytes());
    values.map(|value| std::str::from_utf8(value).expect("text")).collect()
}
