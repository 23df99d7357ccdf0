//! Steps 9 and 10: where the request goes, and what is sent there.

use std::rc::Rc;

use usher_api::Exchange;
use usher_config::EndpointAddress;
use usher_config::value::format_duration;
use usher_http::Framing;
use usher_net::{Address, MemoryStream};
use usher_wire::{Connection, RequestContext};

use super::answer::own_error;
use super::diff::{Line, marked};
use super::run::{Nowhere, Understood};
use super::{DestinationChosen, Explanation, Sent, Setting};
use crate::cluster::{Cluster, Lease};
use crate::path::Visit;
use crate::shift;
use crate::snapshot::{ClusterSpec, Destination, Mirror, ResolvedEndpoint, Route, Target};
use crate::steps::choose;

/// Tells where the request goes. The endpoint is taken by the cluster's own choice.
pub(super) fn forward(
    visit: &Visit<'_, Nowhere>,
    exchange: &mut Exchange,
    route: &Route,
    (understood, told): (&Understood, &mut Explanation),
) {
    let Some(destination) = choose::destination(visit, exchange, route) else { return };
    let Some(cluster) = visit.local.clusters.get(destination.cluster as usize) else { return };
    exchange.record.cluster = Some(destination.cluster);
    with_names(visit, cluster);
    let lease = cluster.pick(exchange, &[]);
    told.destination = Some(chosen(visit, exchange, route, destination));
    timeouts(destination, &mut told.timeouts);
    told.notes.extend(besides(visit, route));
    let lease = match lease {
        Ok(lease) => lease,
        Err(error) => {
            told.reply = Some(own_error(visit, exchange, &error));
            return;
        }
    };
    let label = &lease.endpoint.resolved.label;
    exchange.endpoint = Some(label.clone());
    if let Some(told) = &mut told.destination {
        told.endpoint = Some(label.to_string());
    }
    if cluster.spec.endpoints.iter().any(|one| is_name(one) && one.label == *label) {
        told.notes
            .push(format!("`{label}` stands for all addresses that the name resolves to while serving"));
    }
    told.upstream = Some(sent(visit, exchange, (cluster, &lease), understood));
    cluster.release(&lease, None);
}

/// What a dry run cannot show of where requests go.
fn besides(visit: &Visit<'_, Nowhere>, route: &Route) -> Vec<String> {
    let names = &visit.local.shared.clusters;
    let copied = |mirror: &Mirror| {
        let cluster = names.get(mirror.destination.cluster as usize)?;
        let share = f64::from(mirror.share) * 100.0 / f64::from(shift::WHOLE);
        Some(format!("copies of {share}% of these requests go to `{}`", cluster.name))
    };
    let mut notes: Vec<String> = route.mirrors.iter().filter_map(copied).collect();
    if route.shift().is_some() {
        notes.push(
            "the shares move by themselves: `usher shift` tells what they are while serving".to_owned(),
        );
    }
    notes
}

fn is_name(endpoint: &crate::snapshot::EndpointSpec) -> bool {
    matches!(endpoint.address, EndpointAddress::Name { .. } | EndpointAddress::Service { .. })
}

/// Names are resolved while serving only. Here each name that is not resolved stands for one endpoint, so that the
/// balancer has something to choose from; nobody is dialed.
fn with_names(visit: &Visit<'_, Nowhere>, cluster: &Cluster<MemoryStream>) {
    let spec: &ClusterSpec = &cluster.spec;
    let known = |label: &str| spec.resolved.iter().any(|one| *one.label == *label);
    let missing = spec.endpoints.iter().filter(|one| is_name(one) && !known(&one.label));
    let missing: Vec<ResolvedEndpoint> =
        missing.map(|one| one.at(Address::Unix(format!("{}", one.address).into()))).collect();
    if !missing.is_empty() {
        let all: Vec<ResolvedEndpoint> = spec.resolved.iter().cloned().chain(missing).collect();
        cluster.update(&all, visit.worker.random(), &visit.worker.metrics);
    }
}

fn chosen(
    visit: &Visit<'_, Nowhere>,
    exchange: &Exchange,
    route: &Route,
    destination: &Destination,
) -> DestinationChosen {
    let clusters = &visit.local.shared.clusters;
    let name = |one: &Destination| {
        clusters.get(one.cluster as usize).map_or_else(String::new, |one| one.name.to_string())
    };
    let (how, shares) = match &route.target {
        Some(Target::Split { between, sticky, shift: Some(plan) }) => {
            let share = f64::from(plan.shift.share()) * 100.0 / f64::from(shift::WHOLE);
            let shares = between.iter().enumerate().map(|(index, (one, _))| {
                let is_new = plan.side(index) == shift::Side::New;
                (name(one), if is_new { share } else { 100.0 - share })
            });
            let how = match sticky {
                Some((cookie, _)) => {
                    format!("moved by a shift; the cookie `{cookie}` says when a visitor is")
                }
                None => "moved by a shift, drawn anew for each request".to_owned(),
            };
            (how, shares.collect())
        }
        Some(Target::Split { between, sticky, shift: None }) => {
            let sum: f64 = between.iter().map(|(_, weight)| f64::from(*weight)).sum::<f64>().max(1.0);
            let shares = between.iter().map(|(one, weight)| (name(one), f64::from(*weight) * 100.0 / sum));
            let how = match (sticky, choose::sticky_cookie(exchange, route, || 0)) {
                (Some((cookie, _)), None) => format!("remembered by the cookie `{cookie}`"),
                (Some((cookie, _)), Some(_)) => {
                    format!("drawn by weight; the cookie `{cookie}` keeps the visitor there")
                }
                (None, _) => "drawn by weight, anew for each request".to_owned(),
            };
            (how, shares.collect())
        }
        _ => ("the route's target".to_owned(), Vec::new()),
    };
    let spec = clusters.get(destination.cluster as usize);
    let endpoints = spec.iter().flat_map(|spec| &spec.endpoints);
    DestinationChosen {
        cluster: name(destination),
        how,
        shares,
        balance: spec.map_or("", |spec| spec.balance_name).to_owned(),
        endpoints: endpoints.map(|one| (one.label.to_string(), one.weight)).collect(),
        endpoint: None,
    }
}

fn timeouts(destination: &Destination, told: &mut Vec<Setting>) {
    let own = &destination.timeouts;
    for (name, value) in [("connect", own.connect), ("first_byte", own.first_byte), ("idle", own.idle)] {
        told.push(Setting { name, value: format_duration(value), of: "upstream" });
    }
}

/// The head, as the driver writes it.
fn sent(
    visit: &Visit<'_, Nowhere>,
    exchange: &Exchange,
    (cluster, lease): (&Rc<Cluster<MemoryStream>>, &Lease<MemoryStream>),
    understood: &Understood,
) -> Sent {
    let host = cluster.spec.host_for(&exchange.request.authority, &lease.endpoint.resolved);
    let upgrade = Some(visit.upgrade).filter(|protocol| !protocol.is_empty());
    let context = RequestContext { upgrade, takes_trailers: visit.facts.takes_trailers, trailers: None };
    let (stream, _endpoint) = MemoryStream::pair(1);
    let mut connection = Connection::new(stream);
    connection.begin_request(&exchange.request, host.as_bytes(), visit.facts.framing, context);
    let head = String::from_utf8_lossy(connection.output()).into_owned();
    let mut head = head.split("\r\n");
    let line = head.next().unwrap_or_default().to_owned();
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let lines: Vec<Line> = head.filter_map(field).collect();
    let (came, came_line) = understood.came();
    let (fields, dropped) = marked(came, lines);
    let came = (came_line != line).then(|| came_line.to_owned());
    let body = match visit.facts.framing {
        Framing::None => "none".to_owned(),
        Framing::Length(length) => format!("{length} bytes, passed on as they come"),
        Framing::Chunked | Framing::Close => "in chunks, passed on as they come".to_owned(),
    };
    Sent { line, came, fields, dropped, body }
}
