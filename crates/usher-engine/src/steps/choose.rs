//! Step 9, first half: which cluster takes the request. The endpoint is the cluster's choice.

use usher_api::Exchange;
use usher_http::{FieldId, cookie};
use usher_net::Dialer;

use crate::path::Visit;
use crate::shift;
use crate::snapshot::{Destination, Route, ShiftPlan, Target};

/// The destination of a request; none if the route has no target.
#[inline]
pub(crate) fn destination<'r, D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    route: &'r Route,
) -> Option<&'r Destination> {
    match route.target.as_ref()? {
        Target::Cluster(destination) => Some(destination),
        split => one_of(visit, exchange, split),
    }
}

#[inline(never)]
fn one_of<'r, D: Dialer>(
    visit: &Visit<'_, D>,
    exchange: &mut Exchange,
    target: &'r Target,
) -> Option<&'r Destination> {
    let (between, index) = match target {
        Target::Cluster(destination) => return Some(destination),
        Target::Split { between, sticky, shift: Some(plan) } => {
            let met = sticky.as_ref().and_then(|(name, _)| numbered(exchange, name));
            let number = met.unwrap_or_else(|| shift::below(visit.worker.random(), shift::WHOLE));
            (between, plan.index(plan.shift.side_of(number)))
        }
        Target::Split { between, sticky, shift: None } => {
            let met = sticky.as_ref().and_then(|(name, _)| remembered(exchange, name, between.len()));
            let index = met.unwrap_or_else(|| {
                by_weight(visit.worker.random(), between.iter().map(|(_, weight)| *weight))
            });
            (between, index)
        }
    };
    exchange.record.split = u32::try_from(index).ok();
    Some(&between.get(index)?.0)
}

/// The destination that a visitor's cookie names. It is an index: a visitor who forges it chooses a version, which is
/// all that the cookie can do.
fn remembered(exchange: &Exchange, name: &str, count: usize) -> Option<usize> {
    let value = cookie::find(exchange.request.fields.all(FieldId::Cookie), name.as_bytes())?;
    let index: usize = std::str::from_utf8(value).ok()?.parse().ok()?;
    (index < count).then_some(index)
}

/// The number that a visitor's cookie gives, where visitors are moved from one target to another. One who forges it chooses
/// when to be moved, which is all that it can do. The letter tells it from an index.
fn numbered(exchange: &Exchange, name: &str) -> Option<u32> {
    let value = cookie::find(exchange.request.fields.all(FieldId::Cookie), name.as_bytes())?;
    let digits = value.strip_prefix(b"v").filter(|digits| digits.len() == 6)?;
    // The sign that `parse` takes is none of six digits of ours.
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number < shift::WHOLE)
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
#[inline]
pub(crate) fn sticky_cookie(
    exchange: &Exchange,
    route: &Route,
    random: impl FnOnce() -> u64,
) -> Option<Vec<u8>> {
    match &route.target {
        Some(Target::Split { sticky: Some(_), .. }) => cookie_of_split(exchange, route, random),
        _ => None,
    }
}

#[inline(never)]
fn cookie_of_split(exchange: &Exchange, route: &Route, random: impl FnOnce() -> u64) -> Option<Vec<u8>> {
    let Some(Target::Split { between, sticky: Some((name, max_age)), shift }) = &route.target else {
        return None;
    };
    let known = match shift {
        Some(_) => numbered(exchange, name).is_some(),
        None => remembered(exchange, name, between.len()).is_some(),
    };
    if known {
        return None;
    }
    let index = exchange.record.split? as usize;
    let value = match shift {
        Some(plan) => number(plan, index, random())?,
        None => index.to_string(),
    };
    let mut set = cookie::SetCookie::new(name, &value);
    set.path = Some("/");
    set.http_only = true;
    set.secure = exchange.request.scheme == "https";
    set.same_site = Some(cookie::SameSite::Lax);
    set.max_age_seconds = max_age.map(|age| age.as_secs() as _);
    let mut value = Vec::new();
    set.write_to(&mut value).ok()?;
    Some(value)
}

/// A number for a visitor who was sent to this destination, as a cookie has it.
fn number(plan: &ShiftPlan, index: usize, random: u64) -> Option<String> {
    plan.shift.number_on(plan.side(index), random).map(|number| format!("v{number:06}"))
}

/// Counts what became of a request whose route moves visitors from one target to another. One that was served by what
/// takes the place of its target while the circuit of that is open says nothing about it.
#[inline]
pub(crate) fn note_outcome(exchange: &Exchange, route: &Route) {
    if exchange.record.split.is_some() {
        note_outcome_of_split(exchange, route);
    }
}

#[inline(never)]
fn note_outcome_of_split(exchange: &Exchange, route: &Route) {
    let record = &exchange.record;
    let (Some(Target::Split { between, shift: Some(plan), .. }), Some(index)) = (&route.target, record.split)
    else {
        return;
    };
    let index = index as usize;
    if between.get(index).is_some_and(|(to, _)| Some(to.cluster) == record.cluster) {
        plan.shift.note(plan.side(index), exchange);
    }
}

#[cfg(test)]
mod tests;
