//! Figure 2: nothing is cached, and the portal has a limit. Also where it shuts out who keeps hitting it.

use crate::bench::{Bench, say};
use crate::report::{Amount, Line, Target};
use crate::world::{Tables, World, float};

const CASE: &str = "portal";

/// Refused calls within ten seconds that a portal with a lock-out puts up with.
const REFUSALS: u32 = 5;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    let sizes = &bench.sizes;
    let world = World {
        latency: sizes.latency,
        cached: false,
        portal_rate: Some(sizes.portal_rate),
        ..bench.world(sizes.accounts)
    };
    say(&format!("{CASE}: {} accounts at {} a second", world.accounts, sizes.portal_rate));
    // Each run needs a home without role credentials, and so a server of its own.
    let run = bench.collect(&bench.start(&world)?, &world, Tables::All, "ndjson")?;
    let asked = run.totals.of("portal", "GetRoleCredentials");
    let bound = world.portal_bound(&run.totals).unwrap_or_default();
    let (calls, throttled) = (run.totals.calls(), run.totals.throttled());
    let mut lines = vec![
        Line::new(
            2,
            CASE,
            format!("ssoinv, {} accounts, portal at {}/s", world.accounts, sizes.portal_rate),
            Amount::of(run.usage.wall),
        )
        .bound(Amount::of(bound))
        .target(Target::RatioAtMost(1.15))
        .detail("role_credentials_calls", asked.calls)
        .detail("list_accounts_calls", run.totals.of("portal", "ListAccounts").calls)
        .detail("calls", calls)
        .detail("cpu_s", run.usage.cpu.as_secs_f64()),
        Line::new(2, CASE, "calls that were answered 429", Amount::Share(float(throttled) / float(calls)))
            .target(Target::AtMost(Amount::Share(0.01)))
            .detail("throttled", throttled)
            .detail("portal_throttled", asked.throttled),
    ];
    for rate in [sizes.portal_rate, sizes.slow_portal_rate] {
        lines.push(shut_out(bench, &world, rate)?);
    }
    Ok(lines)
}

/// How many accounts are complete where the portal has a lock-out, too.
fn shut_out(bench: &Bench, world: &World, rate: u32) -> Result<Line, String> {
    let world = World { portal_rate: Some(rate), portal_lockout: Some(REFUSALS), ..world.clone() };
    say(&format!("{CASE}: {} accounts at {rate} a second, with a lock-out", world.accounts));
    // All its rows came, or else this is an error.
    let run = bench.collect(&bench.start(&world)?, &world, Tables::All, "ndjson")?;
    let accounts = Amount::count(world.accounts as u64);
    let what = format!("accounts complete, portal at {rate}/s with a lock-out");
    let bound = world.portal_bound(&run.totals).unwrap_or_default();
    Ok(Line::new(2, CASE, what, accounts)
        .target(Target::AtLeast(accounts))
        .detail("wall_s", run.usage.wall.as_secs_f64())
        .detail("bound_s", bound.as_secs_f64())
        .detail("lockouts", run.totals.lockouts)
        .detail("throttled", run.totals.throttled())
        .detail("calls", run.totals.calls()))
}
