//! Splitting a number from its unit.

/// The leading decimal digits of `text`, and what follows them.
pub(super) fn split(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// A decimal with at most `places` digits after the point, times `10^places`.
pub(super) fn fixed(text: &str, places: u32) -> Option<u64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let places_used = u32::try_from(fraction.len()).ok()?;
    if whole.is_empty() || !digits(whole) || !digits(fraction) || places_used > places {
        return None;
    }
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scaled = whole.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(places)?)?;
    scaled.checked_add(fraction.checked_mul(10_u64.pow(places - places_used))?)
}
