//! What is read, in which order, and how: accounts, plan, engine and runner.
//!
//! [`accounts`] resolves profiles, [`plan`] lays out the tasks, [`runner`] works them off on an [`engine::Engine`], which
//! lives as long as the process and owns everything that runs share. Start with [`plan`] for what is done and
//! [`task_scan`](runner) for how; the tables are in `ssoinv-tables`. [`estimate`] predicts a run without making it.

pub mod access;
pub mod account_scan;
pub mod accounts;
pub mod engine;
pub mod estimate;
mod page_writer;
pub mod plan;
mod rate_limiters;
pub mod region_patterns;
mod resolve;
pub mod roles;
pub mod run_options;
pub mod runner;
pub mod stop;
mod task_scan;
