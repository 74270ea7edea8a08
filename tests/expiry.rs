//! scratch
use crate::support::World;
use crate::tests;
use ssoinv_sim::*;
tests![scratch];
fn scratch() {
    let world = World::with(crate::support::seeded(6), Options { approval: Approval::Manual, device_interval: 0, ..Options::default() }, Token::WithoutRefresh);
    let whole = world.run("list aws_s3_bucket aws_lambda_function --all-profiles -o json");
    eprintln!("{}", whole.stderr);
    world.control(Control::EndTokensAfter { session: None, calls: 4, times: 1 });
    world.simulator.reset_counters();
    let mut person = world.at_terminal("list aws_s3_bucket aws_lambda_function --all-profiles -o json --no-browser");
    let code = person.reads_code();
    eprintln!("{code} {:?}", world.simulator.pending());
    world.control(Control::Approve { user_code: Some(code) });
    let run = person.sees_the_end();
    eprintln!("{:?} {}", run.code, run.stderr);
    eprintln!("{}", run.stdout == whole.stdout);
    for c in world.simulator.counts() { eprintln!("{c:?}"); }
    world.control(Control::EndTokensAfter { session: None, calls: 4, times: 1 });
    let run = world.run("list aws_s3_bucket aws_lambda_function --all-profiles -o csv --out /tmp/xx-scratch");
    eprintln!("{run:#?}");
}
