//! The page, for people and for programs.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::faults::{self, Fault};
use super::verdict::{Section, Told, WINDOW};
use super::{picture, title};

/// The goal: this share of what is idempotent is answered in full …
const GOAL_SHARE: f64 = 0.9999;
/// … and so long after anything that happens, the p99 is usual again (seconds).
const GOAL_RECOVERED_S: f64 = 2.0;

/// One line while the run goes on.
pub(super) fn line(told: &Told) -> String {
    let (gets, failed, cut) = told.gets();
    format!(
        "{}: {failed} of {gets} GET failed, {cut} were cut, usual again after {:.1} s at most",
        title(told.proxy),
        told.recovered().as_secs_f64()
    )
}

/// The page.
pub(super) fn page(
    faults: &[Fault],
    told: &[Told],
    (facts, versions, rate): (&Value, &[String], u64),
) -> String {
    let fact = |name: &str| facts[name].as_str().map_or_else(|| facts[name].to_string(), str::to_owned);
    let mut page = format!(
        "# Chaos\n\n\
         Written by `cargo xtask chaos`; what it does is in [README.md](README.md#chaos).\n\n\
         - {}\n- {}, {} cores, Linux {}, load average at the start {}\n- {}\n\
         - {rate} requests per second, one of 20 a POST\n\n",
        fact("date"),
        fact("processor"),
        fact("cores"),
        fact("kernel"),
        fact("load_average"),
        versions.join("; "),
    );
    page += "![Errors and p99 over time](results/chaos.svg)\n\n";
    goals(&mut page, told);
    let cut_or_failed = |one: &Section| {
        let cut = if one.cut > 0 { format!(" + {} cut", one.cut) } else { String::new() };
        format!("{}{cut}", one.failed)
    };
    table(&mut page, "GET requests that failed", (faults, told), cut_or_failed);
    let after = |one: &Section| format!("{:.1} s", one.recovered.as_secs_f64());
    table(&mut page, "Usual p99 again after", (faults, told), after);
    let slowest = |one: &Section| format!("{} / {}", millis(one.p99), millis(one.longest));
    table(&mut page, "p99 and longest of all GET", (faults, told), slowest);
    let posts = |one: &Section| format!("{} of {}", one.posts_failed, one.posts);
    table(&mut page, "POST requests that failed or were cut", (faults, told), posts);
    page
}

fn millis(time: std::time::Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

fn goals(page: &mut String, told: &[Told]) {
    *page += "| proxy | GET | failed | cut | answered in full | goal | met | usual p99 again after | goal | met |\n\
              |---|---:|---:|---:|---:|---|---|---:|---|---|\n";
    for one in told {
        let ((gets, failed, cut), share) = (one.gets(), one.share());
        let recovered = one.recovered().as_secs_f64();
        let met = |met: bool| if met { "yes" } else { "**no**" };
        let _ = writeln!(
            page,
            "| {} | {gets} | {failed} | {cut} | {:.4} % | ≥ {:.2} % | {} | {recovered:.1} s | ≤ {GOAL_RECOVERED_S:.0} s | {} |",
            title(one.proxy),
            share * 100.0,
            GOAL_SHARE * 100.0,
            met(share >= GOAL_SHARE),
            met(recovered <= GOAL_RECOVERED_S)
        );
    }
}

fn table(
    page: &mut String,
    heading: &str,
    (faults, told): (&[Fault], &[Told]),
    cell: impl Fn(&Section) -> String,
) {
    let names: String = told.iter().map(|one| format!(" {} |", title(one.proxy))).collect();
    let _ = write!(page, "\n## {heading}\n\n| fault | |{names}\n|---|---|{}\n", "---:|".repeat(told.len()));
    for (index, fault) in faults.iter().enumerate() {
        let cells: String = told
            .iter()
            .map(|one| format!(" {} |", one.sections.get(index).map(&cell).unwrap_or_default()))
            .collect();
        let _ = writeln!(page, "| `{}` | {} |{cells}", fault.name, fault.what);
    }
}

/// Writes the page, its picture, and all figures.
pub(super) fn keep(page: &str, told: &[Told], facts: &Value, folder: &Path) -> io::Result<()> {
    let faults = faults::named(&[])?;
    fs::create_dir_all(folder.join("results"))?;
    fs::write(folder.join("CHAOS.md"), page)?;
    fs::write(folder.join("results/chaos.svg"), picture::draw(&faults, told))?;
    let mut text = serde_json::to_string_pretty(&json(&faults, told, facts)).map_err(io::Error::other)?;
    text.push('\n');
    fs::write(folder.join("results/chaos.json"), text)?;
    eprintln!("kept in {}", folder.join("CHAOS.md").display());
    Ok(())
}

fn json(faults: &[Fault], told: &[Told], facts: &Value) -> Value {
    let seconds = |time: std::time::Duration| (time.as_secs_f64() * 1e4).round() / 1e4;
    let section = |(fault, one): (&Fault, &Section)| {
        json!({ "fault": fault.name, "gets": one.gets, "failed": one.failed, "cut": one.cut, "posts": one.posts,
                "posts_failed": one.posts_failed, "p99_s": seconds(one.p99), "longest_s": seconds(one.longest),
                "recovered_s": seconds(one.recovered) })
    };
    let proxies = told.iter().map(|one| {
        let sections: Vec<Value> = faults.iter().zip(&one.sections).map(section).collect();
        let p99: Vec<f64> = one.windows.iter().map(|(p99, ..)| seconds(*p99)).collect();
        let failed: Vec<u64> = one.windows.iter().map(|(_, failed, cut)| failed + cut).collect();
        json!({ "proxy": one.proxy.name(), "faults": sections, "p99_s": p99, "failed": failed })
    });
    json!({ "machine": facts, "window_s": WINDOW.as_secs_f64(), "proxies": proxies.collect::<Vec<_>>() })
}
