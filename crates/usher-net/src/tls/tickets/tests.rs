use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn ticketer(keys: &Arc<TicketKeys>, context: u8) -> Ticketer {
    let derived = Derived::new(keys.ring.load_full(), &[context; 32]);
    Ticketer { keys: Arc::clone(keys), context: [context; 32], derived: ArcSwap::from_pointee(derived) }
}

#[test]
fn only_the_same_keys_in_the_same_context_read_a_ticket() {
    let keys = TicketKeys::new();
    let (one, same, other) = (ticketer(&keys, 1), ticketer(&keys, 1), ticketer(&keys, 2));
    let stranger = ticketer(&TicketKeys::new(), 1);
    let now = SystemTime::now();
    for plain in [&b""[..], b"session", &[7; 9000]] {
        let ticket = one.seal(plain, now).expect("a ticket");
        assert_eq!(same.open(&ticket, now).as_deref(), Some(plain));
        assert_eq!(other.open(&ticket, now), None);
        assert_eq!(stranger.open(&ticket, now), None);
        assert_ne!(one.seal(plain, now), Some(ticket));
    }
    assert_eq!(one.seal(&[0; MAX_TICKET], now), None);
}

#[test]
fn a_changed_ticket_is_not_read() {
    let ticketer = ticketer(&TicketKeys::new(), 0);
    let now = SystemTime::now();
    let ticket = ticketer.seal(b"session", now).expect("a ticket");
    for end in 0..ticket.len() {
        assert_eq!(ticketer.open(&ticket[..end], now), None);
        let mut changed = ticket.clone();
        changed[end] ^= 1;
        assert_eq!(ticketer.open(&changed, now), None, "{end}");
    }
    assert_eq!(ticketer.open(&[0; MAX_TICKET + 1], now), None);
}

#[test]
fn secrets_rotate_and_the_last_one_is_still_read() {
    let keys = TicketKeys::new();
    let ticketer = ticketer(&keys, 0);
    let start = SystemTime::now();
    let ticket = ticketer.seal(b"first", start).expect("a ticket");
    let reads = |ticket: &[u8], hours: u32| ticketer.open(ticket, start + HOUR * hours).is_some();
    assert!(reads(&ticket, 11));
    assert!(reads(&ticket, 13), "read after one rotation");
    let second = ticketer.seal(b"second", start + HOUR * 13).expect("a ticket");
    assert_ne!(second[..KEY_NAME], ticket[..KEY_NAME]);
    assert!(!reads(&ticket, 24), "too old, though its secret is there");
    assert!(reads(&second, 26));
    assert!(!reads(&ticket, 26), "its secret is gone");
    // Nobody came for very long.
    let third = ticketer.seal(b"third", start + HOUR * 27).expect("a ticket");
    assert!(!reads(&third, 100));
    let fourth = ticketer.seal(b"fourth", start + HOUR * 100).expect("a ticket");
    assert!(reads(&fourth, 101));
    assert_eq!(keys.ring.load().secrets.len(), 1);
    keys.rotate();
    keys.rotate();
    assert!(!reads(&fourth, 101));
}

#[test]
fn a_clock_that_was_ahead_keeps_no_secret_for_longer() {
    let keys = TicketKeys::new();
    let ticketer = ticketer(&keys, 0);
    let now = SystemTime::now();
    let ahead = ticketer.seal(b"x", now + HOUR * 9000).expect("a ticket");
    assert!(ticketer.seal(b"x", now + HOUR * 9000).expect("a ticket").starts_with(&ahead[..KEY_NAME]));
    let today = ticketer.seal(b"x", now).expect("a ticket");
    assert!(!today.starts_with(&ahead[..KEY_NAME]));
    // A clock that is a moment behind that of another thread changes nothing.
    let before = ticketer.seal(b"x", now - HOUR).expect("a ticket");
    assert!(today.starts_with(&before[..KEY_NAME]));
}

#[test]
fn machines_with_the_same_secrets_read_each_other() {
    let (a, b) = (vec![1; 48], vec![2; 80]);
    let one = TicketKeys::from_secrets(vec![a.clone(), b.clone()]).expect("keys");
    let other = TicketKeys::from_secrets(vec![b.clone(), a.clone()]).expect("keys");
    let only = TicketKeys::from_secrets(vec![b.clone()]).expect("keys");
    let now = SystemTime::now();
    let later = now + HOUR * 20;
    let ticket = ticketer(&one, 0).seal(b"x", now).expect("a ticket");
    assert!(ticketer(&other, 0).open(&ticket, later).is_some());
    assert!(ticketer(&only, 0).open(&ticket, later).is_none());
    let ticketer = ticketer(&only, 0);
    only.set_secrets(vec![b, a]).expect("set");
    assert!(ticketer.open(&ticket, later).is_some());
    only.rotate_by_itself();
    assert!(ticketer.open(&ticket, later).is_none());
    let ring = only.ring.load_full();
    only.rotate_by_itself();
    assert!(Arc::ptr_eq(&ring, &only.ring.load_full()));
    for bad in [vec![], vec![vec![1; 31]], vec![vec![1; 48]; 17]] {
        assert!(matches!(TicketKeys::from_secrets(bad), Err(TlsError::TicketSecret(_))));
    }
}
