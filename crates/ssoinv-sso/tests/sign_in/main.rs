//! Station 3 against the simulated organisation: from a home directory to credentials, over real HTTP.

mod kinds;
mod sign_in;
mod world;
