use std::sync::Arc;

use usher_api::shifts::ShiftOrder;
use usher_engine::shift::{Names, Settings, Tolerance};

use super::*;

fn plan(route: &str, release: Option<&str>) -> ShiftPlan {
    let settings = Settings {
        route: route.to_owned(),
        names: Names { old: "a".to_owned(), new: "b".to_owned(), release: release.map(str::to_owned) },
        steps: vec![10_000, 500_000],
        every: Duration::from_secs(60),
        min_requests: 1,
        advances_unsure: false,
        tolerance: Tolerance { failures: 0.0, micros: 0, share: 0.0 },
        false_alarms: 0.01,
        manual: false,
    };
    ShiftPlan { settings: Arc::new(settings), shift: Arc::default(), new: 1 }
}

fn order(plan: &ShiftPlan, order: ShiftOrder) {
    plan.shift.order(&plan.settings, order, Duration::ZERO).unwrap();
}

#[test]
fn a_restart_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/shifts.json");
    let before = [plan("one", None), plan("two", Some("v2")), plan("three", None)];
    order(&before[0], ShiftOrder::Resume);
    order(&before[0], ShiftOrder::Pause);
    order(&before[1], ShiftOrder::Resume);
    order(&before[1], ShiftOrder::Abort);
    let mut store = Store::at(path.clone());
    store.save(&before);
    let after = [plan("one", None), plan("two", Some("v2")), plan("two", Some("v3")), plan("three", None)];
    Store::at(path.clone()).restore(&after.iter().collect::<Vec<_>>(), Duration::ZERO);
    assert_eq!(after[0].shift.saved(), before[0].shift.saved());
    assert_eq!((after[0].shift.saved().state, after[0].shift.share()), (State::Paused, 10_000));
    assert_eq!(after[1].shift.saved(), before[1].shift.saved());
    assert_eq!(after[1].shift.saved().state, State::Back);
    assert!(after[2].shift.is_untouched(), "another release begins anew");
    assert!(after[3].shift.is_untouched());
    store.save(&[]);
    assert!(!path.exists(), "what is in no config is not kept");
}

#[test]
fn the_process_that_takes_over_is_told_where_each_stands() {
    let before = [plan("one", None), plan("two", None)];
    order(&before[0], ShiftOrder::Abort);
    let messages: Vec<String> = kept(&before).iter().map(Value::to_string).collect();
    assert_eq!(messages.len(), 1, "what has not begun is not told");
    let told: Vec<Kept> =
        messages.iter().filter_map(|one| parse(&serde_json::from_str(one).unwrap())).collect();
    let after = [plan("one", None), plan("one", Some("v2"))];
    assert!(restore_one(&after[0], &told, Duration::ZERO));
    assert_eq!(after[0].shift.saved(), before[0].shift.saved());
    assert!(!restore_one(&after[1], &told, Duration::ZERO), "another release");
}

#[test]
fn what_another_process_wrote_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shifts.json");
    let plans = [plan("one", None)];
    order(&plans[0], ShiftOrder::Resume);
    let mut store = Store::at(path.clone());
    store.save(&plans);
    let own = fs::read(&path).unwrap();
    Store::at(path.clone()).save(&[]);
    assert!(!path.exists());
    store.forget();
    store.save(&plans);
    assert_eq!(fs::read(&path).unwrap(), own);
}

#[test]
fn whoever_is_in_doubt_does_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    for text in ["", "{}", "{\"shifts\": [{}]}", "{\"shifts\": [{\"of\": [], \"state\": \"odd\"}]}"] {
        let path = folder.path().join("shifts.json");
        fs::write(&path, text).unwrap();
        let plan = plan("one", None);
        Store::at(path).restore(&[&plan], Duration::ZERO);
        assert_eq!(plan.shift.look(&plan.settings, Duration::from_secs(1)), None, "{text}");
        assert_eq!(plan.shift.share(), 0);
        assert!(!plan.shift.is_untouched(), "it stays so over the next restart too");
    }
}
