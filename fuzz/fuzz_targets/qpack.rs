//! QPACK: any split of the encoder stream gives the same table or the same error; what was decoded, encoded again,
//! decodes to the same. The first byte says how much of the input is the encoder stream's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_fuzz::{Pairs, cuts};
use usher_wire::qpack::{Decoder, QpackError, Section, TABLE_CAPACITY, encode};

/// Gives the encoder stream in reads that end at `ends`.
fn instructed(data: &[u8], ends: impl Iterator<Item = usize>) -> (Decoder, Result<usize, QpackError>) {
    let mut decoder = Decoder::new(TABLE_CAPACITY);
    let mut at = 0;
    for end in ends.chain([data.len()]) {
        match decoder.instructions(&data[at..end]) {
            Ok(used) => at += used,
            Err(error) => return (decoder, Err(error)),
        }
    }
    (decoder, Ok(at))
}

fn decoded(decoder: &mut Decoder, section: &[u8]) -> (Result<Section<()>, QpackError>, Pairs) {
    let mut fields = Vec::new();
    let done = decoder.section(0, section, |name, value| {
        fields.push((name.to_vec(), value.to_vec()));
        if fields.len() < 1000 { Ok(()) } else { Err(()) }
    });
    (done, fields)
}

fuzz_target!(|data: &[u8]| {
    let Some((&len, rest)) = data.split_first() else { return };
    let (changes, section) = rest.split_at(usize::from(len).min(rest.len()));
    let (mut decoder, used) = instructed(changes, std::iter::empty());
    let (mut other, other_used) = instructed(changes, cuts(changes));
    assert_eq!((used, decoder.inserted()), (other_used, other.inserted()));
    let (done, fields) = decoded(&mut decoder, section);
    assert_eq!(decoded(&mut other, section), (done, fields.clone()));
    if done != Ok(Section::Done) {
        return;
    }
    let mut wire = Vec::new();
    encode::begin(&mut wire);
    fields.iter().for_each(|(name, value)| encode::field(name, value, &mut wire));
    assert_eq!(decoded(&mut Decoder::new(0), &wire), (Ok(Section::Done), fields));
});
