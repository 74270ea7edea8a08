//! From a home directory to credentials, over real HTTP, against the simulated organisation.

mod kinds;
mod sign_in;
mod world;
