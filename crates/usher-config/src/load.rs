//! From a path to a [`Config`]: read, include, substitute, decode, check.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::decode::Context;
use crate::diagnostic::{Diagnostic, Report};
use crate::document::{Document, Node, Value};
use crate::include;
use crate::mistakes::Mistakes;
use crate::read::{self, Format, MAX_BYTES, NotText};
use crate::source::{Sources, Span};
use crate::substitute::{Unset, substitute};

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
    /// What is wrong with it. Such a config can be built, so that the mistakes that only building finds are told at once
    /// with these, but it never serves.
    pub mistakes: Mistakes,
}

impl Loaded {
    /// The config, if nothing is wrong with it so far.
    ///
    /// # Errors
    /// What is.
    pub fn sound(self) -> Result<Self, Box<Report>> {
        if self.mistakes.is_empty() { Ok(self) } else { Err(Box::new(self.report(Vec::new()))) }
    }

    /// For decoding the opaque sections of extensions.
    pub fn context(&self) -> Context<'_> {
        Context::new(&self.sources)
    }

    /// Turns findings of a later step into a report that shows the lines. With mistakes found before, these come too, and
    /// of the later ones only what does not merely follow from them.
    pub fn report(&self, mut diagnostics: Vec<Diagnostic>) -> Report {
        if !self.mistakes.is_empty() {
            diagnostics.retain(|found| !self.mistakes.explain(found));
            diagnostics.extend(self.mistakes.iter().chain(&self.warnings).cloned());
        }
        Report::new(diagnostics, self.sources.clone())
    }
}

/// Loads a config. What is wrong with it is in [`Loaded::mistakes`], all of it: what could not be read has its default
/// there, or is left out.
///
/// # Errors
/// Those of syntax and of includes, which come alone: what a broken text means, or half of one, cannot be checked.
pub fn load(input: Input, options: &LoadOptions<'_>) -> Result<Loaded, Box<Report>> {
    let mut loader =
        Loader { options, sources: Sources::new(), files: Vec::new(), stack: Vec::new(), errors: Vec::new() };
    let Some(mut document) = loader.input(input).filter(|_| loader.errors.is_empty()) else {
        return Err(Box::new(Report::new(loader.errors, loader.sources)));
    };
    let Loader { sources, mut files, .. } = loader;
    let mut unset = Vec::new();
    substitute(&mut document.root, options.env, &sources, &mut unset);
    let mut cx = Context::new(&sources);
    let config = Config::from_document(&document, options.known_filters, &mut cx);
    files.extend(cx.take_files());
    let mut diagnostics = cx.finish();
    without_echoes(&mut diagnostics, unset);
    let Some(config) = config else { return Err(Box::new(Report::new(diagnostics, sources))) };
    let (errors, warnings) = diagnostics.into_iter().partition(Diagnostic::is_error);
    let mistakes = Mistakes::new(errors, &document);
    Ok(Loaded { config, sources, files, warnings, mistakes })
}

/// Adds what is wrong with variables, and drops what is only wrong because of that: findings at the same values.
fn without_echoes(diagnostics: &mut Vec<Diagnostic>, unset: Vec<Unset>) {
    let within = |outer: Span, inner: Span| {
        outer.source == inner.source && outer.start <= inner.start && inner.end <= outer.end
    };
    diagnostics.retain(|found| {
        let place = found.labels.first().map_or(Span::NONE, |label| label.span);
        !unset.iter().any(|unset| within(unset.value, place))
    });
    diagnostics.extend(unset.into_iter().map(|unset| unset.error));
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
        let text = self.text_of(bytes, name, Span::NONE)?;
        let format = self.options.format.or_else(|| Format::of_path(Path::new(name)));
        let format = format.unwrap_or_else(|| Format::of_text(&text));
        self.document(name, Path::new(""), text, format)
    }

    /// The text of a file's bytes; a fault in it is shown at its line.
    fn text_of(&mut self, bytes: Vec<u8>, name: &str, from: Span) -> Option<String> {
        let NotText { error, shown } = match read::text_of(bytes, name) {
            Ok(text) => return Some(text),
            Err(fault) => fault,
        };
        let place =
            shown.map_or(Span::NONE, |(text, range)| Span::new(self.sources.add(name, "", text), range));
        self.errors.push(error.at(place, "").at(from, "included here"));
        None
    }

    /// Reads a file; `from` is where it is included.
    fn file(&mut self, path: &Path, from: Span) -> Option<Document> {
        let name = path.display().to_string();
        let read = read_bounded(path).map_err(|error| unreadable(&name, &error, from));
        let bytes = self.kept(read)?;
        self.files.push(path.to_path_buf());
        let text = self.text_of(bytes, &name, from)?;
        let chosen = self.options.format.filter(|_| from.is_none());
        let Some(format) = chosen.or_else(|| Format::of_path(path)) else {
            let error = Diagnostic::error(format!("`{name}` has no extension that tells its format"));
            let format = if from.is_none() { "; or tell the format by `--format`" } else { "" };
            let help = format!("name it `.toml`, `.yaml`, `.yml` or `.json`{format}");
            self.errors.push(error.at(from, "included here").help(help));
            return None;
        };
        let directory = path.parent().unwrap_or(Path::new(""));
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
        if text.is_empty() {
            let error = Diagnostic::error("the pattern is empty").at(pattern.span, "");
            self.errors.push(error.help("write it like `conf.d/*.toml`"));
            return;
        }
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

/// The error for a file that cannot be read; `from` is where it is included.
fn unreadable(name: &str, error: &std::io::Error, from: Span) -> Diagnostic {
    use std::io::ErrorKind;
    let included = !from.is_none();
    let (why, help) = match error.kind() {
        ErrorKind::NotFound => {
            let help = match included {
                true => "check the path: it is relative to the file that names it",
                false => "check the path; `-` reads standard input",
            };
            ("there is no such file".to_owned(), Some(help))
        }
        ErrorKind::PermissionDenied => {
            ("permission denied".to_owned(), Some("let the user that runs usher read it"))
        }
        ErrorKind::IsADirectory => {
            let help = if included { "include its files by `dir/*.toml`" } else { "name the file in it" };
            ("it is a directory".to_owned(), Some(help))
        }
        _ => (error.to_string(), None),
    };
    let error = Diagnostic::error(format!("cannot read `{name}`: {why}")).at(from, "included here");
    error.maybe_help(help.map(str::to_owned))
}
