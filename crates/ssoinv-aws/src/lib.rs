//! Stations 3 to 5 on the services' side: which accounts ([`reach`]), which tasks ([`plan`]), how they are worked off
//! ([`runner`]), and the tables themselves ([`tables`]).
//!
//! The only crate that knows the services' SDKs. Start with [`plan`] for what is done and [`runner`] for how; a new table
//! starts in [`tables`].

pub mod clients;
pub mod forecast;
mod handover;
mod pace;
pub mod plan;
pub mod reach;
pub mod regions;
pub mod roles;
pub mod runner;
pub mod stop;
mod survey;
pub mod tables;
