//! One module a case; each gives the lines of its figures.

pub(crate) mod cached;
pub(crate) mod growth;
pub(crate) mod many;
pub(crate) mod pages;
pub(crate) mod portal;
pub(crate) mod size;
pub(crate) mod start;
