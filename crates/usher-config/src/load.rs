//! From a path to a [`Config`]: read, include, substitute, decode, check.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::decode::Context;
use crate::diagnostic::{Diagnostic, Report};
use crate::document::{Document, Node, Value};
use crate::include;
use crate::read::{self, Format, MAX_BYTES};
use crate::source::{Sources, Span};
use crate::substitute::substitute;

/// Files that one config may consist of.
const MAX_FILES: usize = 1000;
/// Files that may include one another in a chain.
const MAX_INCLUDE_DEPTH: usize = 8;

/// Where the config comes from.
#[derive(Debug, Clone)]
pub enum Input {
    /// A file; `-` is standard input.
    Path(PathBuf),
    /// Text that is at hand, with the name that diagnostics call it. Relative paths start at the working directory.
    Text {
        /// Its name in diagnostics.
        name: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// How to load.
pub struct LoadOptions<'a> {
    /// The format, where the file's extension does not say it.
    pub format: Option<Format>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Names of the filters that a route may have; other unknown keys are errors.
    pub known_filters: &'a [&'a str],
}

/// The process's environment, for [`LoadOptions::env`]. A value that is not UTF-8 counts as unset.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A config, and all that is needed to speak about it later.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// The texts, for diagnostics that come up when the config is built.
    pub sources: Sources,
    /// Every file that was read, secrets among them: what `watch` watches.
    pub files: Vec<PathBuf>,
    /// What is likely not meant so.
    pub warnings: Vec<Diagnostic>,
}

impl Loaded {
    /// For decoding the opaque sections of extensions.
    pub fn context(&self) -> Context<'_> {
        Context::new(&self.sources)
    }

    /// Turns findings of a later step into a report that shows the lines.
    pub fn report(&self, diagnostics: Vec<Diagnostic>) -> Report {
        Report::new(diagnostics, self.sources.clone())
    }
}

/// Loads a config.
///
/// # Errors
/// Everything that is wrong with it, at once. Errors of syntax come alone: what a broken text means cannot be checked.
pub fn load(input: Input, options: &LoadOptions<'_>) -> Result<Loaded, Box<Report>> {
    let mut loader =
        Loader { options, sources: Sources::new(), files: Vec::new(), stack: Vec::new(), errors: Vec::new() };
    let Some(mut document) = loader.input(input).filter(|_| loader.errors.is_empty()) else {
        return Err(Box::new(Report::new(loader.errors, loader.sources)));
    };
    let Loader { sources, mut files, mut errors, .. } = loader;
    substitute(&mut document.root, options.env, &sources, &mut errors);
    if !errors.is_empty() {
        return Err(Box::new(Report::new(errors, sources)));
    }
    let mut cx = Context::new(&sources);
    let config = Config::from_document(&document, options.known_filters, &mut cx);
    files.extend(cx.take_files());
    let (failed, diagnostics) = (cx.has_errors(), cx.finish());
    match config {
        Some(config) if !failed => Ok(Loaded { config, sources, files, warnings: diagnostics }),
        _ => Err(Box::new(Report::new(diagnostics, sources))),
    }
}

struct Loader<'a> {
    options: &'a LoadOptions<'a>,
    sources: Sources,
    files: Vec<PathBuf>,
    /// The files that are being read now, each included by the one before.
    stack: Vec<PathBuf>,
    errors: Vec<Diagnostic>,
}

impl Loader<'_> {
    fn input(&mut self, input: Input) -> Option<Document> {
        match input {
            Input::Path(path) if path.as_os_str() == "-" => {
                let mut bytes = Vec::new();
                let result = std::io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
                self.kept(
                    result.map_err(|error| Diagnostic::error(format!("cannot read standard input: {error}"))),
                )?;
                self.text("<stdin>", bytes)
            }
            Input::Path(path) => self.file(&path, Span::NONE),
            Input::Text { name, bytes } => self.text(&name, bytes),
        }
    }

    fn kept<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    fn text(&mut self, name: &str, bytes: Vec<u8>) -> Option<Document> {
        let text = self.kept(read::text_of(bytes, name))?;
        let format = self.options.format.or_else(|| Format::of_path(Path::new(name)));
        let format = format.unwrap_or_else(|| Format::of_text(&text));
        self.document(name, Path::new("."), text, format)
    }

    /// Reads a file; `from` is where it is included.
    fn file(&mut self, path: &Path, from: Span) -> Option<Document> {
        let name = path.display().to_string();
        let read = read_bounded(path).map_err(|error| unreadable(&name, &error).at(from, "included here"));
        let bytes = self.kept(read)?;
        self.files.push(path.to_path_buf());
        let text = self.kept(read::text_of(bytes, &name).map_err(|error| error.at(from, "included here")))?;
        let chosen = self.options.format.filter(|_| from.is_none());
        let Some(format) = chosen.or_else(|| Format::of_path(path)) else {
            let error = Diagnostic::error(format!("`{name}` has no extension that tells its format"));
            self.errors
                .push(error.at(from, "included here").help("name it `.toml`, `.yaml`, `.yml` or `.json`"));
            return None;
        };
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.stack.push(path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
        let document = self.document(&name, directory, text, format);
        self.stack.pop();
        document
    }

    /// A text and everything that it includes.
    fn document(&mut self, name: &str, directory: &Path, text: String, format: Format) -> Option<Document> {
        let id = self.sources.add(name, directory, text);
        let mut document = match read::read(&self.sources, id, format) {
            Ok(document) => document,
            Err(errors) => {
                self.errors.extend(errors);
                return None;
            }
        };
        for pattern in patterns(&document) {
            self.include(&mut document, directory, &pattern);
        }
        Some(document)
    }

    fn include(&mut self, into: &mut Document, directory: &Path, pattern: &Node) {
        let text = pattern.as_str().unwrap_or_default();
        if self.stack.len() >= MAX_INCLUDE_DEPTH {
            let message = format!("files include one another more than {MAX_INCLUDE_DEPTH} levels deep");
            self.errors.push(Diagnostic::error(message).at(pattern.span, ""));
            return;
        }
        let found = include::files(directory, text).map_err(|error| {
            Diagnostic::error(format!("cannot list `{text}`: {error}")).at(pattern.span, "")
        });
        for path in self.kept(found).unwrap_or_default() {
            if let Some(document) = self.included(&path, pattern.span)
                && let (Value::Table(into), Value::Table(from)) = (&mut into.root.value, document.root.value)
            {
                include::merge(into, from, &mut self.errors);
            }
        }
    }

    fn included(&mut self, path: &Path, from: Span) -> Option<Document> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if self.stack.contains(&real) {
            let message = format!("`{}` includes itself", path.display());
            self.errors
                .push(Diagnostic::error(message).at(from, "this names a file that is being read already"));
            return None;
        }
        if self.files.len() >= MAX_FILES {
            let message = format!("the config has more than {MAX_FILES} files");
            self.errors.push(Diagnostic::error(message).at(from, "the limit is reached here"));
            return None;
        }
        self.file(path, from)
    }
}

/// The texts under `include`. What is not a text is left to decoding, which reports it.
fn patterns(document: &Document) -> Vec<Node> {
    match document.root.get("include") {
        Some(node) if node.as_str().is_some() => vec![node.clone()],
        Some(node) => node
            .as_list()
            .unwrap_or_default()
            .iter()
            .filter(|item| item.as_str().is_some())
            .cloned()
            .collect(),
        None => Vec::new(),
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(name: &str, error: &std::io::Error) -> Diagnostic {
    use std::io::ErrorKind;
    let (why, help) = match error.kind() {
        ErrorKind::NotFound => {
            ("there is no such file".to_owned(), Some("check the path; `-` reads standard input"))
        }
        ErrorKind::PermissionDenied => {
            ("permission denied".to_owned(), Some("let the user that runs usher read it"))
        }
        ErrorKind::IsADirectory => {
            ("it is a directory".to_owned(), Some("include a directory's files by `dir/*.toml`"))
        }
        _ => (error.to_string(), None),
    };
    Diagnostic::error(format!("cannot read `{name}`: {why}")).maybe_help(help.map(str::to_owned))
}
