use std::time::Duration;

use usher_api::shifts::ShiftOrder;
use usher_config::{Input, LoadOptions};
use usher_extensions::balancers::BALANCERS;

use super::*;
use crate::shift::State;
use crate::snapshot::{Builder, Built};

fn build(text: &str, previous: Option<&Built>) -> Result<Built, String> {
    let options = LoadOptions { format: None, env: &|_| None, known_filters: &[] };
    let input = Input::Text { name: "test.toml".into(), bytes: text.as_bytes().to_vec() };
    let loaded = usher_config::load(input, &options).map_err(|report| report.to_string())?;
    let builder = Builder { filters: &[], balancers: BALANCERS, probes: &[] };
    builder.build(&loaded, previous, None).map_err(|report| report.to_string())
}

const SHIFT: &str = "[[route]]\nname = 'shop'\n[route.split]\nbetween = [{ cluster = 'a' }, { cluster = 'b' }]
shift = { steps = ['1%', '50%'], every = '1m' }
[cluster.a]\nendpoints = '127.0.0.1:1'\n[cluster.b]\nendpoints = '127.0.0.1:2'\n[cluster.c]\nendpoints = '127.0.0.1:3'\n";

fn plan(built: &Built) -> ShiftPlan {
    built.snapshot.shifts().next().unwrap().clone()
}

#[test]
fn a_shift_goes_on_as_long_as_it_is_between_the_same_targets() {
    let first = build(SHIFT, None).unwrap();
    let begun = plan(&first);
    begun.shift.order(&begun.settings, ShiftOrder::Resume, Duration::ZERO).unwrap();
    for (what, from, to, is_same) in [
        ("nothing", "1m", "1m", true),
        ("other steps", "'1%', ", "'2%', '7%', ", true),
        ("another pace", "1m", "1h", true),
        ("the other way round", "shift = {", "shift = { to = 'a',", false),
        ("another target", "cluster = 'b'", "cluster = 'c'", false),
        ("another release", "shift = {", "shift = { release = '2',", false),
        ("another route", "'shop'", "'shopping'", false),
    ] {
        let next = build(&SHIFT.replace(from, to), Some(&first)).unwrap();
        let plan = plan(&next);
        assert_eq!(Arc::ptr_eq(&plan.shift, &begun.shift), is_same, "{what}");
        let state = if is_same { State::Running } else { State::Waiting };
        assert_eq!(plan.shift.saved().state, state, "{what}");
    }
    let without =
        build(&SHIFT.replace("shift =", "sticky = 'v' #").replace(" }", ", weight = 1 }"), Some(&first));
    let again = build(SHIFT, Some(&without.unwrap())).unwrap();
    assert!(plan(&again).shift.is_untouched(), "what was in no config is forgotten");
}

#[test]
fn the_new_side_is_the_one_that_is_named() {
    for (to, new) in [("", 1), ("to = 'a', ", 0), ("to = 'b', ", 1)] {
        let built = build(&SHIFT.replace("shift = { ", &format!("shift = {{ {to}")), None).unwrap();
        let plan = plan(&built);
        assert_eq!((plan.new, plan.index(Side::New), plan.index(Side::Old)), (new, new, 1 - new), "{to}");
        assert_eq!(plan.settings.names.new, if new == 0 { "a" } else { "b" });
    }
}

#[test]
fn what_is_the_same_is_refused() {
    let unnamed =
        SHIFT.replace("cluster = 'a'", "to = '127.0.0.1:9'").replace("cluster = 'b'", "to = '127.0.0.1:9'");
    let mirror = |own: &str, mirror: &str| {
        format!("[[route]]\n{own}\nmirror = {mirror}\n[cluster.a]\nendpoints = '127.0.0.1:1'\n")
    };
    let already = "the mirror is where the requests go already";
    for (text, said) in [
        (unnamed, "both targets of the shift are the same"),
        (mirror("cluster = 'a'", "'a'"), already),
        (mirror("to = '127.0.0.1:2'", "{ to = '127.0.0.1:2' }"), already),
        (
            mirror("split = [{ cluster = 'a', weight = 1 }, { to = '127.0.0.1:2', weight = 0 }]", "'a'"),
            already,
        ),
    ] {
        let report = build(&text, None).err().expect("a report");
        assert!(report.contains(said), "{report}");
    }
    assert!(build(&mirror("to = '127.0.0.1:2'", "'a'"), None).is_ok());
}
