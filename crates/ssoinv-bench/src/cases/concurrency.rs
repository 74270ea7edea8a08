//! The cost of calls at once: the same inventory with 64 to 1,024 of them. The default of `--concurrency` follows from it.

use crate::bench::{Bench, report_progress};
use crate::cases::inventory::Inventory;
use crate::report::Line;
use crate::world::World;

const CASE: &str = "concurrency";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let sizes = &bench.sizes;
    let world = World { latency: sizes.latency, ..bench.world(sizes.accounts) };
    let server = bench.start(&world)?;
    let mut lines = Vec::new();
    for at_once in &sizes.concurrencies {
        report_progress(&format!("{CASE}: {} accounts, {at_once} calls at once", world.accounts));
        lines.extend(Inventory::collect(bench, &server, &world, *at_once)?.lines(CASE));
    }
    Ok(lines)
}
