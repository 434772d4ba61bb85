//! Roster from outside: real requests to a real server, on both databases.

mod inviting;
mod support;
mod transport;
