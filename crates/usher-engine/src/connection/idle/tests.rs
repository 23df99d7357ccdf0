use super::*;

#[test]
fn rows_are_found_by_number_and_used_again() {
    let mut rows = Rows::default();
    for (number, row) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(rows.next(), number);
        rows.put(number, row, 100);
    }
    assert_eq!(rows.take(1).map(|row| row.0), Some("b"));
    assert_eq!(rows.take(1), None, "it is gone");
    assert_eq!(rows.take(7), None, "nobody had this number");
    assert_eq!(rows.next(), 1);
    rows.put(1, "d", 100);
    assert_eq!(rows.next(), 3);
    assert_eq!(rows.take(1).map(|row| row.0), Some("d"));
    rows.give_back();
    assert_eq!(rows.take(2).map(|row| row.0), Some("c"), "nobody is forgotten");
    assert_eq!(rows.take(0).map(|row| row.0), Some("a"));
    rows.give_back();
    assert_eq!((rows.next(), rows.rows.capacity()), (0, 0));
}

#[test]
fn the_late_are_taken_and_nobody_else() {
    let mut rows = Rows::default();
    for (number, until) in [30, 10, 20].into_iter().enumerate() {
        rows.put(number, until, until);
    }
    fn late<R>(rows: &mut Rows<R>, now: u64) -> Vec<R> {
        let late = rows.late(now);
        late.into_iter().filter_map(|(number, until)| rows.take_if(number, until)).collect()
    }
    assert!(late(&mut rows, 9).is_empty());
    assert_eq!(late(&mut rows, 20), [10, 20]);
    assert!(late(&mut rows, 20).is_empty());
    rows.hurry(25);
    assert_eq!(late(&mut rows, 25), [30], "its time was shortened");
    rows.put(0, 1, 5);
    rows.hurry(100);
    assert_eq!(rows.take_if(0, 6), None, "another one");
    assert_eq!(late(&mut rows, 5), [1], "nobody is given more time");
}

#[test]
fn who_has_spoken_is_not_sent_away() {
    let mut rows = Rows::default();
    for number in 0..2 {
        rows.put(number, number, 10);
    }
    rows.speaks(1);
    rows.speaks(7);
    assert_eq!(rows.late(20), [(0, 10)]);
    assert_eq!(rows.longest(|_, until| until, 20), [(0, 10)]);
    assert_eq!(rows.take_if(1, 10), None, "it spoke after it was found to be late");
    rows.hurry(5);
    assert_eq!(rows.take(1), Some((1, 10)), "it has the time that it had");
    rows.put(1, 1, 10);
    assert_eq!(rows.take_if(1, 10), Some(1), "another one, who rests");
}
