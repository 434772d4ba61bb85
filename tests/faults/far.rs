//! A PostgreSQL that is far away: each question takes a while, and long steps take longer than a page may.

use crate::support::{
    checker,
    database::{Kind, TestDatabase},
    process::Roster,
};
use roster::store::Target;
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};
use tempfile::tempdir;
use url::Url;

/// The way there.
const WAY: Duration = Duration::from_millis(4);

/// A hundred invitations are some hundreds of questions: they are not given up after the time of a page.
#[test]
fn a_hundred_invitations_go_to_a_database_that_is_far_away() {
    let (folder, database) = (
        tempdir().expect("a folder"),
        TestDatabase::new(Kind::Postgres),
    );
    let Target::Postgres(near) = &database.target else {
        panic!("PostgreSQL");
    };
    let mut far = Url::parse(near).expect("an address");
    let host = far.host_str().expect("a host").to_owned();
    let relay = relay(format!("{host}:{}", far.port().unwrap_or(5432)));
    far.set_host(Some("127.0.0.1")).expect("another host");
    far.set_port(Some(relay.port())).expect("another port");
    let roster = Roster::start(folder.path(), &[("DATABASE_URL", far.as_str())]);
    let olivia = roster.olivia();
    let emails: Vec<String> = (0..100).map(|nth| format!("p{nth}@example.test")).collect();
    olivia.try_invite(&emails.join(" "), "member").expect(303);
    olivia
        .get("/orgs/acme/settings/team/invitations?q=p99%40example.test")
        .shows("p99@example.test");
    roster.stop();
    checker::check(&database.open());
}

/// Passes on what comes, a little later.
fn relay(to: String) -> SocketAddr {
    let door = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = door.local_addr().expect("an address");
    thread::spawn(move || {
        for client in door.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(&to)) else {
                return;
            };
            let (back, forth) = (client.try_clone(), server.try_clone());
            let (Ok(back), Ok(forth)) = (back, forth) else {
                return;
            };
            thread::spawn(move || pass(client, forth, WAY));
            thread::spawn(move || pass(server, back, Duration::ZERO));
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, later: Duration) {
    drop(to.set_nodelay(true));
    let mut some = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut some) {
        thread::sleep(later);
        if to.write_all(&some[..read]).is_err() {
            break;
        }
    }
    // Whoever is gone needs no farewell.
    drop(to.shutdown(Shutdown::Both));
}
