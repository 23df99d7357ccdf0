//! The queue between a worker and the writer.

use super::super::ring::Ring;

fn drained(ring: &Ring) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    ring.drain(&mut Vec::new(), |line| lines.push(line.to_vec()));
    lines
}

#[test]
fn lines_come_out_as_they_went_in_across_the_end() {
    let ring = Ring::new(256);
    for round in 0..200_usize {
        let lines: Vec<Vec<u8>> = (0..3).map(|i| vec![round as u8; (round * 7 + i * 5) % 60]).collect();
        for line in &lines {
            ring.push(line);
        }
        assert_eq!(drained(&ring), lines, "round {round}");
        assert!(ring.is_empty());
    }
    assert_eq!(ring.dropped(), 0);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let ring = Ring::new(64);
    assert!(!ring.push(&[1; 100]));
    ring.push(&[2; 40]);
    ring.push(&[3; 40]);
    ring.push(&[4; 8]);
    assert_eq!(drained(&ring), [vec![2; 40], vec![4; 8]]);
    assert_eq!(ring.dropped(), 2);
}

#[test]
fn the_writer_is_woken_now_and_then() {
    let ring = Ring::new(1024);
    let woken = (0..64).filter(|_| {
        let woken = ring.push(&[0; 56]);
        drained(&ring);
        woken
    });
    assert_eq!(woken.count(), 8);
}

/// Each line comes out whole and in order; those that found no room are missing, and there are as many as counted.
#[test]
fn two_threads_agree() {
    const LINES: u64 = 50_000;
    let text = |i: u64| format!("{i} ").repeat(1 + i as usize % 9);
    let ring = std::sync::Arc::new(Ring::new(4096));
    let other = ring.clone();
    let pushing = std::thread::spawn(move || {
        for i in 0..LINES {
            other.push(text(i).as_bytes());
        }
    });
    let (mut last, mut count) = (None, 0);
    loop {
        let over = pushing.is_finished();
        ring.drain(&mut Vec::new(), |line| {
            let line = std::str::from_utf8(line).unwrap();
            let i: u64 = line.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(line, text(i));
            assert!(last < Some(i), "{i} after {last:?}");
            (last, count) = (Some(i), count + 1);
        });
        if over {
            break;
        }
        std::thread::yield_now();
    }
    pushing.join().unwrap();
    assert_eq!(count + ring.dropped(), LINES);
}
