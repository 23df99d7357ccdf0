//! `usher init`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use usher_config::Format;

use crate::terminal::{Failure, print};

/// The config to begin with, in each format; they say the same.
const STARTERS: [(Format, &str); 3] = [
    (Format::Toml, include_str!("starter.toml")),
    (Format::Yaml, include_str!("starter.yaml")),
    (Format::Json, include_str!("starter.json")),
];

pub(super) fn run(path: &Path, force: bool) -> Result<(), Failure> {
    let shown = path.display();
    let starter = starter(path).ok_or_else(|| {
        let what = format!("`{shown}` does not say by its ending which format it is to have");
        Failure::with_help(what, "name it `.toml`, `.yaml`, `.yml` or `.json`")
    })?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !force {
        options.create_new(true);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(starter.as_bytes()));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::with_help(format!("`{shown}` is there already"), "`--force` replaces it"));
        }
        Err(error) => return Err(Failure::of(format!("cannot write `{shown}`"), error)),
    }
    let named =
        if path == Path::new(crate::origin::DEFAULT_FILE) { String::new() } else { format!(" {shown}") };
    print(format!("wrote {shown}\nnext: edit it, then `usher check{named}` and `usher run{named}`\n"))
}

fn starter(path: &Path) -> Option<&'static str> {
    let format = Format::of_path(path)?;
    STARTERS.iter().find(|(of, _)| *of == format).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use usher_config::{Decode, Sources, read};

    use super::STARTERS;

    #[test]
    fn all_formats_say_the_same() {
        let values = STARTERS.map(|(format, text)| {
            let mut sources = Sources::new();
            let id = sources.add("starter", "", text.to_owned());
            read::read(&sources, id, format).expect("is good").root.encode()
        });
        assert_eq!(values[0], values[1]);
        assert_eq!(values[0], values[2]);
    }
}
