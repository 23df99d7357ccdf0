//! Every config under `examples/` is started with the real binary and asked what its `.expect` file says. What the
//! lines of such a file mean is in `examples/README.md`.
//!
//! Addresses of a config become free ports; its endpoints become fakes that answer `endpoint NAME` and then the request
//! as they received it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use usher_testkit::{Client, Endpoint, Port, Reply, Request, Response, Usher};

type Outcome<T = ()> = Result<T, String>;

/// The most files that are copied beside a config.
const MAX_FILES: usize = 200;

macro_rules! examples {
    ($($test:ident = $file:literal,)*) => {
        const TESTED: &[&str] = &[$($file,)*];
        $(
            #[test]
            fn $test() {
                if let Err(message) = Example::read($file).and_then(|example| example.run()) {
                    panic!("examples/{}: {message}", $file);
                }
            }
        )*
    };
}

examples! {
    api_gateway = "api-gateway.toml",
    balancing = "balancing.toml",
    behind_load_balancer = "behind-load-balancer.toml",
    gradual_release = "gradual-release.toml",
    multi_file = "multi-file.toml",
    observability = "observability.toml",
    password = "password.toml",
    redirects = "redirects.toml",
    regex = "regex.json",
    smallest = "smallest.toml",
    static_site = "static-site.toml",
    virtual_hosts = "virtual-hosts.yaml",
    websocket = "websocket.toml",
}

/// A config that nobody starts would rot.
#[test]
fn every_example_is_tested_and_listed() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let configs: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| [".toml", ".yaml", ".json"].iter().any(|ending| name.ends_with(ending)))
        .collect();
    assert_eq!(configs, TESTED.iter().map(|name| (*name).to_owned()).collect());
    for name in configs {
        assert!(readme.contains(&format!("]({name})")), "examples/README.md does not list {name}");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn binary() -> PathBuf {
    std::env::var_os("USHER_BIN").map_or_else(|| env!("CARGO_BIN_EXE_usher").into(), PathBuf::from)
}

/// A config with what its `.expect` says.
#[derive(Default)]
struct Example {
    file: &'static str,
    listeners: Vec<String>,
    admin: Option<String>,
    /// Addresses and names.
    endpoints: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    asks: Vec<Ask>,
}

/// One request and what must come back.
#[derive(Default)]
struct Ask {
    line: usize,
    method: String,
    host: String,
    target: String,
    times: usize,
    at: Option<String>,
    preface: Option<String>,
    fields: Vec<(String, String)>,
    content: String,
    checks: Vec<Check>,
}

enum Check {
    Status(u16),
    Header(String, String),
    NoHeader(String),
    Body(String),
    NoBody(String),
    Spread(Vec<String>),
    Tunnel(String),
}

impl Example {
    fn read(file: &'static str) -> Outcome<Self> {
        let path = folder().join(file).with_extension("expect");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut example = Self { file, ..Self::default() };
        for (number, line) in text.lines().enumerate() {
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (word, rest) = content.split_once(' ').unwrap_or((content, ""));
            let read = match line.starts_with(' ') {
                true => example.detail(word, rest),
                false => example.entry(word, rest, number + 1),
            };
            read.map_err(|error| format!("line {} of its .expect: {error}", number + 1))?;
        }
        if example.asks.is_empty() { Err("its .expect asks nothing".to_owned()) } else { Ok(example) }
    }

    fn entry(&mut self, word: &str, rest: &str, line: usize) -> Outcome {
        match word {
            "listen" => self.listeners.push(rest.to_owned()),
            "admin" => self.admin = Some(rest.to_owned()),
            "endpoint" => self.endpoints.push(pair(rest, ' ')?),
            "env" => self.environment.push(pair(rest, '=')?),
            method if method.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                self.asks.push(Ask::new(method, rest, line)?);
            }
            other => return Err(format!("`{other}` is not known")),
        }
        Ok(())
    }

    fn detail(&mut self, word: &str, rest: &str) -> Outcome {
        let ask = self.asks.last_mut().ok_or("it stands under no request")?;
        let text = || rest.to_owned();
        match word {
            "at" => ask.at = Some(text()),
            "preface" => ask.preface = Some(text()),
            "send" => ask.fields.push(pair(rest, ':')?),
            "content" => ask.content = text(),
            "status" => ask.checks.push(Check::Status(number(rest)?)),
            "header" => {
                let (name, value) = pair(rest, ':')?;
                ask.checks.push(Check::Header(name, value));
            }
            "no-header" => ask.checks.push(Check::NoHeader(text())),
            "body" => ask.checks.push(Check::Body(text())),
            "no-body" => ask.checks.push(Check::NoBody(text())),
            "spread" => ask.checks.push(Check::Spread(rest.split(' ').map(str::to_owned).collect())),
            "tunnel" => ask.checks.push(Check::Tunnel(text())),
            other => return Err(format!("`{other}` is not known")),
        }
        Ok(())
    }

    fn run(&self) -> Outcome {
        let mut running = Running::start(self)?;
        for ask in &self.asks {
            let asked = running.ask(ask);
            asked.map_err(|error| {
                let output = running.usher.kill();
                format!("line {} of its .expect: {error}\noutput of usher:\n{output}", ask.line)
            })?;
        }
        Ok(())
    }

    /// A file with addresses replaced by placeholders of the harness.
    fn with_placeholders(&self, text: &str) -> String {
        let listeners =
            self.listeners.iter().enumerate().map(|(at, address)| (address, format!("$LISTEN[{at}]")));
        let endpoints = self.endpoints.iter().map(|(address, _)| address).enumerate();
        let endpoints = endpoints.map(|(at, address)| (address, format!("$ENDPOINT[{at}]")));
        let admin = self.admin.iter().map(|address| (address, "$ADMIN".to_owned()));
        listeners.chain(endpoints).chain(admin).fold(text.to_owned(), |text, (address, placeholder)| {
            text.replace(&format!("\"{address}\""), &format!("\"{placeholder}\""))
        })
    }

    fn content(&self, path: &Path) -> Outcome<Vec<u8>> {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => self.with_placeholders(&text).into_bytes(),
            Err(error) => error.into_bytes(),
        })
    }
}

impl Ask {
    /// `http://HOST/TARGET`, perhaps with ` x TIMES`.
    fn new(method: &str, rest: &str, line: usize) -> Outcome<Self> {
        let (url, times) = rest.split_once(" x ").unwrap_or((rest, "1"));
        let after =
            url.strip_prefix("http://").ok_or_else(|| format!("`{url}` does not begin with `http://`"))?;
        let (host, target) = after.split_at(after.find('/').unwrap_or(after.len()));
        let (method, host, target) = (method.to_owned(), host.to_owned(), target.to_owned());
        Ok(Self { line, method, host, target, times: number(times)?, ..Self::default() })
    }

    /// Checks all responses, in the order in which they came.
    fn check(&self, responses: &[Response]) -> Outcome {
        responses.iter().try_for_each(|response| {
            let checked = self.checks.iter().try_for_each(|check| check.one(response));
            checked.map_err(|error| {
                format!("{error}; the response was\n{}", String::from_utf8_lossy(&response.raw))
            })
        })?;
        for check in &self.checks {
            let Check::Spread(names) = check else { continue };
            let answered: BTreeSet<String> = responses.iter().map(endpoint_of).collect();
            let wanted: BTreeSet<String> = names.iter().cloned().collect();
            if answered != wanted {
                return Err(format!("these answered: {answered:?}, and not {wanted:?}"));
            }
        }
        Ok(())
    }
}

impl Check {
    fn one(&self, response: &Response) -> Outcome {
        let text = || response.text();
        let (holds, what) = match self {
            Self::Status(status) => (response.status == *status, format!("the status is not {status}")),
            Self::Header(name, value) => {
                let found = response.fields.all(name).any(|found| found.contains(value));
                (found, format!("no field `{name}` holds `{value}`"))
            }
            Self::NoHeader(name) => (!response.fields.has(name), format!("there is a field `{name}`")),
            Self::Body(part) => (text().contains(part), format!("the body does not hold `{part}`")),
            Self::NoBody(part) => (!text().contains(part), format!("the body holds `{part}`")),
            Self::Spread(_) | Self::Tunnel(_) => return Ok(()),
        };
        if holds { Ok(()) } else { Err(what) }
    }
}

/// A started example.
struct Running<'e> {
    example: &'e Example,
    usher: Usher,
    _endpoints: Vec<Endpoint>,
    _nobody: Vec<Port>,
}

impl<'e> Running<'e> {
    fn start(example: &'e Example) -> Outcome<Self> {
        let path = folder().join(example.file);
        let config = String::from_utf8(example.content(&path)?).map_err(|error| error.to_string())?;
        let mut builder = Usher::builder().binary(binary()).config_name(example.file).config(&config);
        let (mut endpoints, mut nobody) = (Vec::new(), Vec::new());
        for (_, name) in &example.endpoints {
            if name == "-" {
                let port = Port::reserve().map_err(|error| error.to_string())?;
                builder = builder.endpoint_address("", &port.address().to_string());
                nobody.push(port);
            } else {
                let endpoint = fake(name)?;
                builder = builder.endpoint(&endpoint);
                endpoints.push(endpoint);
            }
        }
        for file in files_below(&folder(), &path)? {
            let name = file.strip_prefix(folder()).unwrap_or(&file).to_string_lossy().into_owned();
            builder = builder.file(&name, example.content(&file)?);
        }
        for (name, value) in &example.environment {
            builder = builder.environment(name, value);
        }
        let usher = builder.start().map_err(|error| error.to_string())?;
        Ok(Self { example, usher, _endpoints: endpoints, _nobody: nobody })
    }

    /// Asks as often as the request says, each time on a new connection.
    fn ask(&self, ask: &Ask) -> Outcome {
        let responses: Outcome<Vec<Response>> = (0..ask.times).map(|_| self.ask_once(ask)).collect();
        ask.check(&responses?)
    }

    fn ask_once(&self, ask: &Ask) -> Outcome<Response> {
        let failed = |error: usher_testkit::Error| error.to_string();
        let mut client = Client::connect(self.address(ask)?).map_err(failed)?;
        if let Some(preface) = &ask.preface {
            client.send(format!("{preface}\r\n")).map_err(failed)?;
        }
        let mut fields = vec![("Host", ask.host.as_str())];
        fields.extend(ask.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let response =
            client.request(&ask.method, &ask.target, &fields, ask.content.as_bytes()).map_err(failed)?;
        for check in &ask.checks {
            let Check::Tunnel(text) = check else { continue };
            client.send(text).map_err(failed)?;
            let back = client.read_exact(text.len()).map_err(failed)?;
            if back != text.as_bytes() {
                return Err(format!("`{}` came back through the tunnel", String::from_utf8_lossy(&back)));
            }
        }
        Ok(response)
    }

    fn address(&self, ask: &Ask) -> Outcome<std::net::SocketAddr> {
        let at = match &ask.at {
            Some(address) if self.example.admin.as_ref() == Some(address) => {
                return self.usher.admin().map_err(|error| error.to_string());
            }
            Some(address) => self.example.listeners.iter().position(|listener| listener == address),
            None => Some(0),
        };
        let at = at.ok_or_else(|| format!("`{:?}` is not under `listen`", ask.at))?;
        self.usher.listener(&at.to_string()).map_err(|error| error.to_string())
    }
}

/// Says its name and what it received; agrees to every upgrade and sends back what then comes.
fn fake(name: &str) -> Outcome<Endpoint> {
    let name = name.to_owned();
    let answer = move |request: &Request| match request.fields.get("Upgrade") {
        Some(protocol) => Reply::upgrade_echo(protocol),
        None => {
            let body = [format!("endpoint {name}\n").as_bytes(), &request.raw].concat();
            Reply::ok(body).field("X-Powered-By", "a fake").field("Server", "a fake")
        }
    };
    Endpoint::start(answer).map_err(|error| error.to_string())
}

/// Which fake answered.
fn endpoint_of(response: &Response) -> String {
    let text = response.text();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("endpoint ").unwrap_or("nobody").to_owned()
}

/// All files of a folder but `without`.
fn files_below(folder: &Path, without: &Path) -> Outcome<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry.map_err(|error| error.to_string())?.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path != without => files.push(path),
                false => {}
            }
        }
        if files.len() > MAX_FILES {
            return Err(format!("examples/ holds more than {MAX_FILES} files"));
        }
    }
    Ok(files)
}

fn pair(text: &str, by: char) -> Outcome<(String, String)> {
    let (first, second) = text.split_once(by).ok_or_else(|| format!("`{text}` has no `{by}`"))?;
    Ok((first.trim().to_owned(), second.trim().to_owned()))
}

fn number<T: std::str::FromStr>(text: &str) -> Outcome<T> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}
