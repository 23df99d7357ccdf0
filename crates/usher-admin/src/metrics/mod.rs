//! The numbers as Prometheus text (exposition format 0.0.4).

mod clusters;
mod discovery;
mod exposition;
mod families;
mod moving;
mod process;
mod shortage;

#[cfg(test)]
mod tests;

use usher_api::metrics::Registry;

use exposition::Exposition;

/// The type of what [`render`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All numbers as they are now.
pub fn render(registry: &Registry) -> String {
    let reading = registry.read();
    let mut out = Exposition::default();
    families::process(&mut out, registry, &reading);
    families::connections(&mut out, &reading.totals);
    families::passed(&mut out, &reading.totals);
    families::udp(&mut out, &reading.totals);
    families::certificates(&mut out, registry);
    families::requests(&mut out, &reading.totals);
    families::upstream(&mut out, &reading.totals);
    families::routes(&mut out, &reading.routes);
    families::endpoints(&mut out, &reading.endpoints);
    families::probes(&mut out, registry);
    moving::mirrors(&mut out, registry);
    moving::shifts(&mut out, registry);
    shortage::render(&mut out);
    clusters::all(&mut out, registry);
    discovery::render(&mut out, registry);
    process::render(&mut out);
    out.finish()
}
