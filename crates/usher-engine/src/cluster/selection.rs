//! Who may be chosen, as far as no single request matters: by weight, by how an endpoint stands, and by its group.
//!
//! Groups as in Envoy: the first takes what share of it is well, measured against `spill_over`, and the next ones what
//! is left. With a `spill_over` of nothing that is nginx's and HAProxy's `backup`: others are asked when nobody is left.
//!
//! Where endpoints of the own zone are preferred, what a group takes is shared out among those and the others of it in the
//! same way, as Envoy does within a priority: the own zone takes what it can, and the others get what is left.

use std::cmp::Ordering;

use usher_config::config::PanicThreshold;

use crate::snapshot::Care;

/// Everything; shares are millionths.
const ALL: u64 = 1_000_000;

/// An endpoint, as it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// It has a weight, and nobody took it out by hand.
    pub askable: bool,
    /// Probes succeed, and it was not ejected.
    pub well: bool,
    pub priority: u8,
    /// It is not in the zone of this proxy, and those that are go first.
    pub elsewhere: bool,
}

impl Member {
    /// The number of its group.
    fn group(&self) -> u8 {
        self.priority * 2 + u8::from(self.elsewhere)
    }
}

/// Who may be chosen.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// By endpoint: it may be chosen in some group.
    open: Vec<bool>,
    /// By endpoint: its group.
    members: Vec<u8>,
    /// The groups that take requests, and up to where in [`ALL`] a draw goes to each.
    groups: Vec<(u8, u64)>,
}

impl Selection {
    pub(super) fn new(members: &[Member], care: Care) -> Self {
        let askable = members.iter().filter(|one| one.askable).count() as u64;
        let well = members.iter().filter(|one| one.askable && one.well).count() as u64;
        let panics = match care.panic {
            PanicThreshold::Off => false,
            PanicThreshold::Share(share) => well * ALL <= u64::from(share.millionths()) * askable,
        };
        let open: Vec<bool> = members.iter().map(|one| one.askable && (one.well || panics)).collect();
        // Panic is about who is asked within a group: one in which nobody is well gets nothing while others have somebody.
        let takes: Vec<bool> =
            members.iter().zip(&open).map(|(one, open)| *open && (one.well || well == 0)).collect();
        let groups = groups(members, &takes, care);
        let members = members.iter().map(Member::group).collect();
        Self { open, members, groups }
    }

    /// Whether all requests go to one group.
    pub(super) fn is_single(&self) -> bool {
        self.groups.len() <= 1
    }

    /// The group that takes a request, by a random number.
    pub(super) fn draw(&self, random: u64) -> Option<u8> {
        // The high half of the product: unbiased enough for so few (Lemire 2019).
        let drawn = ((u128::from(random) * u128::from(ALL)) >> 64) as u64;
        let found = self.groups.iter().find(|(_, until)| drawn < *until).or(self.groups.last());
        found.map(|(group, _)| *group)
    }

    /// The group of an endpoint.
    pub(super) fn group_of(&self, index: usize) -> Option<u8> {
        self.members.get(index).copied()
    }

    /// Whether the endpoint may be chosen by a request that this group takes.
    pub(super) fn is_in(&self, index: usize, group: Option<u8>) -> bool {
        self.is_open(index) && self.members.get(index).copied() == group
    }

    /// Whether the endpoint may be chosen by a request that its own group cannot take.
    pub(super) fn is_open(&self, index: usize) -> bool {
        self.open.get(index).copied().unwrap_or_default()
    }
}

/// The groups with what each takes, summed up.
fn groups(members: &[Member], takes: &[bool], care: Care) -> Vec<(u8, u64)> {
    let spill_over = u64::from(care.spill_over.millionths());
    let mut priorities: Vec<u8> = members.iter().map(|one| one.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    let mut taken = 0;
    let mut groups = Vec::new();
    for priority in priorities {
        let counts = |is_in: &dyn Fn(&Member) -> bool| {
            let of_it = || members.iter().zip(takes).filter(|(one, _)| is_in(one) && one.askable);
            (of_it().count() as u64, of_it().filter(|(_, takes)| **takes).count() as u64)
        };
        let can = share(counts(&|one| one.priority == priority), spill_over);
        if can == 0 || taken == ALL {
            continue;
        }
        let takes = can.min(ALL - taken);
        let near = counts(&|one| one.priority == priority && !one.elsewhere);
        let (_, elsewhere) = counts(&|one| one.priority == priority && one.elsewhere);
        let kept = match care.locality {
            Some(limit) if elsewhere > 0 => takes * share(near, limit.millionths().into()) / ALL,
            _ => takes,
        };
        let end = taken + takes;
        groups.extend((kept > 0).then_some((priority * 2, taken + kept)));
        groups.extend((kept < takes).then_some((priority * 2 + 1, end)));
        taken = end;
    }
    // Where all together are too few, they share everything in the same proportions.
    if let Some(&(_, last)) = groups.last()
        && last.cmp(&ALL) == Ordering::Less
    {
        groups.iter_mut().for_each(|(_, until)| *until = *until * ALL / last);
    }
    groups
}

/// The share of requests (of [`ALL`]) that some can take, of whom so many are well.
fn share((all, well): (u64, u64), spill_over: u64) -> u64 {
    match (well, spill_over) {
        (0, _) => 0,
        (_, 0) => ALL,
        _ => (well * ALL * ALL / (all * spill_over)).min(ALL),
    }
}

#[cfg(test)]
mod tests;
