//! What happens with a shift, in words: one line each, with the numbers.

use std::time::Duration;

use super::evidence::{Evidence, Worse};
use super::tally::Counts;
use super::{Settings, WHOLE};

/// The new side's counts and the old one's.
type Both = (Counts, Counts);

/// The new target takes another share.
pub(super) fn step(
    settings: &Settings,
    (before, share): (u32, u32),
    (counts, period): (&Both, Duration),
) -> String {
    let Settings { names, .. } = settings;
    let begin = match before {
        0 => format!(
            "{}: `{}` takes {} now, `{}` the rest",
            title(settings),
            names.new,
            percent(share),
            names.old
        ),
        _ => {
            let did = did(settings, counts, period);
            format!(
                "{}: `{}` takes {} now, up from {}: {did}",
                title(settings),
                names.new,
                percent(share),
                percent(before)
            )
        }
    };
    match settings.steps.iter().find(|step| **step > share) {
        Some(next) => {
            format!("{begin}; {} after {}, if it does no worse", percent(*next), time(settings.every))
        }
        None => format!("{begin}; this was the last step, and the shift is finished"),
    }
}

/// The new target does worse.
pub(super) fn taken_back(settings: &Settings, evidence: &Evidence, period: Duration) -> String {
    let ((requests, failed), (others, others_failed)) = evidence.requests;
    let names = &settings.names;
    let why = match (evidence.worse, evidence.times) {
        (Some(Worse::Times), Some((limit, beyond, chance))) => {
            let p99 = |time: Option<u64>| time.map_or("unknown".to_owned(), millis);
            format!(
                "it is slower: {beyond} of its {requests} requests in {} took longer than {}, which is more than is tolerated \
                 of the slowest hundredth (p99 {}, that of `{}` {}); the probability of that by chance is {}",
                time(period),
                millis(limit),
                p99(evidence.p99.0),
                names.old,
                p99(evidence.p99.1),
                probability(chance, evidence.level / 2.0),
            )
        }
        _ => format!(
            "it fails more often: {} of its requests in {}, and {} of those of `{}`; the probability of that by chance is {}",
            rate(failed, requests),
            time(period),
            rate(others_failed, others),
            names.old,
            probability(evidence.failures_by_chance, evidence.level),
        ),
    };
    format!(
        "{}: back to `{}`, `{}` takes nothing: {why}; `usher shift resume` begins anew",
        title(settings),
        names.old,
        names.new
    )
}

/// A step is over, and there are too few requests.
pub(super) fn held(settings: &Settings, share: u32, (new, old): (u64, u64)) -> String {
    format!(
        "{}: `{}` stays at {}: {new} requests, and {old} of `{}`, are too few to say that all is well, which takes {} each \
         (`min_requests`); `usher shift advance` goes on all the same",
        title(settings),
        settings.names.new,
        percent(share),
        settings.names.old,
        settings.min_requests,
    )
}

pub(super) fn paused(settings: &Settings, share: u32) -> String {
    format!(
        "{}: paused by hand, `{}` stays at {}, and goes back if it does worse",
        title(settings),
        settings.names.new,
        percent(share)
    )
}

pub(super) fn resumed(settings: &Settings, share: u32) -> String {
    format!("{}: goes on by hand, `{}` takes {}", title(settings), settings.names.new, percent(share))
}

pub(super) fn aborted(settings: &Settings) -> String {
    format!(
        "{}: back to `{}` by hand, `{}` takes nothing",
        title(settings),
        settings.names.old,
        settings.names.new
    )
}

fn title(settings: &Settings) -> String {
    match &settings.names.release {
        Some(release) => format!("shift of `{}` (release {release})", settings.route),
        None => format!("shift of `{}`", settings.route),
    }
}

/// What both sides did within a period.
fn did(settings: &Settings, (new, old): &Both, period: Duration) -> String {
    let (in_time, name) = (time(period), &settings.names.old);
    let did = format!(
        "in {in_time} it failed {}, `{name}` {}",
        rate(new.failed, new.requests),
        rate(old.failed, old.requests)
    );
    match (new.p99(), old.p99()) {
        (Some(new), Some(old)) => format!("{did}; p99 {} against {}", millis(new), millis(old)),
        _ => did,
    }
}

fn rate(failed: u64, requests: u64) -> String {
    let share = failed as f64 * 100.0 / requests.max(1) as f64;
    format!("{failed} of {requests} ({}%)", short(share))
}

/// Parts of the whole, as the config writes them.
fn percent(parts: u32) -> String {
    format!("{}%", short(f64::from(parts) * 100.0 / f64::from(WHOLE)))
}

/// With four decimals at most.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    let text = if number >= 0.01 { format!("{number:.2}") } else { text };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn millis(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{} ms", micros / 1_000),
    }
}

fn probability(chance: f64, level: f64) -> String {
    if chance < 1e-15 {
        format!("below 1e-15 (allowed: {level:.0e})")
    } else {
        format!("{chance:.0e} (allowed: {level:.0e})")
    }
}

/// `1h30m`, `10m`, `42s`, `300ms`.
fn time(length: Duration) -> String {
    let seconds = length.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        _ if length.as_millis() < 10_000 && length.subsec_millis() > 0 => format!("{}ms", length.as_millis()),
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}
