//! The picture: for each proxy, p99 and failures over time, with the faults behind them.

use std::fmt::Write as _;
use std::time::Duration;

use super::faults::Fault;
use super::title;
use super::verdict::{Told, WINDOW};

/// Where the plots begin, and how wide they are, in units of the picture.
const LEFT: f64 = 70.0;
const WIDTH: f64 = 1000.0;
/// The height of one plot, and the room around it.
const HEIGHT: f64 = 110.0;
const STEP: f64 = 160.0;
const TOP: f64 = 60.0;
/// The times at the bottom and at the top of a plot, on a logarithmic scale (seconds).
const LOWEST: f64 = 0.001;
const HIGHEST: f64 = 10.0;

/// Draws all of them, below each other.
pub(super) fn draw(faults: &[Fault], told: &[Told]) -> String {
    let total: Duration = faults.iter().map(Fault::length).sum();
    let x = |time: Duration| LEFT + WIDTH * time.as_secs_f64() / total.as_secs_f64().max(1.0);
    let (width, height) = (LEFT + WIDTH + 20.0, TOP + STEP * told.len() as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"15\">p99 of idempotent requests (line), those that failed or were cut (bars)</text>\n"
    );
    for (index, one) in told.iter().enumerate() {
        plot(&mut svg, one, faults, (TOP + STEP * index as f64, &x));
    }
    svg + "</svg>\n"
}

fn plot(svg: &mut String, told: &Told, faults: &[Fault], (top, x): (f64, &impl Fn(Duration) -> f64)) {
    let bottom = top + HEIGHT;
    let y = |seconds: f64| {
        let share = (seconds.clamp(LOWEST, HIGHEST) / LOWEST).ln() / (HIGHEST / LOWEST).ln();
        bottom - HEIGHT * share
    };
    let mut at = Duration::ZERO;
    for (index, fault) in faults.iter().enumerate() {
        let (from, to) = (x(at), x(at + fault.length()));
        let fill = if index % 2 == 0 { "#f4f4f4" } else { "#e9eef5" };
        let _ = writeln!(
            svg,
            "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\" fill=\"{fill}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#555\">{}</text>",
            to - from,
            from + 3.0,
            top - 4.0,
            fault.name
        );
        for (after, _) in fault.acts.iter().filter(|_| index > 0) {
            let mark = x(at + *after);
            let _ = writeln!(
                svg,
                "<path d=\"M{mark:.1} {top:.1}V{bottom:.1}\" stroke=\"#b9c4d4\" stroke-dasharray=\"2 3\"/>"
            );
        }
        at += fault.length();
    }
    for (seconds, label) in [(0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s")]
    {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{label}</text>",
            LEFT - 6.0,
            y(seconds) + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.1}\" font-size=\"14\" font-weight=\"bold\">{}</text>",
        top - 20.0,
        title(told.proxy)
    );
    series(svg, told, (bottom, x, &y));
}

/// Failures as bars from the bottom, a whole height for a hundred or more in a window; then the line of the p99.
fn series(
    svg: &mut String,
    told: &Told,
    (bottom, x, y): (f64, &impl Fn(Duration) -> f64, &impl Fn(f64) -> f64),
) {
    let mut line = String::new();
    for (index, (p99, failed, cut)) in (0..).zip(&told.windows) {
        let (from, to) = (x(WINDOW * index), x(WINDOW * (index + 1)));
        for (count, fill) in [(failed + cut, "#f0a202"), (*failed, "#d1344b")] {
            if count > 0 {
                let height = (HEIGHT * (count as f64).ln_1p() / 100_f64.ln_1p()).min(HEIGHT);
                let (top, width) = (bottom - height, to - from);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
                );
            }
        }
        let _ = write!(
            line,
            "{}{:.1} {:.1}",
            if index == 0 { "M" } else { "L" },
            (from + to) / 2.0,
            y(p99.as_secs_f64())
        );
    }
    let _ = writeln!(svg, "<path d=\"{line}\" fill=\"none\" stroke=\"#1d4e89\" stroke-width=\"1.5\"/>");
}
