//! An inventory without cached credentials at a portal with a rate limit, with and without a lockout.

use crate::bench::{Bench, report_progress};
use crate::report::{Amount, Line, Target};
use crate::world::{Tables, World, float};

const CASE: &str = "portal";

/// Throttled calls within ten seconds that cause a lockout.
const REFUSALS: u32 = 5;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let sizes = &bench.sizes;
    let world = World {
        latency: sizes.latency,
        cached: false,
        portal_rate: Some(sizes.portal_rate),
        ..bench.world(sizes.accounts)
    };
    report_progress(&format!("{CASE}: {} accounts at {} a second", world.accounts, sizes.portal_rate));
    // Each run needs a home without role credentials, so it has a server of its own.
    let run = bench.collect(&bench.start(&world)?, &world, Tables::All, "ndjson")?;
    let credentials = run.totals.of("portal", "GetRoleCredentials");
    let bound = world.portal_bound(&run.totals).unwrap_or_default();
    let (calls, throttled) = (run.totals.calls(), run.totals.throttled());
    let mut lines = vec![
        Line::new(
            CASE,
            format!("ssoinv, {} accounts, portal at {}/s", world.accounts, sizes.portal_rate),
            Amount::of(run.usage.wall),
        )
        .bound(Amount::of(bound))
        .target(Target::RatioAtMost(1.15))
        .detail("role_credentials_calls", credentials.calls)
        .detail("list_accounts_calls", run.totals.of("portal", "ListAccounts").calls)
        .detail("calls", calls)
        .detail("cpu_s", run.usage.cpu.as_secs_f64()),
        Line::new(CASE, "calls with status 429", Amount::Share(float(throttled) / float(calls)))
            .target(Target::AtMost(Amount::Share(0.01)))
            .detail("throttled", throttled)
            .detail("portal_throttled", credentials.throttled),
    ];
    for rate in [sizes.portal_rate, sizes.slow_portal_rate] {
        lines.push(with_lockout(bench, &world, rate)?);
    }
    Ok(lines)
}

/// Returns the number of complete accounts at a portal with a lockout.
fn with_lockout(bench: &Bench, world: &World, rate: u32) -> Result<Line, String> {
    let world = World { portal_rate: Some(rate), portal_lockout: Some(REFUSALS), ..world.clone() };
    report_progress(&format!("{CASE}: {} accounts at {rate} a second, with a lockout", world.accounts));
    // It fails if a row is missing.
    let run = bench.collect(&bench.start(&world)?, &world, Tables::All, "ndjson")?;
    let accounts = Amount::count(world.accounts as u64);
    let what = format!("accounts complete, portal at {rate}/s with a lockout");
    let bound = world.portal_bound(&run.totals).unwrap_or_default();
    Ok(Line::new(CASE, what, accounts)
        .target(Target::AtLeast(accounts))
        .detail("wall_s", run.usage.wall.as_secs_f64())
        .detail("bound_s", bound.as_secs_f64())
        .detail("lockouts", run.totals.lockouts)
        .detail("throttled", run.totals.throttled())
        .detail("calls", run.totals.calls()))
}
