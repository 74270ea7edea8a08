//! End to end: the binary, as people and jobs run it, against `ssoinv-sim` and against independent servers and clients.
//!
//! Its own harness, since whether Python's tools are there is known only when the tests run: a test whose means are
//! missing is reported as ignored, with the reason. Each module lists its tests in `tests()`; one that is
//! forgotten there is dead code, which CI refuses.

mod accounts;
mod ambient;
mod demo;
mod doctor;
mod expiry;
mod faults;
mod formats;
mod independent;
mod login;
mod manners;
mod partitions;
mod profiles;
mod secrets;
mod sharing;
mod sign_in;
mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Names a module's tests.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn tests() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(libtest_mimic::Trial::test(format!("{module}::{}", stringify!($name)), || {
                $name();
                Ok(())
            })),*]
        }
    };
}
pub(crate) use tests;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each test starts processes of its own; more at once than this only makes them wait for one another.
    arguments.test_threads.get_or_insert(4);
    let trials: Vec<Trial> = [
        accounts::tests(),
        ambient::tests(),
        demo::tests(),
        doctor::tests(&arguments),
        expiry::tests(),
        faults::tests(),
        formats::tests(),
        independent::tests(&arguments),
        login::tests(),
        manners::tests(),
        partitions::tests(),
        profiles::tests(),
        secrets::tests(),
        sharing::tests(),
        sign_in::tests(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
