//! End to end: the binary, as people and jobs run it, against `ssoinv-sim` and against independent servers and clients.
//!
//! Its own harness, since whether Python's tools and the AWS CLI are there is known only when the tests run: a test whose
//! means are missing is reported as ignored, with the reason. Each module lists its tests in `tests()`; one that is
//! forgotten there is dead code, which CI refuses.

mod accounts;
mod ambient;
mod aws_cli;
mod demo;
mod discovery;
mod doctor;
mod expect;
mod expiry;
mod faults;
mod formats;
mod held;
mod independent;
mod login;
mod manners;
mod many;
mod partitions;
mod plan;
mod profiles;
mod resume;
mod runs;
mod secrets;
mod settings;
mod sharing;
mod sign_in;
mod status;
mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

/// Makes tests of functions, by their names.
macro_rules! trials {
    ($($name:ident),* $(,)?) => {{
        let module = module_path!().rsplit("::").next().unwrap_or_default();
        vec![$(libtest_mimic::Trial::test(format!("{module}::{}", stringify!($name)), || {
            $name();
            Ok(())
        })),*]
    }};
}
pub(crate) use trials;

/// Names a module's tests.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn tests() -> Vec<libtest_mimic::Trial> {
            crate::trials![$($name),*]
        }
    };
}
pub(crate) use tests;

/// What becomes of a test without its means when ignored tests are asked for, as CI does. Else it is ignored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    /// Nothing else shows what it shows.
    Fails,
    /// Others show it, too; so it is still reported as ignored, with the reason.
    IsIgnored,
}

/// The means of a test, or why they can't be had.
type Means<M> = fn() -> Result<&'static M, &'static str>;

/// A test that needs something that may not be on this machine.
fn needing<M: 'static>(
    name: &str,
    (means, without): (Means<M>, Without),
    test: fn(&M),
    arguments: &Arguments,
) -> Trial {
    let must = without == Without::Fails && (arguments.include_ignored || arguments.ignored);
    let trial = Trial::ignorable_test(name, move || match means() {
        Ok(means) => {
            test(means);
            Ok(Completion::Completed)
        }
        Err(reason) if must => Err(reason.into()),
        Err(reason) => Ok(Completion::ignored_with(reason)),
    });
    // Only `--ignored` must know beforehand which tests are.
    if !arguments.ignored || arguments.list {
        return trial;
    }
    let trial = trial.with_ignored_flag(true);
    let ignored = arguments.is_filtered_out(&trial) || means().is_err();
    trial.with_ignored_flag(ignored)
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each test starts processes of its own; more at once than this only makes them wait for one another.
    arguments.test_threads.get_or_insert(4);
    let trials: Vec<Trial> = [
        accounts::tests(),
        ambient::tests(),
        aws_cli::tests(&arguments),
        demo::tests(),
        discovery::tests(),
        doctor::tests(&arguments),
        expect::tests(),
        expiry::tests(),
        faults::tests(),
        formats::tests(),
        independent::tests(&arguments),
        login::tests(),
        manners::tests(),
        many::tests(),
        partitions::tests(),
        plan::tests(),
        profiles::tests(),
        resume::tests(),
        runs::tests(),
        secrets::tests(),
        settings::tests(),
        sharing::tests(),
        sign_in::tests(),
        status::tests(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
