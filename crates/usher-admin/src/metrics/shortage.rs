//! How short the process is of memory and descriptors, and what was done about it.

use usher_net::shortage::{self, Level};

use super::exposition::Exposition;

pub(super) fn render(out: &mut Exposition) {
    let now = shortage::reading();
    if let Some(ceiling) = now.ceiling {
        out.gauge("usher_memory_ceiling_bytes", "The most memory that the process shall take.")
            .sample(&[], ceiling);
    }
    out.gauge(
        "usher_memory_used_bytes",
        "What is charged against the ceiling: the heap, and what is beside it.",
    )
    .sample(&[], now.used);
    out.gauge("usher_memory_heap_bytes", "Of it, what the heap has given out.").sample(&[], now.heap);
    out.gauge("usher_memory_pipes_bytes", "What kernel pipes for splicing may hold; not of the process.")
        .sample(&[], now.pipes);
    if let Some(most) = now.most_descriptors {
        out.gauge(
            "usher_descriptors_for_clients",
            "Descriptors that may be open before clients get no more.",
        )
        .sample(&[], most);
    }
    out.gauge(
        "usher_shortage_level",
        "0 calm, 1 tight, 2 short, 3 full, 4 spent, 5 over; of memory and of descriptors.",
    )
    .sample(&[("of", "memory")], level(now.memory))
    .sample(&[("of", "descriptors")], level(now.descriptors));
    out.counter("usher_shortage_actions_total", "What was done for want of memory or descriptors.");
    for (deed, count) in shortage::deeds() {
        out.sample(&[("action", deed.as_str())], count);
    }
}

fn level(level: Level) -> u8 {
    level as u8
}
