//! Two kinds of charts as SVG, readable on white and on black.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 70.0;
/// Where the legend begins.
const RIGHT: f64 = 640.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 390.0;
const HEIGHT: f64 = 440.0;
/// Of a row of strips, and where their names end.
const ROW: f64 = 34.0;
const NAMES: f64 = 250.0;

/// Colours that can be told apart by most eyes (after Okabe and Ito), a darker and a lighter set.
const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px } .soft { fill: #57606a; font-size: 12px }
.grid { stroke: #d0d7de } .shade { fill: #eaeef2 }
path, line { fill: none; stroke-width: 2 } .grid { stroke-width: 1 } .dashed { stroke-dasharray: 5 4 }
.c0 { stroke: #d55e00 } .c1 { stroke: #0072b2 } .c2 { stroke: #8a6d00 } .c3 { stroke: #007a5a }
.c4 { stroke: #b0447f } .c5 { stroke: #4b5563 }
circle { fill: #0072b2; fill-opacity: .75 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .soft { fill: #9198a1 } .grid { stroke: #3d444d } .shade { fill: #21262d }
.c0 { stroke: #ff8c42 } .c1 { stroke: #56b4e9 } .c2 { stroke: #e6c300 } .c3 { stroke: #2fd3a0 }
.c4 { stroke: #e98fc0 } .c5 { stroke: #aab4c0 } circle { fill: #56b4e9 }
}";

/// How numbers become places.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Linear,
    Log,
}

/// One direction of a chart.
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) scale: Scale,
    pub(crate) ticks: &'static [f64],
}

impl Axis {
    /// A place between 0 and 1; what lies outside is put on the border.
    fn share(&self, value: f64) -> f64 {
        let place = |value: f64| if self.scale == Scale::Log { value.max(1e-9).ln() } else { value };
        ((place(value) - place(self.from)) / (place(self.to) - place(self.from))).clamp(0.0, 1.0)
    }
}

/// A line with its name.
pub(crate) struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    is_dashed: bool,
}

impl Series {
    pub(crate) fn line(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), points, is_dashed: false }
    }

    pub(crate) fn dashed(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), points, is_dashed: true }
    }
}

/// Lines over an axis.
pub(crate) struct Lines {
    pub(crate) title: &'static str,
    pub(crate) subtitle: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
    /// From where to where the background is darker.
    pub(crate) shade: Option<(f64, f64)>,
}

impl Lines {
    pub(crate) fn draw(&self) -> String {
        let x = |value: f64| LEFT + self.x.share(value) * (RIGHT - LEFT);
        let y = |value: f64| BOTTOM - self.y.share(value) * (BOTTOM - TOP);
        let mut out = begin(HEIGHT, self.title, self.subtitle);
        if let Some((from, until)) = self.shade {
            let (left, width, height) = (x(from), x(until) - x(from), BOTTOM - TOP);
            line(
                &mut out,
                &format!(
                    r#"<rect class="shade" x="{left:.1}" y="{TOP}" width="{width:.1}" height="{height}"/>"#
                ),
            );
        }
        for tick in self.y.ticks {
            let at = y(*tick);
            line(
                &mut out,
                &format!(r#"<line class="grid" x1="{LEFT}" y1="{at:.1}" x2="{RIGHT}" y2="{at:.1}"/>"#),
            );
            text(&mut out, (LEFT - 8.0, at + 4.0), ("end", "soft"), &tick.to_string());
        }
        for tick in self.x.ticks {
            text(&mut out, (x(*tick), BOTTOM + 18.0), ("middle", "soft"), &tick.to_string());
        }
        text(&mut out, (f64::midpoint(LEFT, RIGHT), BOTTOM + 38.0), ("middle", "soft"), self.x.name);
        for (i, series) in self.series.iter().enumerate() {
            let class = format!("c{}{}", i % 6, if series.is_dashed { " dashed" } else { "" });
            let mut path = String::new();
            for (at, point) in series.points.iter().enumerate() {
                let step = if at == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{step}{:.1} {:.1}", x(point.0), y(point.1));
            }
            line(&mut out, &format!(r#"<path class="{class}" d="{path}"/>"#));
            let at = TOP + 14.0 + 24.0 * i as f64;
            let (from, to) = (RIGHT + 18.0, RIGHT + 44.0);
            line(&mut out, &format!(r#"<line class="{class}" x1="{from}" y1="{at}" x2="{to}" y2="{at}"/>"#));
            text(&mut out, (RIGHT + 52.0, at + 4.0), ("start", ""), &series.name);
        }
        out + "</svg>\n"
    }
}

/// Rows with a dot for each value.
pub(crate) struct Strips {
    pub(crate) title: &'static str,
    pub(crate) subtitle: &'static str,
    pub(crate) axis: Axis,
    pub(crate) rows: Vec<(String, Vec<f64>)>,
}

impl Strips {
    pub(crate) fn draw(&self) -> String {
        let bottom = TOP + ROW * self.rows.len() as f64;
        let x = |value: f64| NAMES + self.axis.share(value) * (WIDTH - 40.0 - NAMES);
        let mut out = begin(bottom + 50.0, self.title, self.subtitle);
        for tick in self.axis.ticks {
            let at = x(*tick);
            line(
                &mut out,
                &format!(r#"<line class="grid" x1="{at:.1}" y1="{TOP}" x2="{at:.1}" y2="{bottom}"/>"#),
            );
            text(&mut out, (at, bottom + 18.0), ("middle", "soft"), &signed(*tick));
        }
        text(&mut out, (x(0.0), bottom + 38.0), ("middle", "soft"), self.axis.name);
        for (i, (name, values)) in self.rows.iter().enumerate() {
            let at = TOP + ROW * (i as f64 + 0.5);
            text(&mut out, (NAMES - 16.0, at + 4.0), ("end", ""), name);
            for value in values {
                line(&mut out, &format!(r#"<circle cx="{:.1}" cy="{at}" r="5"/>"#, x(*value)));
            }
        }
        out + "</svg>\n"
    }
}

/// With a sign, unless it is nothing.
fn signed(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { format!("{number:+}") }
}

fn begin(height: f64, title: &str, subtitle: &str) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>{title}</title>\n<style>{STYLE}\n</style>\n"
    );
    text(&mut out, (16.0, 24.0), ("start", "title"), title);
    text(&mut out, (16.0, 44.0), ("start", "soft"), subtitle);
    out
}

fn text(out: &mut String, (x, y): (f64, f64), (anchor, class): (&str, &str), text: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    line(out, &format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}"{class}>{text}</text>"#));
}

fn line(out: &mut String, element: &str) {
    out.push_str(element);
    out.push('\n');
}
