use usher_config::value::Percent;

use super::*;

/// `+` is well, `-` is not, `0` was taken out by hand; groups are separated by spaces, and within them `/` stands before
/// those that are elsewhere.
fn members(text: &str) -> Vec<Member> {
    let group = |(priority, group): (usize, &str)| {
        let (near, far) = group.split_once('/').unwrap_or((group, ""));
        let signs = near.chars().map(|sign| (sign, false)).chain(far.chars().map(|sign| (sign, true)));
        let one = |(sign, elsewhere)| Member {
            askable: sign != '0',
            well: sign == '+',
            priority: priority as u8,
            elsewhere,
        };
        signs.map(one).collect::<Vec<_>>()
    };
    text.split(' ').enumerate().flat_map(group).collect()
}

fn care(spill_over: u8, panic: Option<u8>) -> Care {
    let panic = panic.map_or(PanicThreshold::Off, |share| PanicThreshold::Share(Percent::of(share)));
    Care { spill_over: Percent::of(spill_over), panic, ..Care::default() }
}

#[test]
fn groups_take_what_they_can() {
    for (text, spill_over, expected) in [
        ("+++ ++", 0, vec![(0, 100)]),
        ("+-- ++", 0, vec![(0, 100)]),
        ("--- ++", 0, vec![(1, 100)]),
        ("000 ++", 0, vec![(1, 100)]),
        ("--- -- +", 0, vec![(2, 100)]),
        ("++++ ++", 50, vec![(0, 100)]),
        ("++-- ++", 50, vec![(0, 100)]),
        ("+--- ++", 50, vec![(0, 50), (1, 100)]),
        // Who was taken out by hand does not count as missing.
        ("+-00 ++", 50, vec![(0, 100)]),
        ("+--- ---- +", 50, vec![(0, 50), (2, 100)]),
        // Too few in all: the same proportions of everything.
        ("+--- +---", 100, vec![(0, 50), (1, 100)]),
    ] {
        let selection = Selection::new(&members(text), care(spill_over, None));
        let found: Vec<_> =
            selection.groups.iter().map(|(group, until)| (group / 2, until / 10_000)).collect();
        assert_eq!(found, expected, "{text} with {spill_over}%");
        assert_eq!(selection.is_single(), expected.len() == 1);
        assert_eq!(selection.draw(0), Some(expected[0].0 * 2), "{text}");
        assert_eq!(selection.draw(u64::MAX), Some(expected[expected.len() - 1].0 * 2), "{text}");
    }
}

#[test]
fn all_are_asked_when_too_few_are_well() {
    for (text, panic, open) in [
        ("---", Some(0), 3),
        ("---", None, 0),
        ("+--", Some(0), 1),
        ("+--", Some(50), 3),
        ("++-", Some(50), 2),
        ("++--", Some(50), 4),
        // Not those that were taken out by hand.
        ("--0", Some(0), 2),
        ("000", Some(100), 0),
    ] {
        let selection = Selection::new(&members(text), care(0, panic));
        let found = (0..text.len()).filter(|index| selection.is_in(*index, Some(0))).count();
        assert_eq!(found, open, "{text} at {panic:?}");
    }
}

#[test]
fn those_that_are_well_get_requests_even_when_too_few_are() {
    for (text, locality, expected) in [
        ("-- ++", None, 2),
        ("--/++", Some(50), 1),
        ("+--- +", None, 0),
        // Nobody is well: as if all were.
        ("-- --", None, 0),
    ] {
        let care = Care { locality: locality.map(Percent::of), ..care(0, Some(50)) };
        let selection = Selection::new(&members(text), care);
        assert!(selection.is_single(), "{text}");
        assert_eq!(selection.draw(0), Some(expected), "{text}");
        assert!(selection.is_open(0), "{text}");
    }
}

#[test]
fn nobody_is_in_an_empty_cluster() {
    let selection = Selection::new(&[], care(0, Some(0)));
    assert!(selection.is_single() && selection.draw(7).is_none() && !selection.is_open(0));
}

#[test]
fn the_own_zone_takes_what_it_can() {
    // The number of a group, by whether it is in the own zone.
    const OWN: u8 = 0;
    const OTHER: u8 = 1;
    for (text, locality, expected) in [
        ("++/++++", 70, vec![(OWN, 100)]),
        ("+++-/++++", 70, vec![(OWN, 100)]),
        ("++--/++++", 50, vec![(OWN, 100)]),
        ("+---/++++", 50, vec![(OWN, 50), (OTHER, 100)]),
        ("+---/++++", 0, vec![(OWN, 100)]),
        ("----/++++", 50, vec![(OTHER, 100)]),
        ("+---/----", 50, vec![(OWN, 100)]),
        ("0000/++", 50, vec![(OTHER, 100)]),
        ("+-00/++", 50, vec![(OWN, 100)]),
        ("/++", 50, vec![(OTHER, 100)]),
        // The next group comes after both.
        ("----/+--- ++", 50, vec![(OTHER, 25), (2 + OWN, 100)]),
        ("+---/---- +---/+++", 50, vec![(OWN, 25), (2 + OWN, 62), (2 + OTHER, 100)]),
    ] {
        let care = Care { locality: Some(Percent::of(locality)), ..care(50, None) };
        let selection = Selection::new(&members(text), care);
        let found: Vec<_> = selection.groups.iter().map(|(group, until)| (*group, until / 10_000)).collect();
        assert_eq!(found, expected, "{text} with {locality}%");
    }
}
