//! To be written.

pub(crate) fn tests() -> Vec<libtest_mimic::Trial> {
    Vec::new()
}
