//! Where the config comes from, and how it is read again on a reload.

use std::io::Read;
use std::path::{Path, PathBuf};

use usher_config::{Format, Input, LoadOptions, Loaded, Report, environment, load};

use crate::known;
use crate::terminal::Failure;

/// The file that is read when none is named.
pub(crate) const DEFAULT_FILE: &str = "usher.toml";

/// Where the config comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A file, read again on every reload.
    File {
        /// Its path.
        path: PathBuf,
        /// Its format, if its name does not tell.
        format: Option<Format>,
    },
    /// A text that was read or made once. A reload reads only the files that it names.
    Text {
        /// What diagnostics call it.
        name: &'static str,
        /// The text.
        bytes: Vec<u8>,
        /// Its format, if it does not tell itself.
        format: Option<Format>,
    },
}

impl Origin {
    /// What `--config` means: a file, `-` for standard input, or, without it, `usher.toml`.
    pub(crate) fn named(config: Option<&Path>, format: Option<Format>) -> Result<Self, Failure> {
        match config {
            Some(path) if path.as_os_str() == "-" => Self::stdin(format),
            Some(path) => Ok(Self::File { path: path.to_path_buf(), format }),
            None => Ok(Self::File { path: DEFAULT_FILE.into(), format }),
        }
    }

    fn stdin(format: Option<Format>) -> Result<Self, Failure> {
        let (mut bytes, limit) = (Vec::new(), usher_config::read::MAX_BYTES as u64 + 1);
        let read = std::io::stdin().lock().take(limit).read_to_end(&mut bytes);
        read.map_err(|error| Failure::of("cannot read standard input", error))?;
        Ok(Self::Text { name: "<stdin>", bytes, format })
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            Self::Text { name, .. } => (*name).to_owned(),
        }
    }

    /// Reads and checks it.
    pub(crate) fn load(&self) -> Result<Loaded, Box<Report>> {
        let (input, format) = match self {
            Self::File { path, format } => (Input::Path(path.clone()), *format),
            Self::Text { name, bytes, format } => {
                (Input::Text { name: (*name).to_owned(), bytes: bytes.clone() }, *format)
            }
        };
        let filters = known::filter_names();
        load(input, &LoadOptions { format, env: &environment, known_filters: &filters })
    }
}
