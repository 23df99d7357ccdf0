//! Where the config comes from, and how it is read again on a reload.

use std::io::Read;
use std::path::{Path, PathBuf};

use usher_config::config::Admin;
use usher_config::{Format, Input, LoadOptions, Loaded, Report, Sources, environment, load};

use crate::cli::ConfigArgs;
use crate::known;
use crate::terminal::Failure;

/// The file that `usher init` writes, and the first that is looked for when none is named.
pub(crate) const DEFAULT_FILE: &str = "usher.toml";
/// Where a config is looked for when none is named, in this order.
const PLACES: [&str; 2] = [DEFAULT_FILE, "/etc/usher/usher.toml"];

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
    /// The config that a command is to work on: the file that is named, `-` for standard input, or the first that is
    /// [there](PLACES).
    ///
    /// # Errors
    /// None is named and none is there.
    pub(crate) fn of(args: &ConfigArgs) -> Result<Self, Failure> {
        match &args.config {
            Some(path) if path.as_os_str() == "-" => Self::stdin(args.format),
            Some(path) => Ok(Self::File { path: path.clone(), format: args.format }),
            None => Self::found(args.format).ok_or_else(nowhere),
        }
    }

    /// The first file that is [there](PLACES).
    pub(crate) fn found(format: Option<Format>) -> Option<Self> {
        let path = PLACES.iter().map(Path::new).find(|path| is_there(path))?;
        Some(Self::File { path: path.to_path_buf(), format })
    }

    /// Whether it is a file, which can be read again.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// The file, before it is read: what it includes is not known yet.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::File { path, .. } => vec![path.clone()],
            Self::Text { .. } => Vec::new(),
        }
    }

    /// Whether a reload could find something else: a text that was read once, and that names no file, stays what it is.
    pub(crate) fn can_change(&self, loaded: &Loaded, files: &[PathBuf]) -> bool {
        self.is_file() || !files.is_empty() || loaded.config.include.is_some()
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

    /// What a file says under `admin`, whatever else is wrong with it. None if it cannot tell.
    pub(crate) fn admin_of_faulty(&self) -> Option<Admin> {
        let Self::File { path, format } = self else { return None };
        let mut text = String::new();
        let limit = usher_config::read::MAX_BYTES as u64;
        std::fs::File::open(path).ok()?.take(limit).read_to_string(&mut text).ok()?;
        let format = format.or_else(|| Format::of_path(path))?;
        let mut sources = Sources::new();
        let id = sources.add(self.name(), "", text);
        let document = usher_config::read::read(&sources, id, format).ok()?;
        usher_config::decode(document.root.get("admin")?, &sources).ok()
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

/// A file that exists but cannot be looked at is there too: reading it says why.
fn is_there(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

fn nowhere() -> Failure {
    let looked = PLACES.map(|place| format!("`{place}`")).join(" and ");
    Failure::with_help(
        format!("no config: looked for {looked}"),
        "name one by `--config FILE`, write one by `usher init`, or go without: `usher proxy --listen :8080 --to 3000`",
    )
}
