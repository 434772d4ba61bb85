//! Roster from outside: real requests to a real server, on both databases.

mod accepting;
mod accounts;
mod inviting;
mod support;
mod transport;
