//! The command line.

use std::io;
use std::path::PathBuf;

use crate::peers::Proxy;
use crate::{extras, works};

pub(crate) const HELP: &str = "\
usher-bench: what a request costs in Usher, nginx, HAProxy and Caddy, measured in one interleaved run

  usher-bench run [OPTIONS]            measure and print the tables (`cargo xtask bench` builds and calls this)
      --only NAME…                     only these works: 1k-128 1k-16 new-connection 100k 10m upload-1m
                                       upload-1m-spooled 100k-tuned 10m-tuned upload-1m-tuned
                                       https-1k handshake handshake-resumed handshake-pq https-10m
                                       https-10m-tuned h2-1k grpc grpc-h2c h3-1k h3-10m
                                       tcp-10m tcp-upload-10m tcp-1k tcp-connection 1k-guarded
                                       latency memory memory-tls memory-h2 startup reload
      --proxies A,B,…                  only these of nginx,haproxy,caddy,bare,usher
      --rounds N                       rounds of each work, 5 unless told
      --quick                          3 short rounds: to see that it works, not to believe
      --logs off|on|both               access logs of all proxies; both unless told, each in a table of its own
      --proxy-core N, --load-core N    where the proxy runs (1), and load and endpoint (0)
      --usher PATH                     Usher's binary, target/release/usher unless told
      --before PATH                    another Usher, which has a column of its own, to see what a change costs
      --caddy PATH                     Caddy's binary, `caddy` from the search path unless told
      --out DIR                        where RESULTS.md and results/latest.json are kept, bench/ unless told
      --keep                           keep the results of a partial run too
  usher-bench chaos [OPTIONS]          what visitors see while endpoints die, freeze, fail, restart and move; as root
                                       (`cargo xtask chaos` builds and calls this)
      --faults NAME…                   only these: killed frozen slowed errors resets cuts restarts moves
      --rate N                         requests per second, 500 unless told
      --proxies A,B,… --usher PATH --out DIR
                                       as with `run`; a whole run is kept in CHAOS.md and results/chaos.*
  usher-bench instructions [--work NAME] [--connections N] [--guarded] [--before PATH] [--usher PATH]
                                       instructions per request, counted by callgrind
                                       (`cargo xtask instructions` builds and calls this)
  usher-bench serve PROXY --work NAME [--seconds N] [OPTIONS]
                                       one proxy as a work has it, before an endpoint of its own
  usher-bench endpoint [--port N] [--seconds N] [--send-buffer BYTES]
                                       the endpoint alone: /1k /100k /10m /sink /echo, and gRPC on a port of its own
  usher-bench slow-clients [--clients N] [--memory SIZE] [--seconds N] [--rounds N] [--keep FILE] [OPTIONS]
                                       a crowd of slow clients against a ceiling on memory, and somebody who behaves
  usher-bench load ADDRESS [--work NAME] [--certificate PATH] [--connections N] [--requests N] [--seconds N]
                                       a closed loop by hand, say beside a profiler
";

/// Flags and values in any order; what nobody asked for is an error in the end.
pub(crate) struct Flags {
    rest: Vec<String>,
}

impl Flags {
    pub(crate) fn new(arguments: &[String]) -> Self {
        Self { rest: arguments.to_vec() }
    }

    /// Takes `--name`; whether it was there.
    pub(crate) fn switch(&mut self, name: &str) -> bool {
        let found = self.rest.iter().position(|argument| argument == name);
        found.map(|at| self.rest.remove(at)).is_some()
    }

    /// Takes `--name VALUE`.
    pub(crate) fn value(&mut self, name: &str) -> io::Result<Option<String>> {
        let Some(at) = self.rest.iter().position(|argument| argument == name) else { return Ok(None) };
        self.rest.remove(at);
        if self.rest.get(at).is_none_or(|value| value.starts_with("--")) {
            return Err(io::Error::other(format!("`{name}` needs a value")));
        }
        Ok(Some(self.rest.remove(at)))
    }

    /// Takes `--name NUMBER`.
    pub(crate) fn number(&mut self, name: &str) -> io::Result<Option<u64>> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        value
            .parse()
            .map(Some)
            .map_err(|_| io::Error::other(format!("`{name}` needs a number, not `{value}`")))
    }

    /// Takes `--name VALUE…`: everything up to the next flag; commas separate too.
    pub(crate) fn values(&mut self, name: &str) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        while let Some(at) = self.rest.iter().position(|argument| argument == name) {
            found.extend(self.value(name)?);
            // `value` took the name and the first value; the others follow where the name was.
            while self.rest.get(at).is_some_and(|argument| !argument.starts_with("--")) {
                found.push(self.rest.remove(at));
            }
        }
        Ok(found.iter().flat_map(|value| value.split(',')).map(str::to_owned).collect())
    }

    /// Takes the very first argument, if it is no flag.
    pub(crate) fn first(&mut self) -> Option<String> {
        let first = self.rest.first().filter(|first| !first.starts_with("--"))?.clone();
        self.rest.remove(0);
        Some(first)
    }

    /// What is left, for somebody else.
    pub(crate) fn rest(self) -> Vec<String> {
        self.rest
    }

    /// Takes the first argument that is no flag.
    pub(crate) fn positional(&mut self) -> Option<String> {
        let at = self.rest.iter().position(|argument| !argument.starts_with("--"))?;
        Some(self.rest.remove(at))
    }

    /// Refuses what is left.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.rest.first() {
            None => Ok(()),
            Some(unknown) => Err(io::Error::other(format!("unknown argument `{unknown}`\n\n{HELP}"))),
        }
    }
}

/// What `run` was asked for.
pub(crate) struct Options {
    pub(crate) only: Vec<String>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) rounds: u64,
    pub(crate) quick: bool,
    /// Access logs off, on, or both, in this order.
    pub(crate) logs: Vec<bool>,
    pub(crate) proxy_core: usize,
    pub(crate) load_core: usize,
    pub(crate) usher: PathBuf,
    /// The Usher that Usher is compared with.
    pub(crate) before: Option<PathBuf>,
    pub(crate) caddy: PathBuf,
    pub(crate) out: PathBuf,
    /// Whether the results are kept in files.
    pub(crate) keep: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> io::Result<Self> {
        let mut flags = Flags::new(arguments);
        let quick = flags.switch("--quick");
        let keep = flags.switch("--keep");
        let rounds = flags.number("--rounds")?.unwrap_or(if quick { 3 } else { 5 }).max(1);
        let proxy_core = core(flags.number("--proxy-core")?.unwrap_or(1))?;
        let load_core = core(flags.number("--load-core")?.unwrap_or(0))?;
        let logs = match flags.value("--logs")?.as_deref() {
            None | Some("both") => vec![false, true],
            Some("off") => vec![false],
            Some("on") => vec![true],
            Some(other) => {
                return Err(io::Error::other(format!("`--logs` is off, on or both, not `{other}`")));
            }
        };
        let usher = flags.value("--usher")?.map_or_else(|| "target/release/usher".into(), PathBuf::from);
        let before = flags.value("--before")?.map(PathBuf::from);
        let caddy = flags.value("--caddy")?.map_or_else(|| "caddy".into(), PathBuf::from);
        let out = flags.value("--out")?.map_or_else(|| "bench".into(), PathBuf::from);
        let proxies = match flags.value("--proxies")? {
            None => Proxy::ALL.to_vec(),
            Some(names) => names.split(',').map(Proxy::named).collect::<io::Result<Vec<_>>>()?,
        };
        let only = flags.values("--only")?;
        flags.finish()?;
        if let Some(unknown) =
            only.iter().find(|name| works::named(name).is_none() && !extras::NAMES.contains(&name.as_str()))
        {
            return Err(io::Error::other(format!("there is no work `{unknown}`\n\n{HELP}")));
        }
        let all = proxies.len() == Proxy::ALL.len() && before.is_none();
        let whole = only.is_empty() && !quick && all && logs.len() == 2;
        let keep = keep || whole;
        let mut options = Self {
            only,
            proxies,
            rounds,
            quick,
            logs,
            proxy_core,
            load_core,
            usher,
            before,
            caddy,
            out,
            keep,
        };
        let all = options.proxies.iter().copied().chain(options.before.as_ref().map(|_| Proxy::Before));
        options.proxies = all.filter(|proxy| options.needs(*proxy)).collect();
        if options.proxies.is_empty() {
            return Err(io::Error::other("none of these proxies does any of these works"));
        }
        Ok(options)
    }

    /// Whether any row that was asked for has this proxy in it.
    fn needs(&self, proxy: Proxy) -> bool {
        let works = works::ALL.iter().any(|work| self.wants(work.name) && work.is_for(proxy));
        works || extras::PROXIES.contains(&proxy) && extras::NAMES.iter().any(|name| self.wants(name))
    }

    /// Those of the proxies that are asked for besides CPU per request, in their order.
    pub(crate) fn usual_proxies(&self) -> Vec<Proxy> {
        self.proxies.iter().copied().filter(|proxy| extras::PROXIES.contains(proxy)).collect()
    }

    /// Whether a work or an extra was asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

fn core(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> io::Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_whole_run_is_kept_and_a_partial_one_is_not() {
        for (line, keep) in [
            ("", true),
            ("--rounds 9", true),
            ("--quick", false),
            ("--only 10m", false),
            ("--proxies nginx,haproxy", false),
            ("--logs off", false),
            ("--only 10m --keep", true),
            ("--before /usr/bin/usher", false),
        ] {
            assert_eq!(parse(line).unwrap().keep, keep, "{line}");
        }
    }

    #[test]
    fn only_takes_several_names() {
        let options = parse("--only 1k-16 10m,latency --rounds 2").unwrap();
        let mut flags = Flags::new(&["--a", "1", "2,3", "--b", "4"].map(str::to_owned));
        assert_eq!(flags.values("--a").unwrap(), ["1", "2", "3"]);
        assert_eq!(flags.rest(), ["--b", "4"]);
        assert_eq!(options.only, ["1k-16", "10m", "latency"]);
        assert_eq!(options.rounds, 2);
        assert!(options.wants("10m") && !options.wants("100k"));
    }

    #[test]
    fn only_the_proxies_that_the_rows_need_take_part() {
        use Proxy::{Bare, Before, Caddy, Haproxy, Nginx, Usher};
        let cases: [(&str, &[Proxy]); 8] = [
            ("", &[Nginx, Haproxy, Caddy, Bare, Usher]),
            ("--only 1k-guarded", &[Bare, Usher]),
            ("--only h2-1k --before /usr/bin/usher", &[Nginx, Haproxy, Usher, Before]),
            ("--only h2-1k,https-1k --rounds 3", &[Nginx, Haproxy, Usher]),
            ("--only h3-1k", &[Caddy, Usher]),
            ("--only h3-10m memory-tls", &[Nginx, Haproxy, Caddy, Usher]),
            ("--only handshake-pq", &[Usher]),
            ("--only h3-1k --proxies usher", &[Usher]),
        ];
        for (line, proxies) in cases {
            assert_eq!(parse(line).unwrap().proxies, proxies, "{line}");
        }
        assert!(parse("--only h3-1k --proxies nginx").is_err());
        assert_eq!(parse("").unwrap().usual_proxies(), [Nginx, Haproxy, Usher]);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for line in
            ["--only 2k", "--proxies traefik", "--rounds many", "--rounds", "--logs maybe", "now", "--fast"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
