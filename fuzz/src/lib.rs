//! What the fuzz targets share.

use usher_http::Fields;
use usher_http::parse::{HeadLimits, ParseError};

/// Names and values, as they stand.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The fields as plain pairs.
pub fn pairs(fields: &Fields) -> Pairs {
    fields.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
}

/// Takes limits off the input, so that small ones are tried too; most inputs get the usual ones.
pub fn limits(data: &[u8]) -> (HeadLimits, &[u8]) {
    match data {
        [0, line, head, fields, rest @ ..] => {
            let limits = HeadLimits {
                line: usize::from(*line),
                head: usize::from(*head) * 2,
                fields: usize::from(*fields),
            };
            (limits, rest)
        }
        data => (HeadLimits::default(), data),
    }
}

/// Where to cut the input: cheap, different for every input, and the same each time.
pub fn cuts(data: &[u8]) -> impl Iterator<Item = usize> {
    let step =
        data.iter().fold(7_usize, |sum, &byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte))) % 13 + 1;
    (0..data.len()).step_by(step)
}

/// Calls an incremental parser with prefixes that grow, until it answers. Panics if an answer differs from that for
/// the whole.
pub fn split<T: PartialEq + std::fmt::Debug>(
    data: &[u8],
    whole: &Result<Option<T>, ParseError>,
    mut parse: impl FnMut(&[u8]) -> Result<Option<T>, ParseError>,
) {
    for cut in cuts(data).chain([data.len()]) {
        match parse(&data[..cut]) {
            Ok(None) if cut < data.len() => {}
            answer => return assert_eq!(&answer, whole, "after {cut} bytes"),
        }
    }
}
