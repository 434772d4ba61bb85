//! Roster from outside: real requests to a real server, on both databases.

mod accepting;
mod accounts;
mod every_route_every_role;
mod invariants;
mod inviting;
mod processes;
mod races;
mod schema_parity;
mod secrets;
mod sending;
mod support;
mod tenancy;
mod transport;
mod two_instances;
