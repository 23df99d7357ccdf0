use super::*;

#[test]
fn what_counts_is_what_the_visitor_got() {
    for (status, reason, code, first_byte, failed, micros) in [
        (200, "", None, 7, 0, Some(7)),
        (404, "", None, 7, 0, Some(7)),
        (500, "", None, 7, 1, None),
        (501, "", None, 7, 0, Some(7)),
        (503, "no_endpoint", None, 0, 1, None),
        (504, "first_byte_timeout", None, 0, 1, None),
        (200, "endpoint_disconnected", None, 7, 1, None),
        (200, "client_disconnected", None, 7, 0, Some(7)),
        // Who leaves before there is a response has waited for so long at the least.
        (499, "client_disconnected", None, 0, 0, Some(15)),
        (200, "", Some(b"0"), 7, 0, Some(7)),
        (200, "", Some(b"5"), 7, 0, Some(7)),
        (200, "", Some(b"4"), 7, 1, None),
    ] {
        let mut exchange = Exchange::default();
        let record = &mut exchange.record;
        (record.status, record.reason, record.first_byte, record.total) = (status, reason, first_byte, 15);
        if let Some(code) = code {
            exchange.response.fields.add(b"grpc-status", code).unwrap();
        }
        let shift = Shift::default();
        shift.note(Side::New, &exchange);
        let counts = shift.new.read();
        assert_eq!((counts.requests, counts.failed), (1, failed), "{status} {reason} {code:?}");
        assert_eq!(
            counts.all_but(0),
            micros.map(|micros| micros + 1),
            "{status} {reason}: up to the next bucket"
        );
        assert_eq!(shift.old.read().requests, 0);
    }
}
