//! x

pub mod aws_ini;
pub mod profile;
