//! What goes through a pipe, alone and beside others.

use super::*;

#[test]
fn downloads_move_less_in_a_turn_beside_others() {
    tended(async {
        let alone = TURN * PIPED.1 / PIPED.0;
        assert_eq!((cost(alone, Way::Piped), cost(1, Way::Copied)), (TURN, COPY));
        for left in [TOO_LITTLE, LEAST, LEAST + 1, TURN - 1, TURN] {
            let rest = left - cost(piped(left), Way::Piped);
            assert!(rest < TOO_LITTLE, "{rest} of {left}");
        }
        // A handshake waits that comes after the bodies of the next turn.
        spend(TURN);
        let mut turn = Turn::of_handshake();
        poll_fn(|cx| turn.poll(cx)).await;
        assert_eq!((cost(alone, Way::Piped), piped(TURN)), (alone, TURN));
        sign();
        assert_eq!((cost(alone, Way::Piped), cost(1, Way::Copied)), (alone, COPY));
        // Bodies alone again.
        spend(TURN);
        let mut turn = Turn::default();
        poll_fn(|cx| turn.poll(cx)).await;
        assert_eq!(cost(alone, Way::Piped), TURN);
    });
}
