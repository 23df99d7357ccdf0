//! Step 9, first half: which cluster takes the request. The endpoint is the cluster's choice.

use usher_api::Exchange;
use usher_http::{FieldId, cookie};
use usher_net::Dialer;

use crate::path::Visit;
use crate::snapshot::{Destination, Route, Target};

/// The destination of a request; none if the route has no target.
pub(crate) fn destination<'r, D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    route: &'r Route,
) -> Option<&'r Destination> {
    match route.target.as_ref()? {
        Target::Cluster(destination) => Some(destination),
        Target::Split { between, sticky } => {
            let met = sticky.as_ref().and_then(|(name, _)| remembered(exchange, name, between.len()));
            let index = met.unwrap_or_else(|| {
                by_weight(visit.worker.random(), between.iter().map(|(_, weight)| *weight))
            });
            Some(&between.get(index)?.0)
        }
    }
}

/// The destination that a visitor's cookie names. It is an index: a visitor who forges it chooses a version, which is
/// all that the cookie can do.
fn remembered(exchange: &Exchange, name: &str, count: usize) -> Option<usize> {
    let value = cookie::find(exchange.request.fields.all(FieldId::Cookie), name.as_bytes())?;
    let index: usize = std::str::from_utf8(value).ok()?.parse().ok()?;
    (index < count).then_some(index)
}

/// An index, drawn by weight.
fn by_weight(random: u64, weights: impl Iterator<Item = u32> + Clone) -> usize {
    let sum: u64 = weights.clone().map(u64::from).sum();
    // The high bits times the sum, high half: unbiased enough for sums far below 2^32 (Lemire 2019).
    let mut drawn = ((u128::from(random) * u128::from(sum)) >> 64) as u64;
    for (index, weight) in weights.enumerate() {
        if drawn < u64::from(weight) {
            return index;
        }
        drawn -= u64::from(weight);
    }
    0
}

/// The Set-Cookie value that makes a visitor stay, if the route wants that and the visitor has none yet.
pub(crate) fn sticky_cookie(exchange: &Exchange, route: &Route) -> Option<Vec<u8>> {
    let Some(Target::Split { between, sticky: Some((name, max_age)) }) = &route.target else { return None };
    if remembered(exchange, name, between.len()).is_some() {
        return None;
    }
    let index = between.iter().position(|(to, _)| Some(to.cluster) == exchange.record.cluster)?.to_string();
    let mut set = cookie::SetCookie::new(name, &index);
    set.path = Some("/");
    set.http_only = true;
    set.secure = exchange.request.scheme == "https";
    set.same_site = Some(cookie::SameSite::Lax);
    set.max_age_seconds = max_age.map(|age| age.as_secs() as _);
    let mut value = Vec::new();
    set.write_to(&mut value).ok()?;
    Some(value)
}

#[cfg(test)]
mod tests;
