//! To be written.

pub(crate) fn tests(_: &libtest_mimic::Arguments) -> Vec<libtest_mimic::Trial> {
    Vec::new()
}
