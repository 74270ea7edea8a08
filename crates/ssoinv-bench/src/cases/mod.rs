//! One module a case; each returns the lines of its figures.

pub(crate) mod cached;
pub(crate) mod concurrency;
pub(crate) mod growth;
mod inventory;
pub(crate) mod many;
pub(crate) mod pages;
pub(crate) mod portal;
pub(crate) mod size;
pub(crate) mod start;
