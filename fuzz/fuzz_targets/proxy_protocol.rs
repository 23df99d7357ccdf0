//! A PROXY header: more bytes never change an answer; what was read, written again, reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_net::proxy_protocol::{Endpoints, MAX_V2_BYTES, Parsed, Version, encode_v1, encode_v2, parse};

fuzz_target!(|data: &[u8]| {
    let whole = parse(data);
    for cut in 0..data.len().min(600) {
        match parse(&data[..cut]) {
            Ok(Parsed::NeedMore) => assert!(cut < MAX_V2_BYTES),
            answer => return assert_eq!(answer, whole, "after {cut} bytes"),
        }
    }
    let Ok(Parsed::Header(header)) = whole else { return };
    assert!(header.consumed <= data.len());
    let mut out = Vec::new();
    match header.version {
        Version::V1 => encode_v1(&header.endpoints, &mut out),
        Version::V2 => {
            assert_eq!(encode_v2(&header.endpoints, &header.details, data.len() % 2 == 0, &mut out), Ok(()))
        }
    }
    let Ok(Parsed::Header(again)) = parse(&out) else { panic!("{}", out.escape_ascii()) };
    assert_eq!((again.consumed, &again.endpoints), (out.len(), &header.endpoints));
    if header.version == Version::V2 && header.endpoints != Endpoints::Own {
        assert_eq!(again.details, header.details);
    }
});
