use super::RequestId;

/// The digits of identifiers are those of the number.
#[test]
fn an_identifier_is_its_number_in_hexadecimal() {
    let spread = (0..128)
        .map(|bit| 1u128 << bit)
        .flat_map(|one| [one, !one, one.wrapping_mul(9), one.wrapping_mul(10), one - 1]);
    for bits in spread.chain([0, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210]) {
        assert_eq!(RequestId::from_bits(bits).as_str(), format!("{bits:032x}"));
    }
}
