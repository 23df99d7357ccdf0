//! Splits, and what moves visitors from one of their targets to the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use usher_config::config::{self, RouteSettings, RouteTimeouts, Start, Unsure};
use usher_config::{Diagnostic, Spanned};

use super::build::{Building, Clusters};
use super::{Route, Snapshot, Target};
use crate::shift::{Names, Settings, Shift, Side, Tolerance};

/// A shift as one snapshot has it.
#[derive(Clone)]
pub struct ShiftPlan {
    /// What the config says of it.
    pub settings: Arc<Settings>,
    /// Where it stands; the same over all reloads, as long as it goes between the same targets.
    pub shift: Arc<Shift>,
    /// Which of the two destinations is the new one.
    pub new: usize,
}

impl ShiftPlan {
    /// The index of a side's destination.
    pub fn index(&self, side: Side) -> usize {
        if side == Side::New { self.new } else { 1 - self.new.min(1) }
    }

    /// The side of a destination.
    pub fn side(&self, index: usize) -> Side {
        if index == self.new { Side::New } else { Side::Old }
    }
}

impl Route {
    /// What moves its visitors, if anything does.
    pub fn shift(&self) -> Option<&ShiftPlan> {
        match &self.target {
            Some(Target::Split { shift, .. }) => shift.as_ref(),
            _ => None,
        }
    }
}

impl Snapshot {
    /// Everything that moves visitors.
    pub fn shifts(&self) -> impl Iterator<Item = &ShiftPlan> {
        self.routes.iter().filter_map(Route::shift)
    }
}

impl<'a> Building<'a> {
    /// A split, with its destinations and what moves visitors between them.
    pub(super) fn split(
        &mut self,
        (split, route): (&config::Split, &str),
        settings: &RouteSettings<'_>,
        clusters: &mut Clusters,
        waits: &mut RouteTimeouts,
    ) -> Target {
        let mut between = Vec::new();
        for side in &split.between {
            let destination = side.target().and_then(|target| {
                self.destination((target, side.subset.as_ref()), settings, clusters, waits)
            });
            // Without a weight there is a shift, or an error.
            between.extend(destination.map(|destination| (destination, side.weight.unwrap_or(1))));
        }
        let sticky = split.sticky.as_ref().map(|sticky| (sticky.cookie.clone(), sticky.max_age));
        if let (Some(shift), [(one, _), (other, _)]) = (&split.shift, between.as_slice())
            && one.cluster == other.cluster
        {
            let error = Diagnostic::error("both targets of the shift are the same").at(shift.span, "");
            self.push(error.help("a shift moves from one version to another: name other endpoints"));
        }
        let shift = split.shift.as_ref().and_then(|shift| self.shift((split, shift), route));
        Target::Split { between, sticky, shift }
    }

    fn shift(&mut self, (split, shift): (&config::Split, &config::Shift), route: &str) -> Option<ShiftPlan> {
        let new = split.moves_to()?;
        let [one, other] = split.between.as_slice() else { return None };
        let (old, to) = if new == 0 { (other, one) } else { (one, other) };
        let names = Names { old: name(old), new: name(to), release: shift.release.clone() };
        let Names { old, new: to, release } = &names;
        // What is not in here may change while the shift goes on.
        let key = format!("shift of route {route} from {old} to {to}, release {release:?}");
        let settings = Settings {
            route: route.to_owned(),
            steps: shift.steps.iter().map(|share| share.millionths()).collect(),
            every: shift.every,
            min_requests: shift.min_requests,
            advances_unsure: shift.unsure == Unsure::Advance,
            tolerance: Tolerance {
                failures: shift.tolerate.failures.fraction(),
                micros: shift.tolerate.time.as_micros() as u64,
                share: shift.tolerate.time_share.fraction(),
            },
            false_alarms: shift.false_alarms.fraction(),
            manual: shift.start == Start::Manual,
            names,
        };
        Some(ShiftPlan { settings: Arc::new(settings), shift: self.carry.keep(key, Shift::default), new })
    }
}

/// What a target is called: the same for the same endpoints, over reloads and restarts.
fn name(target: &config::SplitTarget) -> String {
    let labels = |labels: &Spanned<BTreeMap<String, String>>| {
        let all: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        format!(" [{}]", all.join(", "))
    };
    let subset = target.subset.as_ref().map(labels).unwrap_or_default();
    match (&target.cluster, &target.to) {
        (Some(cluster), _) => format!("{}{subset}", cluster.value),
        (None, Some(to)) => {
            to.iter().map(|endpoint| endpoint.address.to_string()).collect::<Vec<_>>().join(", ")
        }
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests;
