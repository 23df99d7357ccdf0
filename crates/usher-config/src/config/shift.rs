//! `split.shift`

use std::time::Duration;

use super::{Route, Split, SplitTarget};
use crate::decode::{Context, Spanned};
use crate::value::Percent;

/// The shortest step: long enough for a look or two.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

crate::section! {
    /// Moves visitors from the other target of the split to a new one by itself, step by step, and back to nothing when
    /// the new one does significantly worse than the other in the same period: it fails more often, or its slowest
    /// responses take longer. The state is kept over reloads, upgrades and restarts.
    #[bare(steps)]
    pub default struct Shift {
        /// The name of the cluster to move to, one of the two in `between`. Without it, the last one.
        pub to: Option<Spanned<String>>,
        /// What the new target takes, one step after another. What it has with the last one it keeps.
        #[check(steps)]
        pub steps: Vec<Percent> =
            vec![Percent::of(1), Percent::of(5), Percent::of(25), Percent::of(50), Percent::ALL],
        /// How long each step lasts at least.
        #[range(SHORTEST..=LONGEST)]
        pub every: Duration = Duration::from_secs(600),
        /// Fewer requests than this in a step, on either side, are too few to say that all is well.
        #[range(1..=1_000_000_000)]
        pub min_requests: u64 = 100,
        /// What becomes of a step that ends with too few requests.
        pub unsure: Unsure = Unsure::Hold,
        /// How much worse the new target may do, however certain that is.
        pub tolerate: Tolerance = Tolerance::default(),
        /// How likely it may be that a target that does no worse is taken back, over all looks of a whole shift.
        #[check(false_alarms)]
        pub false_alarms: Percent = Percent::of(1),
        /// Whether the first step begins by itself, or when somebody says `usher shift resume`.
        pub start: Start = Start::Auto,
        /// A name for what is released. With another one the shift begins anew.
        pub release: Option<String>,
    }
}

crate::section! {
    /// How much worse a new target may do before that counts.
    pub default struct Tolerance {
        /// So much more of its requests may fail, in points: with `1%`, 1.5 % against 0.6 % is tolerated. A failed request
        /// is one that its visitor gets no whole response to, or a status from 500 on but 501.
        pub failures: Percent = Percent::of(1),
        /// Its 99th percentile of the time to the first byte may be so much longer.
        #[range(Duration::ZERO..=Duration::from_secs(3600))]
        pub time: Duration = Duration::from_millis(50),
        /// As above, as a share of that of the other target. The more generous of the two holds.
        pub time_share: Percent = Percent::of(20),
    }
}

crate::names! {
    /// What becomes of a step that ends with too few requests to judge by.
    pub enum Unsure {
        /// It lasts until there are enough.
        Hold = "hold",
        /// The next one begins.
        Advance = "advance",
    }
}

crate::names! {
    /// How a shift begins.
    pub enum Start {
        /// By itself.
        Auto = "auto",
        /// When somebody says `usher shift resume`; until then the new target takes nothing.
        Manual = "manual",
    }
}

/// They grow, from something to something.
#[expect(clippy::ptr_arg, reason = "checks are given what the field is")]
fn steps(steps: &Vec<Percent>) -> Result<(), String> {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        return Err(format!("there can be 1 to {MAX_STEPS} steps"));
    }
    if steps[0] == Percent::NONE {
        return Err("a step of `0%` moves nobody".to_owned());
    }
    match steps.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!(
            "each step is larger than the one before: `{}` is not larger than `{}`",
            pair[1], pair[0]
        )),
        None => Ok(()),
    }
}

/// More would be no steps.
const MAX_STEPS: usize = 100;

fn false_alarms(share: &Percent) -> Result<(), String> {
    let most = Percent::of(20);
    if *share == Percent::NONE || *share > most {
        return Err(format!("`{share}` is out of range: more than `0%`, and at most `{most}`"));
    }
    Ok(())
}

impl Split {
    /// Which target visitors move to, of the two of a split with a shift.
    pub fn moves_to(&self) -> Option<usize> {
        let shift = self.shift.as_ref()?;
        let Some(to) = &shift.to else { return self.between.len().checked_sub(1) };
        let named = |target: &Spanned<SplitTarget>| {
            target.cluster.as_ref().is_some_and(|name| name.value == to.value)
        };
        self.between.iter().position(named)
    }
}

/// What a split's targets must be with a shift, and must have without one.
pub(super) fn check(route: &Route, cx: &mut Context<'_>) {
    let Some(split) = &route.split else { return };
    let Some(shift) = &split.shift else {
        for target in split.between.iter().filter(|target| target.weight.is_none()) {
            cx.error_help(
                target.span,
                "the target has no `weight`",
                "give it its share, compared with the others'",
            );
        }
        return;
    };
    for target in split.between.iter().filter(|target| target.weight.is_some()) {
        let help = "leave out `weight`, or leave out `shift`";
        cx.error_help(target.span, "the `shift` of the split decides how much each target takes", help);
    }
    // A split without targets may have lost them to mistakes.
    let complete = !split.between.is_empty() || !cx.has_errors();
    if split.between.len() != 2 && complete {
        let found = format!("a `shift` moves between two targets, and there are {}", split.between.len());
        cx.error_help(shift.span, found, "name the old one and the new one in `between`");
    } else if let [one, other] = split.between.as_slice() {
        let labels = |target: &SplitTarget| target.subset.as_ref().map(|subset| subset.value.clone());
        let cluster = |target: &SplitTarget| target.cluster.as_ref().map(|name| name.value.clone());
        if cluster(one).is_some() && (cluster(one), labels(one)) == (cluster(other), labels(other)) {
            let help = "a shift moves from one version to another: name another cluster, or another `subset`";
            cx.error_help(other.span, "both targets of the shift are the same", help);
        }
    }
    if let Some(to) = &shift.to {
        let named = split
            .between
            .iter()
            .filter(|target| target.cluster.as_ref().is_some_and(|name| name.value == to.value));
        let (found, help) = match named.count() {
            1 => return,
            0 => (format!("`{}` is no cluster of the split", to.value), "name one of those in `between`"),
            _ => (
                format!("both targets are of `{}`", to.value),
                "leave out `to`: visitors move to the last target",
            ),
        };
        if complete {
            cx.error_help(to.span, found, help);
        }
    }
}
