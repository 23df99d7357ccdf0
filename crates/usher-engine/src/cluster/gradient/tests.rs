use usher_config::value::Percent;

use super::*;

/// Endpoints that do `capacity` requests at once in `micros` each, and more of them all the slower.
struct Load {
    adaptive: Adaptive,
    settings: config::Adaptive,
    capacity: f64,
    micros: f64,
    /// Microseconds.
    now: f64,
    random: u64,
}

impl Load {
    fn new(capacity: f64, micros: f64) -> Self {
        let settings = config::Adaptive { tolerance: Percent::of(25), ..config::Adaptive::default() };
        Self { adaptive: Adaptive::default(), settings, capacity, micros, now: 0.0, random: 1 }
    }

    fn limit(&self) -> u32 {
        self.adaptive.limit(&self.settings)
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// For so many seconds, `demand` requests want to be under way. Gives the least and the greatest limit of the second
    /// half of that.
    fn run(&mut self, seconds: f64, demand: u32) -> (u32, u32) {
        let (begin, end) = (self.now, self.now + seconds * 1e6);
        let mut found = (u32::MAX, 0);
        while self.now < end {
            let under_way = demand.min(self.limit()).max(1);
            let mean = self.micros * (f64::from(under_way) / self.capacity).max(1.0);
            self.now += mean / f64::from(under_way);
            // Distributed exponentially.
            let random = self.random();
            let spread = -(((random >> 11) as f64 + 1.0) / (1u64 << 53) as f64).ln();
            self.adaptive.used(under_way);
            let (micros, now) = ((mean * spread) as u64, (self.now / 1000.0) as u64);
            self.adaptive.note(&self.settings, Response { micros, now, under_way, random });
            if self.now > (begin + end) / 2.0 {
                found = (found.0.min(self.limit()), found.1.max(self.limit()));
            }
        }
        found
    }
}

#[test]
fn a_limit_stays_near_what_endpoints_can_do() {
    for (capacity, micros) in [(20.0, 2e3), (50.0, 1e4), (50.0, 2e5), (300.0, 1e4)] {
        let mut load = Load::new(capacity, micros);
        load.run(10.0, capacity as u32 * 8 / 10);
        let (least, most) = load.run(150.0, capacity as u32 * 3);
        let (least, most) = (f64::from(least) / capacity, f64::from(most) / capacity);
        // Half of it is what a measurement leaves.
        assert!(least > 0.4 && most < 3.0, "{capacity} {micros}: {least} to {most}");
    }
}

#[test]
fn a_beginning_with_too_much_is_recovered_from() {
    let mut load = Load::new(15.0, 1e4);
    load.run(60.0, 1000);
    let (least, most) = load.run(60.0, 1000);
    assert!(least >= 10 && most <= 35, "{least} to {most}");
}

#[test]
fn slowness_that_is_not_of_load_does_not_shrink_it() {
    let mut load = Load::new(100.0, 1e4);
    load.run(20.0, 60);
    load.micros = 8e4;
    load.run(15.0, 60);
    let (least, _) = load.run(20.0, 60);
    assert!(least >= 45, "{least}");
    // And it is not taken for normal for ever.
    load.micros = 1e4;
    load.run(5.0, 60);
    let base = load.adaptive.base_micros().expect("a base");
    assert!(base < 15_000, "{base}");
}

#[test]
fn endpoints_that_can_do_less_get_less() {
    let mut load = Load::new(100.0, 1e4);
    load.run(10.0, 80);
    let before = load.limit();
    load.capacity = 20.0;
    load.run(100.0, 200);
    let (_, most) = load.run(60.0, 200);
    assert!(before >= 60 && most <= 50, "{before}, then up to {most}");
}

#[test]
fn a_limit_that_is_not_used_stays() {
    let mut load = Load::new(100.0, 1e4);
    let (least, most) = load.run(50.0, 20);
    assert_eq!((least, most), (100, 100), "but for what a measurement takes, which begins later");
}

#[test]
fn has_its_bounds() {
    let mut load = Load::new(1.0, 1e4);
    load.settings.min = 40;
    let (least, _) = load.run(60.0, 500);
    assert!(least >= 40, "{least}");
    let mut load = Load::new(1e6, 1e4);
    load.settings.max = 200;
    let (_, most) = load.run(30.0, 1000);
    assert_eq!(most, 200);
}

#[test]
fn a_limit_at_its_least_grows_again() {
    for capacity in [1.0, 5.0, 8.0, 12.0] {
        let mut load = Load::new(capacity, 1e4);
        load.run(60.0, 500);
        let (_, most) = load.run(240.0, 500);
        assert!(most <= 40, "{capacity}: up to {most}");
        // They can do more, but each takes longer than all that was known.
        (load.capacity, load.micros) = (100.0, 4e4);
        load.run(100.0, 500);
        let (least, _) = load.run(60.0, 500);
        assert!(least >= 40, "{capacity}: {least}");
    }
}
