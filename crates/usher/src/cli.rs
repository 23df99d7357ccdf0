//! What can be typed. The texts here are the `--help`, the man pages and the completions.

mod endpoints;
mod shift;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use usher_config::{BindAddress, EndpointUrl, Format, ValueError};

pub(crate) use self::endpoints::{AskArgs, EndpointsArgs, EndpointsCommand, SetArgs};
pub(crate) use self::shift::ShiftArgs;
use crate::known;

/// HTTP/1.1 reverse proxy.
///
/// Meets every request at the door of a site and shows it to its seat: a reverse proxy in one binary.
#[derive(Debug, Parser)]
#[command(name = "usher", version, max_term_width = 100, after_long_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do; without it, `run`, or a demo if there is no config.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  usher                                        serve usher.toml, or a demo if there is none
  usher init && usher check && usher run       begin with a commented config
  usher proxy --listen :8080 --to :3000        no config: everything on port 8080 goes to port 3000
  usher explain GET http://example.com/api/x   which route would take it, and why
  kill -HUP $(pidof usher), or usher reload    read the config again; nothing is lost

Exit status:
  0  done
  1  the config was refused, or something failed
  2  the command line was wrong

Files:
  ./usher.toml             the config that is read when none is named
  /etc/usher/usher.toml    the config if that is not there";

/// What `usher` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve.
    ///
    /// Without a FILE, serves ./usher.toml or, where that is not there, /etc/usher/usher.toml.
    ///
    /// Signals: HUP reads the config again (an error changes nothing); TERM, INT and QUIT finish what is under way,
    /// for at most `timeouts.drain`, and a second one ends at once; USR1 opens log files again; USR2 lets the binary that is
    /// on disk now take over (`usher upgrade`).
    #[command(after_long_help = RUN_EXAMPLES)]
    Run(FileArgs),
    /// Say whether a config is good, without serving.
    ///
    /// Reports everything that is wrong with it at once, with file, line and repair. Opens no socket and no log.
    #[command(after_long_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Serve one address from others, without a config file.
    #[command(after_long_help = PROXY_EXAMPLES)]
    Proxy(ProxyArgs),
    /// Say what would happen to a request, without sending it.
    ///
    /// A dry run through the code that serves: the listener, the route that takes the request and why the next best
    /// ones do not, the filters in their order, the request as the endpoint would see it, and the endpoint.
    #[command(after_long_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Tell a running usher to read its config again.
    ///
    /// Prints what changed, or everything that is wrong with the new config; then nothing has changed.
    #[command(after_long_help = RELOAD_EXAMPLES)]
    Reload(ReloadArgs),
    /// Let the binary that is on disk now take over from the running process; no connection is refused or reset.
    ///
    /// The running process starts the new one with its own arguments and hands it the listening sockets. When that one
    /// serves, the old one finishes what is under way, for at most `timeouts.drain`, and ends. One that does not start
    /// changes nothing; why is printed.
    #[command(after_long_help = UPGRADE_EXAMPLES)]
    Upgrade(UpgradeArgs),
    /// Show the certificates of a running usher: names, issuer, expiry, what failed last and when it is tried again.
    #[command(after_long_help = CERTS_EXAMPLES)]
    Certs(CertsArgs),
    /// Show the endpoints of a running usher and how they stand, or change them at run time.
    ///
    /// What is changed here outlives reloads and upgrades, not restarts.
    #[command(after_long_help = endpoints::EXAMPLES)]
    Endpoints(EndpointsArgs),
    /// Show the shifts of a running usher, splits that move by themselves, or tell one what to do.
    ///
    /// What is done here outlives reloads, upgrades and restarts.
    #[command(after_long_help = shift::SHIFT_EXAMPLES)]
    Shift(ShiftArgs),
    /// Make this machine trust the authority that signs certificates for local names.
    ///
    /// Hosts that no public authority knows, such as `localhost` or `app.internal`, get a certificate of an authority of
    /// this machine. Browsers and programs here accept it once its root is installed; it takes the rights of root.
    #[command(after_long_help = TRUST_EXAMPLES)]
    Trust(TrustArgs),
    /// Print the JSON Schema of the config, for editors; or the reference manual.
    #[command(after_long_help = SCHEMA_EXAMPLES)]
    Schema {
        /// Print the reference manual in Markdown instead.
        #[arg(long)]
        reference: bool,
    },
    /// Write a commented config to begin with.
    #[command(after_long_help = INIT_EXAMPLES)]
    Init {
        /// Where to; the ending tells the format: .toml, .yaml, .yml or .json.
        #[arg(default_value = crate::origin::DEFAULT_FILE, value_hint = ValueHint::FilePath)]
        path: PathBuf,
        /// Replace the file if it is there.
        #[arg(long)]
        force: bool,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands into a folder.
    Man {
        /// The folder; without it, the page usher(1) goes to standard output.
        #[arg(value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// Which config.
#[derive(Debug, Default, Args)]
pub(crate) struct ConfigArgs {
    /// The config: TOML, YAML or JSON; `-` reads standard input. Without it, ./usher.toml or /etc/usher/usher.toml.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// The format, where the file's name does not tell it: toml, yaml or json.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
}

/// Which config, where a file may also stand alone.
#[derive(Debug, Default, Args)]
pub(crate) struct FileArgs {
    /// The same as `--config FILE`.
    #[arg(value_name = "FILE", conflicts_with = "config", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl FileArgs {
    /// Which config, however it is named.
    pub(crate) fn config(&self) -> ConfigArgs {
        let ConfigArgs { config, format } = &self.config;
        ConfigArgs { config: config.clone().or_else(|| self.file.clone()), format: *format }
    }
}

/// `usher check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Print the config as it would be served: all files in one, variables replaced, secrets as `***`, what is a
    /// default left out. Values of variables are shown, unless they stand where a secret does.
    #[arg(
        long,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "toml"
    )]
    pub(crate) print: Option<PrintFormat>,
    #[command(flatten)]
    pub(crate) file: FileArgs,
}

/// How a config is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrintFormat {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

/// `usher certs`
#[derive(Debug, Args)]
pub(crate) struct CertsArgs {
    /// Print all that is known, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Obtain a new certificate for this name now.
    #[arg(long, value_name = "NAME")]
    pub(crate) renew: Option<String>,
    /// The admin listener of the process, where it is not the one of the config.
    #[arg(long, value_name = "ADDR", value_parser = bind)]
    pub(crate) admin: Option<BindAddress>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// `usher trust`
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Take the root away again.
    #[arg(long)]
    pub(crate) remove: bool,
    /// Only say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the root certificate (PEM) instead.
    #[arg(long, conflicts_with_all = ["remove", "dry_run"])]
    pub(crate) print: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// `usher proxy`
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// Where to listen: `:8080` (all addresses), `127.0.0.1:8080`, `unix:/run/usher.sock`. May be repeated.
    #[arg(short, long, value_name = "ADDR", required = true, value_parser = listen)]
    pub(crate) listen: Vec<BindAddress>,
    /// Where requests go: `:3000` or `3000` (this machine), `10.0.0.1:3000`, `name:3000`, `unix:/run/app.sock`. May be
    /// repeated.
    #[arg(short, long, value_name = "ADDR", required = true, value_parser = endpoint)]
    pub(crate) to: Vec<EndpointUrl>,
    /// How one of several endpoints is chosen.
    #[arg(short, long, value_name = "NAME", value_parser = PossibleValuesParser::new(known::balancer_names()))]
    pub(crate) balance: Option<String>,
    /// Threads that serve; without it, one for each CPU.
    #[arg(short, long, value_name = "N")]
    pub(crate) workers: Option<u16>,
    /// Where metrics, health and control are; without it, nowhere.
    #[arg(long, value_name = "ADDR", value_parser = bind)]
    pub(crate) admin: Option<BindAddress>,
}

/// `usher explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The method.
    pub(crate) method: String,
    /// The URL: `http://host/path?query`, or a path with `-H 'host: …'`.
    pub(crate) url: String,
    /// A field of the request's head. May be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field)]
    pub(crate) headers: Vec<(String, String)>,
    /// The listener that it comes to; without it, the one on the URL's port, or else the first.
    #[arg(long, value_name = "NAME")]
    pub(crate) listener: Option<String>,
    /// The client's address; without it, this machine's.
    #[arg(long, value_name = "IP")]
    pub(crate) client: Option<IpAddr>,
    /// Answer in JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// `usher reload`
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// The admin listener of the running process; without it, the one that the config names.
    #[arg(long, value_name = "ADDR", conflicts_with = "pid_file", value_parser = bind)]
    pub(crate) admin: Option<BindAddress>,
    /// Send SIGHUP to the process whose number is in this file. The report is then in that process's log.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) pid_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// `usher upgrade`
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// The admin listener of the running process; without it, the one that the config names.
    #[arg(long, value_name = "ADDR", conflicts_with = "pid_file", value_parser = bind)]
    pub(crate) admin: Option<BindAddress>,
    /// Send SIGUSR2 to the process whose number is in this file. What becomes of it is then in that process's log.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) pid_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Reads the command line; a wrong one ends the process with 2.
pub(crate) fn parse() -> Cli {
    Cli::parse()
}

/// The command as data, for completions and man pages.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// An endpoint; a bare port stands for this machine.
fn endpoint(text: &str) -> Result<EndpointUrl, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    let local = port.parse::<u16>().ok().filter(|port| *port > 0).map(|port| format!("localhost:{port}"));
    let text = local.as_deref().unwrap_or(text);
    text.parse().map_err(repaired)
}

/// Where to listen; the option may be repeated.
fn listen(text: &str) -> Result<BindAddress, String> {
    address(text, |port| format!("`-l 127.0.0.1:{port} -l [::1]:{port}`"))
}

/// One address.
fn bind(text: &str) -> Result<BindAddress, String> {
    address(text, |port| format!("`127.0.0.1:{port}`"))
}

/// `localhost` is two addresses; how both are written depends on the option.
fn address(text: &str, localhost: impl FnOnce(u16) -> String) -> Result<BindAddress, String> {
    let port = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    text.parse().map_err(|error: ValueError| match port {
        Some(port) => format!("{}: names are not resolved here: write {}", error.message, localhost(port)),
        None => repaired(error),
    })
}

/// What is wrong and what to write instead.
fn repaired(error: ValueError) -> String {
    let ValueError { message, help } = error;
    help.map_or(message.clone(), |help| format!("{message}: {help}"))
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it like `accept: text/html`")?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("a field's name has no blanks".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

const RUN_EXAMPLES: &str = "\
Examples:
  usher run                             serve ./usher.toml, or /etc/usher/usher.toml
  usher run site.yaml                   or --config site.yaml
  generate-config | usher run --config - --format yaml";

const CHECK_EXAMPLES: &str = "\
Examples:
  usher check                           check ./usher.toml, or /etc/usher/usher.toml
  usher check site.yaml                 or --config site.yaml
  usher check --print                   and show what it amounts to, all files in one
  usher check && usher reload";

const RELOAD_EXAMPLES: &str = "\
Examples:
  usher reload                          ask the process at the `admin` of ./usher.toml
  usher reload --admin 127.0.0.1:9180   where `admin` has just been changed in the file: ask at the old one
  usher reload --pid-file /run/usher/usher.pid";

const UPGRADE_EXAMPLES: &str = "\
Examples:
  cp usher-new /usr/bin/usher.new && mv /usr/bin/usher.new /usr/bin/usher && usher upgrade
  usher upgrade --admin unix:/run/usher/admin.sock
  usher upgrade --pid-file /run/usher/usher.pid";

const CERTS_EXAMPLES: &str = "\
Examples:
  usher certs                           of the process at the `admin` of ./usher.toml
  usher certs --json                    all that is known of each
  usher certs --renew example.com       obtain a new one now";

const TRUST_EXAMPLES: &str = "\
Examples:
  sudo usher trust                      install the root; once on each machine that shall trust it
  usher trust --dry-run                 only say what would be done
  usher trust --print > root.pem        for another machine, or a phone
  sudo usher trust --remove";

const INIT_EXAMPLES: &str = "\
Examples:
  usher init                            write ./usher.toml
  usher init site.yaml                  the same in YAML";

const PROXY_EXAMPLES: &str = "\
Examples:
  usher proxy --listen :8080 --to 3000
  usher proxy --listen 127.0.0.1:8080 --to 10.0.0.1:3000 --to 10.0.0.2:3000 --balance least_requests
  usher proxy --listen unix:/run/door.sock --to unix:/run/app.sock";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  usher explain GET http://example.com/api/users
  usher explain POST /login -H 'host: example.com' -H 'cookie: beta=1' --client 203.0.113.7
  usher explain GET http://example.com/ --json --config /etc/usher/usher.toml";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  usher schema > usher.schema.json      for your editor
  usher schema --reference | less       every section and key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_bare_port_is_this_machine() {
        for text in ["3000", ":3000", "localhost:3000"] {
            assert_eq!(endpoint(text).unwrap().to_string(), "localhost:3000");
        }
        assert!(endpoint("0").is_err());
        assert!(endpoint("example.com").is_err());
    }

    #[test]
    fn localhost_is_two_addresses() {
        let said = listen("localhost:8091").unwrap_err();
        assert!(said.ends_with("write `-l 127.0.0.1:8091 -l [::1]:8091`"), "{said}");
        let said = bind("localhost:9180").unwrap_err();
        assert!(said.ends_with("write `127.0.0.1:9180`"), "{said}");
    }

    #[test]
    fn a_file_may_stand_alone() {
        let config = |words: &str| match Cli::try_parse_from(words.split(' ')).map(|cli| cli.command) {
            Ok(Some(Command::Run(args))) => args.config().config,
            Ok(Some(Command::Check(args))) => args.file.config().config,
            _ => None,
        };
        for words in
            ["usher run a.toml", "usher run -c a.toml", "usher check --print a.toml", "usher check -c a.toml"]
        {
            assert_eq!(config(words), Some("a.toml".into()), "{words}");
        }
        assert!(Cli::try_parse_from("usher run a.toml -c b.toml".split(' ')).is_err());
    }

    #[test]
    fn a_field_has_a_name() {
        assert_eq!(field("Accept:  text/html ").unwrap(), ("Accept".to_owned(), "text/html".to_owned()));
        for bad in ["accept", ": x", "a b: c"] {
            assert!(field(bad).is_err(), "{bad}");
        }
    }
}
