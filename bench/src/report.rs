//! The tables, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::peers::Proxy;
use crate::run::Measured;
use crate::stats::Spread;
use crate::works::{Table, Work};

/// A row besides CPU per request: one figure per proxy.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) goal: &'static str,
    pub(crate) unit: &'static str,
    values: BTreeMap<&'static str, Spread>,
    pub(crate) met: Option<bool>,
    pub(crate) notes: Vec<String>,
}

impl Row {
    pub(crate) fn new(
        name: &'static str,
        what: &'static str,
        goal: &'static str,
        unit: &'static str,
    ) -> Self {
        Self { name, what, goal, unit, values: BTreeMap::new(), met: None, notes: Vec::new() }
    }

    pub(crate) fn filled(
        name: &'static str,
        what: &'static str,
        goal: &'static str,
        unit: &'static str,
        values: &BTreeMap<&'static str, Vec<f64>>,
    ) -> Self {
        let mut row = Self::new(name, what, goal, unit);
        let spreads =
            values.iter().filter_map(|(name, values)| Some((*name, Spread::of(values.iter().copied())?)));
        row.values = spreads.collect();
        row
    }

    pub(crate) fn set(&mut self, proxy: Proxy, value: Option<Spread>) {
        if let Some(value) = value {
            self.values.insert(proxy.name(), value);
        }
    }

    pub(crate) fn get(&self, proxy: Proxy) -> Option<Spread> {
        self.values.get(proxy.name()).copied()
    }

    /// Whether Usher's median is no more than the lowest of these; unknown when one is missing.
    pub(crate) fn no_more_than(&self, others: &[Proxy]) -> Option<bool> {
        let usher = self.get(Proxy::Usher)?.median;
        let others: Option<Vec<f64>> = others.iter().map(|&proxy| Some(self.get(proxy)?.median)).collect();
        others.map(|medians| medians.iter().all(|median| usher <= *median))
    }

    /// One line while the run goes on.
    pub(crate) fn line(&self, proxies: &[Proxy]) -> String {
        let figures = proxies.iter().filter_map(|&proxy| {
            Some(format!(" {} {:.1} {}", proxy.title(), self.get(proxy)?.median, self.unit))
        });
        format!("{}:{}", self.name, figures.collect::<String>())
    }
}

/// Everything that a run found.
pub(crate) struct Report {
    pub(crate) facts: Value,
    pub(crate) versions: BTreeMap<&'static str, String>,
    pub(crate) rounds: u64,
    pub(crate) works: Vec<Measured>,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// The report as a page.
    pub(crate) fn markdown(&self) -> String {
        let mut page = String::from("# Benchmark results\n\n");
        page += "Written by `cargo xtask bench`; how it measures is in [README.md](README.md).\n\n";
        let fact = |name: &str| {
            self.facts[name].as_str().map_or_else(|| self.facts[name].to_string(), str::to_owned)
        };
        let _ = writeln!(page, "- {}", fact("date"));
        let (processor, cores, kernel) = (fact("processor"), fact("cores"), fact("kernel"));
        let _ = writeln!(page, "- {processor}, {cores} cores, {} MiB, Linux {kernel}", fact("memory_mib"));
        let _ = writeln!(
            page,
            "- load average at the start {}, CPU from {}",
            fact("load_average"),
            fact("cpu_clock")
        );
        let versions: Vec<&str> = self.versions.values().map(String::as_str).collect();
        let _ = writeln!(page, "- {}; medians of {} rounds\n", versions.join("; "), self.rounds);
        for (table, log) in Table::ALL.iter().flat_map(|&table| [(table, false), (table, true)]) {
            let mut rows = self
                .works
                .iter()
                .filter(|measured| measured.work.table == table && measured.log == log)
                .peekable();
            if rows.peek().is_some() {
                let title = if log { "on" } else { "off" };
                let _ = writeln!(page, "## {}, access log {title}\n", table.title());
                let before = self.works.iter().any(|measured| measured.has(Proxy::Before));
                page += &works_head(table, before);
                page.extend(rows.map(|measured| work_line(measured, before)));
                page += "\n";
            }
        }
        self.rows(&mut page);
        self.notes(&mut page);
        page
    }

    fn rows(&self, page: &mut String) {
        *page +=
            "## Besides\n\n| what | Usher | nginx | HAProxy | goal | met |\n|---|---:|---:|---:|---|---|\n";
        for row in &self.rows {
            let cell =
                |proxy| row.get(proxy).map_or_else(|| "–".to_owned(), |value| figure(value.median, row.unit));
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} |",
                row.what,
                cell(Proxy::Usher),
                cell(Proxy::Nginx),
                cell(Proxy::Haproxy),
                row.goal,
                mark(row.met)
            );
        }
    }

    fn notes(&self, page: &mut String) {
        let mut notes: Vec<String> = self
            .rows
            .iter()
            .flat_map(|row| row.notes.iter().map(|note| format!("{}: {note}", row.name)))
            .collect();
        for measured in &self.works {
            for &(proxy, _) in &measured.samples {
                if let (errors @ 1.., first) = measured.errors(proxy) {
                    let (work, title, first) = (measured.work.name, proxy.title(), first.unwrap_or_default());
                    notes.push(format!(
                        "{work}: {title} had {errors} errors, first: {first}; such rounds do not count"
                    ));
                }
            }
        }
        if !notes.is_empty() {
            let _ = write!(page, "\n## Notes\n\n- {}\n", notes.join("\n- "));
        }
    }

    fn json(&self) -> Value {
        let works: Vec<Value> = self.works.iter().map(work_json).collect();
        let rows = self.rows.iter().map(|row| {
            let values: BTreeMap<_, _> =
                row.values.iter().map(|(name, spread)| (*name, spread_json(*spread))).collect();
            json!({ "name": row.name, "what": row.what, "unit": row.unit, "goal": row.goal, "values": values,
                    "met": row.met, "notes": row.notes })
        });
        json!({ "machine": self.facts, "versions": self.versions, "rounds": self.rounds, "works": works,
                "rows": rows.collect::<Vec<_>>() })
    }
}

fn works_head(table: Table, before: bool) -> String {
    let (mut head, mut line, mut costs) =
        ("| work |".to_owned(), "|---|".to_owned(), String::from(" met | Usher |"));
    for peer in table.peers() {
        let _ = write!(head, " Usher / {} | goal |", peer.title());
        let _ = write!(costs, " {} |", peer.title());
        line += "---:|---:|";
    }
    line += "---|---:|";
    line += &"---:|".repeat(table.peers().len());
    if before {
        costs += " Usher / Usher before | Usher before |";
        line += "---:|---:|";
    }
    format!("{head}{costs}\n{line}\n")
}

fn work_line(measured: &Measured, before: bool) -> String {
    let peers = measured.work.table.peers();
    let mut line = format!("| {} |", measured.work.what);
    let ratio = |peer| {
        let found = measured.ratio(Proxy::Usher, peer);
        found.map_or_else(
            || " – |".to_owned(),
            |at| format!(" {:.2} ({:.2}–{:.2}) |", at.median, at.low, at.high),
        )
    };
    for (index, &peer) in peers.iter().enumerate() {
        line += &ratio(peer);
        match measured.work.goals.get(index) {
            Some(goal) => _ = write!(line, " ≤ {goal:.2} |"),
            None => line += "  |",
        }
    }
    let _ = write!(line, " {} |", mark(met(measured)));
    let cost = |proxy: Proxy| {
        let cost = measured.microseconds(proxy).map_or_else(|| "–".to_owned(), |at| figure(at.median, "µs"));
        format!(" {cost} |")
    };
    line.extend([Proxy::Usher].iter().chain(peers).map(|&proxy| cost(proxy)));
    if before {
        line += &ratio(Proxy::Before);
        line += &cost(Proxy::Before);
    }
    line + "\n"
}

/// Whether every goal of a work is met; unknown where there is none, or a ratio is missing.
fn met(measured: &Measured) -> Option<bool> {
    let Work { table, goals, .. } = measured.work;
    let mut each = table
        .peers()
        .iter()
        .zip(*goals)
        .map(|(&peer, goal)| Some(measured.ratio(Proxy::Usher, peer)?.median <= *goal));
    if goals.is_empty() { None } else { each.try_fold(true, |all, met| Some(all && met?)) }
}

fn work_json(measured: &Measured) -> Value {
    let mut proxies = serde_json::Map::new();
    for (proxy, samples) in &measured.samples {
        let rounds = samples.iter().map(|sample| {
            json!({ "ns_per_request": sample.ns_per_request, "user_share": sample.user_share,
                    "requests_per_second": sample.per_second, "requests": sample.batch.done,
                    "errors": sample.batch.errors, "first_error": sample.batch.first_error })
        });
        proxies.insert(proxy.name().to_owned(), rounds.collect());
    }
    let work = measured.work;
    let mut all = json!({ "name": work.name, "access_log": measured.log, "connections": work.connections,
                          "streams": work.streams, "goals": work.goals, "rounds": proxies });
    let before = [Proxy::Before];
    for &peer in work.table.peers().iter().chain(before.iter().filter(|_| measured.has(Proxy::Before))) {
        all[format!("usher_to_{}", peer.name())] = measured.ratio(Proxy::Usher, peer).map(spread_json).into();
    }
    all
}

fn spread_json(spread: Spread) -> Value {
    json!({ "median": spread.median, "lower_quartile": spread.low, "upper_quartile": spread.high })
}

fn figure(value: f64, unit: &str) -> String {
    match unit {
        "" => format!("{value:.0}"),
        _ if value >= 100.0 => format!("{value:.0} {unit}"),
        _ => format!("{value:.1} {unit}"),
    }
}

fn mark(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    }
}

/// Writes `RESULTS.md` and `results/latest.json`.
pub(crate) fn keep(report: &Report, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join("results"))?;
    fs::write(folder.join("RESULTS.md"), report.markdown())?;
    let mut text = serde_json::to_string_pretty(&report.json()).map_err(io::Error::other)?;
    text.push('\n');
    fs::write(folder.join("results/latest.json"), text)?;
    eprintln!("kept in {}", folder.join("RESULTS.md").display());
    Ok(())
}
