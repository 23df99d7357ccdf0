//! A config in each of its formats: whatever the bytes, there is a config or a report that can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_config::{Format, Input, LoadOptions, load};

const FILTERS: [&str; 3] = ["headers", "redirect", "rate_limit"];

fuzz_target!(|data: &[u8]| {
    let [format, text @ ..] = data else { return };
    // What names other files would make the run depend on the machine.
    let reads_files =
        [&b"include"[..], b"file"].iter().any(|word| text.windows(word.len()).any(|part| part == *word));
    if reads_files {
        return;
    }
    let format = match format % 4 {
        0 => Some(Format::Toml),
        1 => Some(Format::Yaml),
        2 => Some(Format::Json),
        _ => None,
    };
    let env = |name: &str| (name.len() % 2 == 0).then(|| name.to_owned());
    let options = LoadOptions { format, env: &env, known_filters: &FILTERS };
    match load(Input::Text { name: "fuzz".to_owned(), bytes: text.to_vec() }, &options) {
        Ok(loaded) => drop(loaded.report(loaded.warnings.clone()).render(false)),
        Err(report) => assert!(!report.render(data.len() % 2 == 0).is_empty()),
    }
});
