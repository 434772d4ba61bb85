//! Clients that are slow, rude or confused: each gets an end or an answer, and the next one is served as if nothing had
//! happened.

use crate::{
    on_both,
    support::{
        checker,
        database::{Kind, TestDatabase},
        people::Person,
        process::Roster,
        routes::{FILES, fields_of, fill},
        team::people_password,
    },
};
use actix_web::{App, HttpResponse, HttpServer, middleware::from_fn, web};
use roster::{
    actions::Failure,
    web::{ROUTES, error},
};
use socket2::{Domain, Socket, Type};
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than any limit of the server, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);

/// A server with Olivia signed in.
struct Ground {
    roster: Roster,
    olivia: Person,
    database: TestDatabase,
    _folder: TempDir,
}

impl Ground {
    fn new(kind: Kind, settings: &[(&str, &str)]) -> Self {
        let (folder, database) = (
            tempfile::tempdir().expect("a folder"),
            TestDatabase::new(kind),
        );
        let url = database.url();
        let mut all = vec![("DATABASE_URL", url.as_str())];
        all.extend_from_slice(settings);
        let roster = Roster::start(folder.path(), &all);
        let olivia = roster.olivia();
        Self {
            roster,
            olivia,
            database,
            _folder: folder,
        }
    }

    fn address(&self) -> SocketAddr {
        self.roster.address
    }

    /// The server is well: it serves the Team page, nothing panicked, no request failed, and every invariant holds.
    fn ends_well(self) {
        let team = self.olivia.get("/orgs/acme/settings/team");
        team.expect(200).shows("Olivia Owner");
        let log = self.roster.log();
        for sign in ["panicked", "request failed"] {
            assert!(!log.contains(sign), "{log}");
        }
        self.roster.stop();
        checker::check(&self.database.open());
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("a connection");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a time limit");
    socket
}

/// A head with the host, ended or not.
fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: roster.test\r\n\r\n")
}

/// Everything that comes until the server ends the connection. Fails when it does not.
fn until_closed(socket: &mut TcpStream) -> String {
    let mut said = Vec::new();
    match socket.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) => assert!(
            !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "the server keeps the connection: {:?}",
            String::from_utf8_lossy(&said)
        ),
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// One answer of a connection that goes on: its head and its body.
fn one_answer(socket: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    let length = loop {
        assert_eq!(socket.read(&mut byte).expect("an answer"), 1, "no answer");
        said.push(byte[0]);
        if said.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&said).to_lowercase();
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length: "));
            break length.map_or(0, |length| length.parse().expect("a length"));
        }
    };
    let mut body = vec![0; length];
    socket.read_exact(&mut body).expect("the body");
    said.extend_from_slice(&body);
    String::from_utf8_lossy(&said).into_owned()
}

/// Sends a byte a second until the server has had enough, and answers what it said.
fn byte_by_byte(mut socket: TcpStream, bytes: &[u8]) -> String {
    let start = Instant::now();
    for byte in bytes.iter().cycle() {
        assert!(start.elapsed() < PATIENCE, "the server goes on listening");
        if socket.write_all(&[*byte]).is_err() {
            break;
        }
        socket
            .set_read_timeout(Some(Duration::from_secs(1)))
            .expect("a time limit");
        match socket.peek(&mut [0]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => break,
        }
    }
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a time limit");
    until_closed(&mut socket)
}

/// Asks for more than it ever reads, and waits until the server has ended the connection.
fn never_reads(address: SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // A small window, so that the kernel holds little of it.
    socket.set_recv_buffer_size(2048).expect("a window");
    socket.connect(&address.into()).expect("a connection");
    let mut socket = TcpStream::from(socket);
    socket
        .set_write_timeout(Some(PATIENCE))
        .expect("a time limit");
    let asked = get("/sign-in").repeat(64);
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match socket.write_all(asked.as_bytes()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_ended) => return,
        }
    }
    panic!("the server goes on waiting for a reader");
}

on_both! {
    /// A head, a second head, a body and an answer that take for ever: each connection is ended, and others are served
    /// meanwhile, though there is room for sixteen only.
    fn slow_clients_are_ended_and_make_room(kind) {
        let ground = Ground::new(kind, &[("HTTP_CONNECTIONS", "16"), ("WORKERS", "2")]);
        let address = ground.address();
        let ended = Mutex::new(Vec::new());
        let start = Instant::now();
        let note = |what: &'static str, said: String| {
            ended.lock().expect("a list").push((what, start.elapsed(), said));
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| note("first head", byte_by_byte(connect(address), b"GET /livez HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
                scope.spawn(|| note("nothing", until_closed(&mut connect(address))));
                scope.spawn(|| {
                    let mut socket = connect(address);
                    socket.write_all(get("/livez").as_bytes()).expect("sent");
                    assert!(one_answer(&mut socket).starts_with("HTTP/1.1 200"));
                    note("second head", byte_by_byte(socket, b"GET /livez HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
                });
                scope.spawn(|| {
                    let mut socket = connect(address);
                    socket.write_all(b"POST /sign-in HTTP/1.1\r\nHost: roster.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\n").expect("sent");
                    note("body", byte_by_byte(socket, b"a"));
                });
                scope.spawn(|| {
                    let mut socket = connect(address);
                    // Nobody reads this body: the answer comes before it.
                    socket.write_all(b"POST /nowhere HTTP/1.1\r\nHost: roster.test\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
                    note("body of nobody", byte_by_byte(socket, b"1\r\na\r\n"));
                });
            }
            scope.spawn(|| { never_reads(address); note("reader", String::new()); });
            // More of them than there is room for; whoever comes now waits for one of them to be ended.
            let other = ground.olivia.copy();
            scope.spawn(move || { other.get("/orgs/acme").expect(200); });
        });
        let ended = ended.into_inner().expect("a list");
        assert_eq!(ended.len(), 21);
        for (what, _, said) in &ended {
            match *what {
                "first head" | "nothing" => assert!(said.starts_with("HTTP/1.1 408") || said.is_empty(), "{said}"),
                "body" => assert!(said.starts_with("HTTP/1.1 408"), "{said}"),
                "body of nobody" => assert!(said.starts_with("HTTP/1.1 404"), "{said}"),
                _ => assert!(said.is_empty(), "{what}: {said}"),
            }
        }
        ground.ends_well();
    }

    /// Somebody who begins to send files and falls silent takes no more than three places, and those not for long.
    fn unfinished_files_are_few_and_end(kind) {
        let ground = Ground::new(kind, &[]);
        let begun = format!(
            "POST /account/avatar HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nCookie: {1}\r\nConnection: close\r\n\
             Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 5000\r\n\r\n--x\r\n",
            ground.address(),
            ground.olivia.cookie_header(),
        );
        let begin = || {
            let mut socket = connect(ground.address());
            socket.write_all(begun.as_bytes()).expect("sent");
            socket
        };
        let start = Instant::now();
        let mut six: Vec<_> = (0..6).map(|_| begin()).collect();
        let other = ground.roster.visitor();
        let fields = [("name", "Adam Admin"), ("email", "adam@example.test"), ("password", people_password()), ("organization", "Beta")];
        other.get("/sign-up").submit("/sign-up", &fields).expect(303);
        let token = other.get("/account").csrf();
        other.upload("/account/avatar", &[("csrf", &token)], ("avatar", "a.png", b"no picture")).expect(422);
        let answers: Vec<_> = six.iter_mut().map(one_answer).collect();
        let (refused, ended): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.starts_with("HTTP/1.1 503"));
        assert!(!refused.is_empty() && ended.len() >= 3, "{answers:?}");
        assert!(refused.iter().all(|answer| answer.to_lowercase().contains("retry-after: ")), "{refused:?}");
        assert!(ended.iter().all(|answer| answer.starts_with("HTTP/1.1 408")), "{ended:?}");
        // A file that keeps coming may take a minute.
        assert!(start.elapsed() < Duration::from_secs(50), "they were silent for too long");
        ground.ends_well();
    }

    /// More connections than HTTP_CONNECTIONS wait; one of them is served when another one has ended, not before.
    fn over_the_limit_one_waits(kind) {
        let ground = Ground::new(kind, &[("HTTP_CONNECTIONS", "16"), ("WORKERS", "2")]);
        let slow: Vec<_> = (0..16).map(|_| {
            let mut socket = connect(ground.address());
            socket.write_all(b"GET /livez HTTP/1.1\r\nHo").expect("sent");
            socket
        }).collect();
        assert!(ground.roster.probe("/livez").starts_with("HTTP/1.1 200"));
        let ended = slow.iter().filter(|socket| {
            socket.set_nonblocking(true).expect("a question");
            !socket.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        assert!(ended.count() > 0, "it was served beside sixteen others");
        ground.ends_well();
    }

    /// Requests that are not as they should be: an answer below 500 or none at all, and never a fault.
    fn odd_requests_are_answered_or_refused(kind) {
        let ground = Ground::new(kind, &[]);
        let mut without_end = Vec::new();
        for (what, request) in odd_requests(&ground) {
            let mut socket = connect(ground.address());
            // The server may have ended it before it has read everything.
            drop(socket.write_all(&request));
            drop(socket.shutdown(Shutdown::Write));
            let said = until_closed(&mut socket);
            for line in said.lines().filter(|line| line.starts_with("HTTP/1.")) {
                let status = line.split(' ').nth(1).unwrap_or_default();
                assert!(matches!(status.as_bytes().first(), Some(b'1'..=b'4')), "{what}: {line}");
            }
            if said.is_empty() { without_end.push(what); }
        }
        // A reset can take the answer with it; it is not the rule.
        assert!(without_end.len() < 12, "without an answer: {without_end:?}");
        ground.ends_well();
    }

    /// A length and chunks in one request, or two lengths, is one request to one of two servers and two to the other: it
    /// is refused, and nothing behind it is read.
    fn nothing_is_smuggled(kind) {
        let ground = Ground::new(kind, &[]);
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nContent-Length: 5", "Content-Length: +5", "Content-Length: -1",
            "Content-Length: 5, 5", "Content-Length: 0x5", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding : chunked",
            "Content-Length: 99999999999999999999999",
        ] {
            let mut socket = connect(ground.address());
            let smuggled = get("/livez?smuggled");
            drop(write!(socket, "POST /sign-in HTTP/1.1\r\nHost: roster.test\r\n{fields}\r\n\r\n0\r\n\r\n{smuggled}"));
            drop(socket.shutdown(Shutdown::Write));
            let said = until_closed(&mut socket);
            assert!(said.starts_with("HTTP/1.1 400"), "{fields}: {said}");
            assert_eq!(said.matches("HTTP/1.1").count(), 1, "{fields}: {said}");
        }
        ground.ends_well();
    }

    /// Every form one byte over what it takes: 413 that names the limit, with a length and in chunks, signed in or not.
    fn every_form_has_a_limit_and_names_it(kind) {
        let ground = Ground::new(kind, &[]);
        let forms = ROUTES.iter().filter(|(method, _)| *method == "POST");
        let parts: &[(&str, &str)] = &[("org", "acme"), ("token", "x"), ("id", "x"), ("account", "x"), ("fresh", "new@example.test")];
        let mut seen = 0;
        for (_, pattern) in forms.filter(|(_, pattern)| FILES.iter().all(|file| file.pattern != *pattern)) {
            seen += 1;
            let (path, cookies) = (fill(pattern, parts), ground.olivia.cookie_header());
            drop(fields_of(pattern, parts));
            let most = 64 * 1024;
            for length in [most, most + 1] {
                let body = format!("csrf=x&q={}", "a".repeat(length - 9));
                let head = format!("POST {path} HTTP/1.1\r\nHost: roster.test\r\nCookie: {cookies}\r\nConnection: close\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\n");
                let plain = format!("{head}Content-Length: {length}\r\n\r\n{body}");
                let (first, rest) = body.split_at(length / 2);
                let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n", first.len(), rest.len());
                for request in [plain, chunked] {
                    let mut socket = connect(ground.address());
                    socket.write_all(request.as_bytes()).expect("sent");
                    let said = until_closed(&mut socket);
                    let refused = said.starts_with("HTTP/1.1 413") && said.contains("at most 64 kB");
                    assert_eq!(refused, length > most, "{pattern} {length}: {said}");
                    assert!(!said.starts_with("HTTP/1.1 5"), "{said}");
                }
            }
        }
        assert!(seen > 30, "{seen}");
        // The forms with a file: the file itself is said to be too large on its own page, a text beside it is not taken.
        for file in FILES {
            let (path, token) = (fill(file.pattern, parts), ground.olivia.get("/account").csrf());
            let large = vec![b'a'; 2 * 1024 * 1024 + 1];
            let field = file.file.0;
            let answer = ground.olivia.upload(&path, &[("csrf", &token)], (field, "x", &large));
            // A list is one of many fields of its form, as far as the answer goes.
            answer.expect(if field == "avatar" { 413 } else { 422 }).shows("too large");
            let long = "a".repeat(4097);
            let answer = ground.olivia.upload(&path, &[("csrf", &token), ("message", &long)], (field, "x", b"x"));
            answer.expect(413).shows("at most 4 kB for message");
            let many = [("message", "x"); 17];
            ground.olivia.upload(&path, &many, (field, "x", b"x")).expect(413).shows("at most 16 fields");
            // Nobody makes us hold a file who is not signed in: the answer does not wait for it.
            let mut socket = connect(ground.address());
            let head = format!("POST {path} HTTP/1.1\r\nHost: roster.test\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 9999\r\n\r\n");
            socket.write_all(head.as_bytes()).expect("sent");
            let answer = one_answer(&mut socket);
            assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        }
        ground.ends_well();
    }

    /// Every address says in `Allow` which methods it takes.
    fn a_wrong_method_is_told_the_right_ones(kind) {
        let ground = Ground::new(kind, &[]);
        let parts: &[(&str, &str)] = &[("org", "acme"), ("token", "x"), ("id", "x"), ("account", "x"), ("document", "terms"), ("file", "x")];
        for (_, pattern) in ROUTES {
            let mut expected = Vec::new();
            for (method, _) in ROUTES.iter().filter(|(_, path)| path == pattern) {
                expected.push(*method);
                if *method == "GET" { expected.push("HEAD"); }
            }
            for method in ["DELETE", "OPTIONS", "PUT"] {
                let path = fill(pattern, parts);
                for accept in ["text/html", "application/json"] {
                    let answer = ground.olivia.ask(method, &path, &[("accept", accept)], None);
                    assert_eq!(answer.status, 405, "{method} {path}");
                    assert_eq!(answer.header("allow"), Some(expected.join(", ").as_str()), "{path}");
                }
            }
        }
        ground.ends_well();
    }

    /// A client that sends and then ends its half is answered; one that leaves in the middle disturbs nobody.
    fn half_closed_and_aborted_clients(kind) {
        let ground = Ground::new(kind, &[]);
        let mut socket = connect(ground.address());
        socket.write_all(get("/livez").as_bytes()).expect("sent");
        socket.shutdown(Shutdown::Write).expect("half closed");
        assert!(until_closed(&mut socket).starts_with("HTTP/1.1 200"));
        let mut socket = connect(ground.address());
        socket.shutdown(Shutdown::Write).expect("half closed");
        assert_eq!(until_closed(&mut socket), "");
        let cookies = ground.olivia.cookie_header();
        let starts = [
            "GET /orgs/acme/settings/team HTTP/1.1\r\nHo".to_owned(),
            format!("GET /orgs/acme/settings/team HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n"),
            format!("POST /orgs/new HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ncsrf=x"),
            format!("POST /account/avatar HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 100\r\n\r\n--x\r\n"),
        ];
        for start in starts.iter().cycle().take(200) {
            let mut socket = connect(ground.address());
            socket.write_all(start.as_bytes()).expect("sent");
        }
        ground.ends_well();
    }

    /// A panic is a 500 page, or problem+json for a program, and says nothing of itself; the connection goes on. A panic
    /// in a query or in a transaction is an error like any other, and the next one works.
    fn a_panic_is_a_page(kind) {
        let database = TestDatabase::new(kind);
        let db = database.open();
        let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("its address");
        let server = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let service = || {
                    App::new()
                        .service(web::resource("/panics").to(panics))
                        .service(web::resource("/works").to(HttpResponse::Ok))
                        .wrap(from_fn(error::render))
                };
                let server = HttpServer::new(service).workers(1).disable_signals().listen(socket);
                server.expect("it listens").run().await.expect("it serves");
            });
        });
        let mut socket = connect(address);
        for accept in ["text/html", "application/json"] {
            write!(socket, "GET /panics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n").expect("sent");
            let answer = one_answer(&mut socket);
            assert!(answer.starts_with("HTTP/1.1 500") && !answer.contains("sesame"), "{answer}");
            assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
            let json = answer.contains("application/problem+json");
            assert_eq!(json, accept == "application/json", "{answer}");
            assert!(answer.contains(if json { "\"broken\"" } else { "Something went wrong" }), "{answer}");
            socket.write_all(get("/works").as_bytes()).expect("sent");
            assert!(one_answer(&mut socket).starts_with("HTTP/1.1 200"));
        }
        let runtime = actix_web::rt::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            for _ in 0..8 {
                let read: Result<(), Failure> = db.read(|_| panic!("sesame")).await;
                assert!(matches!(read, Err(Failure::Broken(_))), "{read:?}");
                let written: Result<(), Failure> = db.write(|_| panic!("sesame")).await;
                assert!(matches!(written, Err(Failure::Broken(_))), "{written:?}");
            }
            db.read(|_| Ok::<_, Failure>(())).await.expect("it still reads");
            db.write(|_| Ok::<_, Failure>(())).await.expect("it still writes");
        });
        drop(server);
        checker::check(&db);
    }

    /// Sixteen requests in one go are answered in their order.
    fn pipelined_requests_are_answered_in_order(kind) {
        let ground = Ground::new(kind, &[]);
        let mut socket = connect(ground.address());
        let paths = ["/livez", "/nowhere", "/sign-in", "/orgs/new"];
        let asked: String = paths.iter().cycle().take(40).map(|path| get(path)).collect();
        socket.write_all(asked.as_bytes()).expect("sent");
        for path in paths.iter().cycle().take(40) {
            let status = match *path { "/nowhere" => 404, "/orgs/new" => 303, _ => 200 };
            let answer = one_answer(&mut socket);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        }
        ground.ends_well();
    }
}

async fn panics() -> HttpResponse {
    panic!("sesame");
}

/// Requests that no browser sends, each with its name.
fn odd_requests(ground: &Ground) -> Vec<(String, Vec<u8>)> {
    let cookies = ground.olivia.cookie_header();
    let token = ground.olivia.get("/orgs/new").csrf();
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>| all.push((what.to_owned(), bytes));
    let head = |line: &str, fields: &str| {
        format!("{line}\r\nHost: roster.test\r\nCookie: {cookies}\r\n{fields}\r\n").into_bytes()
    };
    for path in [
        "/%00",
        "/%ff%fe",
        "/orgs/%00",
        "/orgs/%ff",
        "/orgs/%c3%28/settings/team",
        "/orgs/acme%00/settings/team",
        "/orgs/acme/settings/team?q=%00",
        "/orgs/acme/settings/team?q=%ff",
        "/orgs/acme/settings/team?page=%00",
        "/orgs/acme/settings/team?q=%ed%a0%80",
        "/orgs/acme/settings/audit?since=%00&person=%ff",
        "/accept-invitation/%00",
        "/accept-invitation/%ff",
        "/avatars/%00",
        "/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/static/../../etc/passwd",
        "/static/%00",
        "//evil.test",
        "/\\evil.test",
        "/%2e%2e/",
        "/orgs/acme/../acme",
        "/;a=b",
        "/?",
        "/#x",
        "*",
        "http://evil.test/orgs/acme",
        "http://evil.test",
        "https://roster.test:99999/",
        "/%",
        "/%4",
        "/%zz",
        "/\u{e9}",
        "relative",
        "?q",
        "",
        "/orgs/acme/settings/team/members/00000000-0000-0000-0000-000000000000/role",
        "/orgs/acme/settings/team/invitations/%00",
    ] {
        add(
            &format!("path {path:?}"),
            head(&format!("GET {path} HTTP/1.1"), ""),
        );
        add(
            &format!("HEAD {path:?}"),
            head(&format!("HEAD {path} HTTP/1.1"), ""),
        );
    }
    for method in [
        "BREW",
        "get",
        "TRACE",
        "CONNECT",
        "OPTIONS",
        "PROPFIND",
        "PRI",
        "G\u{e9}T",
        "",
        "A",
        &"M".repeat(5000),
    ] {
        add(
            &format!("method {method:.9}"),
            head(&format!("{method} /sign-in HTTP/1.1"), ""),
        );
        add(
            &format!("method {method:.9} *"),
            head(&format!("{method} * HTTP/1.1"), ""),
        );
    }
    for version in [
        "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/11", "", "http/1.1",
    ] {
        add(
            &format!("version {version}"),
            head(&format!("GET /sign-in {version}"), ""),
        );
    }
    add(
        "HTTP/1.0 without a host",
        b"GET /sign-in HTTP/1.0\r\n\r\n".to_vec(),
    );
    add(
        "HTTP/1.1 without a host",
        b"GET /sign-in HTTP/1.1\r\n\r\n".to_vec(),
    );
    add(
        "HTTP/2 at once",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
    );
    add(
        "TLS",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    );
    add("zeros", vec![0; 1000]);
    add("line ends", b"\r\n".repeat(1000));
    for fields in [
        "Host: a\r\n",
        "Cookie: \u{0}\r\n",
        "Cookie: __Host-roster=%00\r\n",
        "X: a\u{0}b\r\n",
        "X: \u{ff}\r\n",
        "X\u{0}: a\r\n",
        ": a\r\n",
        "X\r\n",
        " X: a\r\n",
        "X: a\r\n b\r\n",
        "Expect: 100-continue\r\n",
        "Expect: the-unexpected\r\n",
        "Upgrade: websocket\r\nConnection: upgrade\r\n",
        "Upgrade: h2c\r\nConnection: upgrade\r\n",
        "Accept: \u{ff}\r\n",
        "Accept-Encoding: \u{0}\r\n",
        "X-Forwarded-For: \u{ff}\r\n",
        "X-Forwarded-For: 1.2.3.4, ,,%\r\n",
        "Connection: close, close\r\n",
        "Range: bytes=0-0,-1\r\n",
        "If-None-Match: \"\u{ff}\"\r\n",
        "User-Agent: \u{1b}[31mred\r\n",
    ] {
        add(
            &format!("field {fields:?}"),
            head("GET /orgs/acme HTTP/1.1", fields),
        );
    }
    for (what, fields) in [
        ("a huge field", format!("X: {}\r\n", "a".repeat(100_000))),
        (
            "a field over the limit",
            format!("X: {}\r\n", "a".repeat(200_000)),
        ),
        ("many fields", "X: a\r\n".repeat(90)),
        ("too many fields", "X: a\r\n".repeat(5000)),
        ("many cookies", "Cookie: a=b\r\n".repeat(80)),
    ] {
        add(what, head("GET /orgs/acme HTTP/1.1", &fields));
    }
    for length in [8_000, 60_000, 70_000, 140_000] {
        add(
            "a long address",
            head(&format!("GET /{} HTTP/1.1", "a".repeat(length)), ""),
        );
        add(
            "a long question",
            head(
                &format!(
                    "GET /orgs/acme/settings/team?q={} HTTP/1.1",
                    "a".repeat(length)
                ),
                "",
            ),
        );
        add(
            "a long place to go to",
            head(
                &format!("GET /sign-in?next=/{} HTTP/1.1", "a".repeat(length)),
                "",
            ),
        );
    }
    let mut body = |what: &str, kind: &str, body: &[u8]| {
        for path in ["/orgs/new", "/sign-in", "/orgs/acme/settings/team/invite"] {
            let fields = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
            add(
                &format!("body {what} {path}"),
                [&head(&format!("POST {path} HTTP/1.1"), &fields), body].concat(),
            );
        }
    };
    let form = "application/x-www-form-urlencoded";
    for fields in [
        "name=%00",
        "name=%ff",
        "name=\u{0}",
        "name=%ed%a0%80",
        "name=a&name=b",
        "=",
        "&&&&",
        "name",
        "name=%",
        "%00=a",
        "%ff=a",
        "csrf=%00",
        "name[]=a",
        "name[a][b]=c",
        "name=%e2%80%ae",
        "name=%0d%0aX:%20y",
        "next=//evil.test&email=a&password=b",
        "next=%0d%0a",
        "emails=%00&role=owner",
    ] {
        body(fields, form, format!("csrf={token}&{fields}").as_bytes());
    }
    body(
        "thousands of fields",
        form,
        format!("csrf={token}{}", "&a=b".repeat(10_000)).as_bytes(),
    );
    body(
        "one long name",
        form,
        format!("csrf={token}&{}=b", "a".repeat(60_000)).as_bytes(),
    );
    body(
        "deep names",
        form,
        format!("csrf={token}&a{}=b", "[a]".repeat(10_000)).as_bytes(),
    );
    body(
        "deep JSON",
        "application/json",
        "[".repeat(60_000).as_bytes(),
    );
    body("no type", "", b"csrf=x");
    body(
        "another charset",
        "application/x-www-form-urlencoded; charset=utf-16",
        b"c\0s\0",
    );
    body("no boundary", "multipart/form-data", b"--x\r\n");
    body(
        "parts without an end",
        "multipart/form-data; boundary=x",
        "--x\r\n".repeat(10_000).as_bytes(),
    );
    body(
        "a part within a part",
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n--y--\r\n--x--\r\n",
    );
    let parts = |part: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{token}\r\n{part}--x--\r\n"
        )
    };
    for part in [
        "",
        "--x\r\n\r\n\r\n",
        "--x\r\nContent-Disposition: form-data\r\n\r\na\r\n",
        "--x\r\nContent-Disposition: \u{ff}\r\n\r\na\r\n",
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\u{0}\"\r\n\r\na\r\n",
        "--x\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"../../x\"\r\n\r\na\r\n",
        "--x\r\nContent-Disposition: form-data; name=\"\u{0}\"\r\n\r\n\u{0}\r\n",
        "--x\r\nContent-Length: -1\r\n\r\na\r\n",
    ] {
        for path in ["/account/avatar", "/orgs/acme/settings/team/invite/import"] {
            let text = parts(part);
            let fields = format!(
                "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {}\r\n",
                text.len()
            );
            add(
                &format!("part {part:?} {path}"),
                [
                    head(&format!("POST {path} HTTP/1.1"), &fields),
                    text.into_bytes(),
                ]
                .concat(),
            );
        }
    }
    for chunks in [
        "zz\r\n",
        "-1\r\n",
        "fffffffffffffffff\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1;x=y\r\na\r\n0\r\n\r\n",
        "0\r\nTrailer: x\r\n\r\n",
        "1\na\n0\n\n",
        "5\r\na",
    ] {
        let fields = format!("Content-Type: {form}\r\nTransfer-Encoding: chunked\r\n");
        add(
            &format!("chunks {chunks:?}"),
            [&head("POST /orgs/new HTTP/1.1", &fields), chunks.as_bytes()].concat(),
        );
    }
    all
}
